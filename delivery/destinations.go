package delivery

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Destinations guard what lines may call: calling is spending somebody's money,
// and a machine that calls an ambulance every minute is worse. The zero value
// guards: emergency numbers and premium prefixes are refused.
type Destinations struct {
	// AllowEmergency and AllowPremium let calls to them through.
	AllowEmergency bool `json:"allowEmergency,omitempty"`
	AllowPremium   bool `json:"allowPremium,omitempty"`
	// Allow and Deny are prefixes of numbers, +49 89 or 0900. The longest prefix
	// that fits decides, before everything else; of two as long Deny does.
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
	// MinutesPerDay of answered outgoing calls a line may make in a day (UTC); 0 = no bound.
	MinutesPerDay int `json:"minutesPerDay,omitempty"`
}

// emergency numbers of most of the world (ITU-T E.161.1 and national plans). A
// PBX that uses one as an extension has to allow it.
var emergency = []string{"000", "110", "111", "112", "113", "115", "117", "118", "119", "122", "133", "144", "190", "191", "192", "193", "911", "999"}

// accessCodes are what may stand before a number to get an outside line.
var accessCodes = []string{"0", "9"}

// premium are prefixes of numbers that cost more than a call: national ones as
// they are dialled there, international ones behind the plus sign (E.164:
// global services, satellites, and countries' ranges for paid services).
var premium = []string{
	"0900", "0901", "0906", "0909", "0190", "0137", "01900", "1900", "1976",
	"+979", "+808", "+881", "+882", "+883", "+870", "+878",
	"+1900", "+1976", "+49900", "+49190", "+49137", "+43900", "+43901", "+43930", "+43931", "+41900", "+41901", "+41906",
	"+449", "+4487", "+3389", "+31900", "+31906", "+31909", "+34803", "+34806", "+34807", "+39892", "+39895", "+39899",
	"+32900", "+45900", "+46900", "+46939", "+46944", "+47820", "+47829", "+48700", "+48701", "+48703", "+48704", "+420900", "+420906", "+420909", "+61190",
}

// Refuse tells why a destination may not be called; "" = it may. A destination
// is a number, a tel URI or the user part of a SIP URI; one that is no number is
// nobody's money and passes.
func (d Destinations) Refuse(destination string) string {
	forms := numberForms(destination)
	if len(forms) == 0 {
		return ""
	}
	allow, deny := longest(d.Allow, forms), longest(d.Deny, forms)
	switch {
	case deny > 0 && deny >= allow:
		return "the fleet denies calls to numbers that begin like " + shown(forms[0])
	case allow > 0:
		return ""
	case !d.AllowEmergency && isEmergency(forms):
		return "emergency numbers are not called (the fleet's destinations may allow it): " + shown(forms[0])
	case !d.AllowPremium && longest(premium, forms) > 0:
		return "premium-rate numbers are not called (the fleet's destinations may allow it): " + shown(forms[0])
	}
	return ""
}

// shown is a number in a message: its beginning tells which rule it met.
func shown(number string) string {
	if len(number) > 8 {
		return number[:8] + "…"
	}
	return number
}

func isEmergency(forms []string) bool {
	for _, f := range forms {
		f = strings.TrimPrefix(f, "+")
		if slices.Contains(emergency, f) {
			return true
		}
		for _, code := range accessCodes {
			if rest, ok := strings.CutPrefix(f, code); ok && slices.Contains(emergency, rest) {
				return true
			}
		}
	}
	return false
}

// longest gives the length of the longest prefix that one of the forms begins with.
func longest(prefixes, forms []string) int {
	best := 0
	for _, p := range prefixes {
		p = plain(p)
		for _, f := range forms {
			if p != "" && strings.HasPrefix(f, p) {
				best = max(best, len(p))
			}
		}
	}
	return best
}

// numberForms gives the ways a destination may be meant: as it is dialled, and
// with a plus sign where it begins like an international call. None when it is
// no number.
func numberForms(destination string) []string {
	s := strings.TrimSpace(destination)
	if scheme, rest, ok := strings.Cut(s, ":"); ok && slices.Contains([]string{"tel", "sip", "sips"}, strings.ToLower(scheme)) {
		s = rest
	}
	s, _, _ = strings.Cut(s, "@")
	s, _, _ = strings.Cut(s, ";")
	if decoded, err := url.PathUnescape(s); err == nil { // %39%31%31 is 911 to whoever routes it
		s = decoded
	}
	s, _, _ = strings.Cut(s, ";")
	s = plain(s)
	if strings.Trim(s, "+*#0123456789") != "" || strings.Trim(s, "+*#") == "" {
		return nil
	}
	forms := []string{s}
	add := func(f string) {
		if !slices.Contains(forms, f) {
			forms = append(forms, f)
		}
	}
	// International prefixes: 00 in most of the world, 011 in North America, 0011
	// in Australia; each perhaps behind an access code.
	for _, base := range append([]string{s}, withoutAccess(s)...) {
		add(base)
		for _, prefix := range []string{"0011", "011", "00"} {
			if rest, ok := strings.CutPrefix(base, prefix); ok && len(rest) > 3 {
				add("+" + rest)
			}
		}
	}
	slices.SortStableFunc(forms[1:], func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return forms
}

// withoutAccess takes an access code off a number that is long enough to have one.
func withoutAccess(s string) []string {
	var out []string
	for _, code := range accessCodes {
		if rest, ok := strings.CutPrefix(s, code); ok && len(rest) > 3 {
			out = append(out, rest)
		}
	}
	return out
}

// plain takes visual separators (RFC 3966 §5.1.1) out of a number.
func plain(s string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(" -.()/", c) || unicode.IsSpace(c) {
			return -1
		}
		return c
	}, s)
}

func (d Destinations) validate() error {
	for _, list := range []struct {
		field    string
		prefixes []string
	}{{"allow", d.Allow}, {"deny", d.Deny}} {
		for i, p := range list.prefixes {
			if digits := plain(p); strings.Trim(digits, "+*#0123456789") != "" || digits == "" {
				return fmt.Errorf("destinations.%s[%d]: %q is not the beginning of a number", list.field, i, p)
			}
		}
	}
	return notNegative([]bound{{"destinations.minutesPerDay", d.MinutesPerDay}})
}
