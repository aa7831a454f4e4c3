package account

import (
	"strconv"
	"strings"
	"time"
)

// Rejects tells whether a caller is to be turned away at a moment, and by which
// entry, counted from 1. The caller is a number, or a sip: or tel: URI. The entries'
// times are in the zone of gmtOffsetInMinutes, else UTC.
func (dnd *DoNotDisturb) Rejects(caller string, at time.Time) (entry int, rejected bool) {
	if dnd == nil {
		return 0, false
	}
	offset := 0
	if dnd.GMTOffsetInMinutes != nil {
		offset = *dnd.GMTOffsetInMinutes
	}
	at = at.In(time.FixedZone("", offset*60))
	for i, e := range dnd.Entries {
		if e.Enabled && e.covers(at) && e.concerns(caller) {
			return i + 1, true
		}
	}
	return 0, false
}

// covers tells whether the entry holds at a moment of its own zone. An entry that
// goes past midnight belongs to the weekday it starts on; to includes its last second.
func (e DNDEntry) covers(at time.Time) bool {
	from, okFrom := minutes(e.From)
	to, okTo := minutes(e.To)
	if !okFrom || !okTo {
		return false
	}
	now := at.Hour()*60 + at.Minute()
	today, yesterday := e.on(at.Weekday()), e.on(at.AddDate(0, 0, -1).Weekday())
	if from <= to {
		return today && from <= now && now <= to
	}
	return today && from <= now || yesterday && now <= to
}

// on tells whether the entry holds on a weekday; bit 0 is Monday.
func (e DNDEntry) on(day time.Weekday) bool { return e.Weekdays>>((int(day)+6)%7)&1 == 1 }

// minutes is a time of day in minutes after midnight.
func minutes(text string) (int, bool) {
	if !clock.MatchString(text) {
		return 0, false
	}
	hours, rest, _ := strings.Cut(text, ":")
	h, errH := strconv.Atoi(hours)
	m, errM := strconv.Atoi(rest)
	return 60*h + m, errH == nil && errM == nil
}

// concerns tells whether the entry is about this caller: any, unless it names some.
func (e DNDEntry) concerns(caller string) bool {
	if len(e.Contacts) == 0 {
		return true
	}
	for _, c := range e.Contacts {
		if sameNumber(c.Phone, caller) {
			return true
		}
	}
	return false
}

// sameNumber tells whether two numbers are the same apart from separators, a sip: or
// tel: scheme, and host and parameters. No country is guessed. Nothing is like an empty one.
func sameNumber(a, b string) bool {
	a, b = plainNumber(a), plainNumber(b)
	return a != "" && a == b
}

var separators = strings.NewReplacer(" ", "", "\t", "", ".", "", "-", "", "(", "", ")", "", "/", "")

func plainNumber(text string) string {
	text = strings.Trim(text, xmlSpace+"<>")
	scheme, rest, found := strings.Cut(text, ":")
	if s := strings.ToLower(scheme); found && (s == "sip" || s == "sips" || s == "tel") {
		text = rest
	}
	if at := strings.IndexAny(text, "@;?"); at >= 0 {
		text = text[:at]
	}
	return separators.Replace(text)
}
