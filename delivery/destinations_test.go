package delivery

import (
	"strings"
	"testing"
)

func TestDestinations(t *testing.T) {
	for _, c := range []struct {
		says    string
		guard   Destinations
		refused string // word of the reason; "" = it may be called
		to      []string
	}{
		{"ordinary numbers", Destinations{}, "", []string{
			"+49891234567", "0049 89 1234567", "tel:+1-555-010-0199", "2001", "bob", "sip:bob@pbx.example.org", "0891234567", "9112233445566", "*97", "", "+4989110", "1100",
		}},
		{"emergency numbers, however they are written", Destinations{}, "emergency", []string{
			"911", "112", "9 1 1", "tel:112", "TEL:1-1-2;phone-context=+49", "sip:911@pbx.example.org", "sip:911;x=y@pbx", "%39%31%31", "sip:%31%312@host",
			"0112", "9911", "+112", "(112)", "999", "000", "9.1.1",
		}},
		{"premium numbers, however they are written", Destinations{}, "premium", []string{
			"+19005550100", "0019005550100", "01119005550100", "+49 900 123456", "0049900123456", "0900-123456", "tel:+979123456789", "00979123456789",
			"900449012345678", "0 00 882 12345", "1-900-555-0100", "sip:+19005550100@pbx;user=phone",
		}},
		{"an extension that is an emergency number elsewhere", Destinations{Allow: []string{"110"}}, "", []string{"110"}},
		{"allowing one leaves the others", Destinations{Allow: []string{"110"}}, "emergency", []string{"112"}},
		{"emergency allowed", Destinations{AllowEmergency: true}, "", []string{"911", "112"}},
		{"emergency allowed leaves premium", Destinations{AllowEmergency: true}, "premium", []string{"0900123456"}},
		{"premium allowed", Destinations{AllowPremium: true}, "", []string{"+19005550100", "0900123456"}},
		{"a country denied", Destinations{Deny: []string{"+53"}}, "denies", []string{"+537123456", "00537123456", "011 53 7123456"}},
		{"the longer prefix decides", Destinations{Deny: []string{"+53"}, Allow: []string{"+53 7"}}, "", []string{"+537123456"}},
		{"deny wins a tie", Destinations{Deny: []string{"+53"}, Allow: []string{"+53"}}, "denies", []string{"+537123456"}},
		{"everything denied but one's own", Destinations{Deny: []string{"+", "0", "1"}, Allow: []string{"+4989"}}, "", []string{"+49891234", "004989 1234"}},
	} {
		for _, to := range c.to {
			got := c.guard.Refuse(to)
			if (got == "") != (c.refused == "") || !strings.Contains(got, c.refused) {
				t.Errorf("%s: %q: %q, want %q", c.says, to, got, c.refused)
			}
		}
	}
}

func TestDestinationsAreValidated(t *testing.T) {
	for want, d := range map[string]Destinations{
		"":                               {Allow: []string{"+49 (89)"}, Deny: []string{"*"}, MinutesPerDay: 5},
		"destinations.allow[0]: \"x\"":   {Allow: []string{"x"}},
		"destinations.deny[1]: \" \"":    {Deny: []string{"0", " "}},
		"destinations.minutesPerDay: -1": {MinutesPerDay: -1},
	} {
		err := Agent{Destinations: d}.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", d, err, want)
		}
	}
}

func FuzzRefuse(f *testing.F) {
	for _, s := range []string{"911", "tel:+1900", "sip:%39@x", "", "+", "00", "%zz", "bob"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		guard := Destinations{}
		if guard.Refuse(s) != "" && (Destinations{Allow: []string{"+", "*", "#", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}}).Refuse(s) != "" {
			t.Errorf("%q is refused though everything is allowed", s)
		}
		if guard.Refuse("tel:"+s) == "" && guard.Refuse(s) != "" && !strings.Contains(s, ":") {
			t.Errorf("%q passes as a tel URI", s)
		}
	})
}
