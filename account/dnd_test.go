package account

import (
	"testing"
	"time"
)

// documentDND is the document's example: calls from +1 (222) 333-4455 are rejected
// between 8:00 and 10:00 GMT+1 on workdays, and everybody's on weekends.
const documentDND = `<doNotDisturb gmtOffsetInMinutes="60">
 <dndEntry><from>08:00</from><to>10:00</to><weekdays>31</weekdays>
  <contacts><contactInfo identifier="" source="" phone="+12223334455" name="+1 (222) 333-4455"/></contacts></dndEntry>
 <dndEntry><from>00:00</from><to>23:59</to><weekdays>96</weekdays><contacts/><comment>Do not disturb on weekends</comment></dndEntry>
</doNotDisturb>`

func TestDoNotDisturb(t *testing.T) {
	const night = `<doNotDisturb gmtOffsetInMinutes="-120"><dndEntry><from>22:00</from><to>06:00</to><weekdays>16</weekdays></dndEntry></doNotDisturb>` // Fridays
	entry := func(inside string) string {
		return `<doNotDisturb><dndEntry>` + inside + `</dndEntry></doNotDisturb>`
	}
	always := `<from>00:00</from><to>23:59</to><weekdays>127</weekdays>`
	tests := map[string]struct {
		in, caller, at string // at in UTC; 2024-05-06 is a Monday
		want           int    // the entry that rejects; 0 is none
	}{
		"the document: the caller, in the morning of a workday":  {documentDND, "+12223334455", "2024-05-06T07:00:00Z", 1},
		"the document: the number written another way":           {documentDND, "sip:+1-222-333-4455@carrier.example;user=phone", "2024-05-10T08:30:00Z", 1},
		"the document: the last second":                          {documentDND, "+12223334455", "2024-05-06T09:00:59Z", 1},
		"the document: a second later":                           {documentDND, "+12223334455", "2024-05-06T09:01:00Z", 0},
		"the document: a second too early":                       {documentDND, "+12223334455", "2024-05-06T06:59:59Z", 0},
		"the document: another caller":                           {documentDND, "+12223334456", "2024-05-06T07:30:00Z", 0},
		"the document: anybody on a Saturday":                    {documentDND, "bob", "2024-05-11T12:00:00Z", 2},
		"the document: a weekend begins in the account's zone":   {documentDND, "bob", "2024-05-10T23:00:00Z", 2},
		"the document: and ends there":                           {documentDND, "bob", "2024-05-12T23:00:00Z", 0},
		"without a zone times are UTC":                           {entry(`<from>08:00</from><to>08:00</to><weekdays>1</weekdays>`), "x", "2024-05-06T10:00:59+02:00", 1},
		"past midnight: on the evening of its weekday":           {night, "x", "2024-05-11T00:00:00Z", 1}, // Friday 22:00
		"past midnight: in the morning after":                    {night, "x", "2024-05-11T08:00:59Z", 1}, // Saturday 06:00
		"past midnight: not later":                               {night, "x", "2024-05-11T08:01:00Z", 0},
		"past midnight: not in the morning of its weekday":       {night, "x", "2024-05-10T07:00:00Z", 0}, // Friday 05:00
		"past midnight: not on the next evening":                 {night, "x", "2024-05-12T01:00:00Z", 0}, // Saturday 23:00
		"weekdays 0 never holds":                                 {entry(`<from>00:00</from><to>23:59</to><weekdays>0</weekdays>`), "x", "2024-05-06T12:00:00Z", 0},
		"an entry that is off":                                   {entry(`<enabled>0</enabled>` + always), "x", "2024-05-06T12:00:00Z", 0},
		"an entry that is on":                                    {entry(`<enabled>1</enabled>` + always), "x", "2024-05-06T12:00:00Z", 1},
		"an entry without times":                                 {entry(`<weekdays>127</weekdays>`), "x", "2024-05-06T12:00:00Z", 0},
		"a contact without phone never matches":                  {entry(always + `<contacts><contactInfo identifier="1" source="book"/></contacts>`), "", "2024-05-06T12:00:00Z", 0},
		"one of several contacts, written as elements":           {entry(always + `<contacts><contactInfo><phone>1</phone></contactInfo><contactInfo><phone>2</phone></contactInfo></contacts>`), "2", "2024-05-06T12:00:00Z", 1},
		"a time with one digit, as tolerated in fetched answers": {entry(`<from>8:00</from><to>9:00</to><weekdays>127</weekdays>`), "x", "2024-05-06T08:30:00Z", 1},
		"no rules": {``, "x", "2024-05-06T12:00:00Z", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			a, _ := Effective(doc(t, tt.in))
			entry, rejected := a.DoNotDisturb.Rejects(tt.caller, at)
			if entry != tt.want || rejected != (tt.want > 0) {
				t.Errorf("entry %d rejects (%v), want %d", entry, rejected, tt.want)
			}
		})
	}
}

func TestSameNumber(t *testing.T) {
	same := [][2]string{{"+12223334455", "+1 (222) 333-4455"}, {"1.2/3", "123"}, {"sip:100@a", "SIPS:100@b:5061"}, {"tel:+1-2;phone-context=x", "<sip:+12@h>"},
		{"bob", "sip:bob@h"}, {" 1 ", "1"}}
	for _, p := range same {
		if !sameNumber(p[0], p[1]) {
			t.Errorf("%q and %q should be the same", p[0], p[1])
		}
	}
	different := [][2]string{{"+420123", "00420123"}, {"123", "+123"}, {"", ""}, {"", "sip:@h"}, {"Bob", "bob"}, {"12", "123"}}
	for _, p := range different {
		if sameNumber(p[0], p[1]) {
			t.Errorf("%q and %q should differ", p[0], p[1])
		}
	}
}
