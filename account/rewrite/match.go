package rewrite

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/softphone-operator/softphone-operator/account"
)

// match cuts the number where the rule's first condition on a part of it matched,
// or says which condition does not hold.
func match(rule account.Rule, number string, n Network) (*parts, string) {
	for _, a := range rule.Actions {
		if !account.KnownAction(a.Type) {
			return nil, fmt.Sprintf("action %s is unknown", a.Type)
		}
	}
	whole := &parts{tail: number}
	cut := whole
	for _, c := range rule.Conditions {
		if why := fails(c, number, n); why != "" {
			return nil, why
		}
		if cut == whole && account.MatchesPart(c) {
			at := strings.Index(number, c.Param)
			cut = &parts{head: number[:at], matched: c.Param, tail: number[at+len(c.Param):]}
		}
	}
	return cut, ""
}

// fails says why a condition does not hold; empty: it does.
func fails(c account.Clause, number string, n Network) string {
	said := strings.TrimSpace(c.Type + " " + c.Param)
	var holds bool
	switch c.Type {
	case "startsWith":
		holds = strings.HasPrefix(number, c.Param)
	case "doesntStartWith":
		holds = !strings.HasPrefix(number, c.Param)
	case "equals":
		holds = number == c.Param
	case "contains":
		holds = strings.Contains(number, c.Param)
	case "numeric":
		holds = numeric(number)
	case "lengthEquals", "shorterThan", "longerThan":
		return failsLength(c, number)
	case "networkType":
		if holds = onNetwork(c.Param, n.Type); !holds {
			return fmt.Sprintf("%s: the network is %s", said, n.Type)
		}
	case "ssid":
		if holds = c.Param == n.SSID; !holds {
			return fmt.Sprintf("%s: the network is %q", said, n.SSID)
		}
	default:
		return fmt.Sprintf("condition %s is unknown", c.Type)
	}
	if holds {
		return ""
	}
	return fmt.Sprintf("%s: the number is %s", said, number)
}

// numeric: digits only, after a + if there is one.
func numeric(number string) bool {
	digits := strings.TrimPrefix(number, "+")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

func failsLength(c account.Clause, number string) string {
	want, err := strconv.Atoi(c.Param)
	if err != nil || want < 0 {
		return fmt.Sprintf("%s %s: not a length", c.Type, c.Param)
	}
	length := utf8.RuneCountInString(number)
	if c.Type == "lengthEquals" && length == want || c.Type == "shorterThan" && length < want || c.Type == "longerThan" && length > want {
		return ""
	}
	return fmt.Sprintf("%s %d: the number has %d characters", c.Type, want, length)
}

// onNetwork: any is wifi or cellular, none is no network at all.
func onNetwork(want, have string) bool {
	if want == "any" {
		return have == "wifi" || have == "cellular"
	}
	return want != "" && want == have
}
