package treatment

import (
	"fmt"
	"net/url"
	"strings"
)

// chooseAction turns a dial action into what an agent can do: a call, a call by way
// of an access number, or a URL that is told instead of a call. The rest needs a
// person or a telephone and is refused.
func chooseAction(w Wanted, p *Placement) string {
	switch p.DialAction {
	case "", "autoCall", "voiceCall":
		return ""
	case "forceOffnetCall":
		return "forceOffnetCall is an ordinary call; the server chooses the network"
	case "videoCall":
		return "videoCall is placed without video"
	case "callThrough":
		return callThrough(w, p)
	case "openUrl":
		return openURL(w, p)
	case "options", "customOptions":
		return p.refuse(Impossible, p.DialAction+" needs a person to choose")
	}
	return p.refuse(Impossible, fmt.Sprintf("%s is nothing an agent can do", p.DialAction))
}

// openURL tells the account's URL for this destination. It is not fetched.
func openURL(w Wanted, p *Placement) string {
	template := w.Account.CustomActionURL
	if template == "" {
		return p.refuse(Impossible, "openUrl needs a customActionUrl")
	}
	p.URL = strings.ReplaceAll(template, "%uri%", url.QueryEscape(p.destination()))
	return p.refuse(Opened, "openUrl: "+p.URL)
}

// destination is the number, or the URI as it stands.
func (p *Placement) destination() string {
	if p.isNumber {
		return p.number
	}
	return p.To
}

// callThrough dials the access number that cth_dialString begins with; what stands
// behind its first pause is sent as digits after the answer.
func callThrough(w Wanted, p *Placement) string {
	a := w.Account
	switch {
	case !a.CTHEnabled:
		return p.refuse(Impossible, "callThrough needs cth_enabled=1")
	case a.CTHDialString == "":
		return p.refuse(Impossible, "callThrough needs a cth_dialString")
	case !p.isNumber:
		return p.refuse(Impossible, "callThrough reaches numbers only")
	}
	filled := strings.NewReplacer("%targetNumber%", p.number, "%uri%", p.number, " ", "").Replace(a.CTHDialString)
	if strings.Contains(filled, "%") {
		return p.refuse(Impossible, "cth_dialString has a placeholder other than %targetNumber%")
	}
	access, digits := filled, ""
	if at := strings.IndexAny(filled, ",;pPwW"); at >= 0 {
		access, digits = filled[:at], filled[at:]
	}
	// A plus sign has no tone: what is dialled behind it is the same number.
	digits = strings.NewReplacer(";", ",", "p", ",", "P", ",", "w", ",", "W", ",", "+", "").Replace(digits)
	if access == "" || strings.Trim(digits, "0123456789*#ABCDabcd,") != "" {
		return p.refuse(Impossible, "cth_dialString is not a number, a pause and digits")
	}
	p.To, p.Reaches, p.Digits = access, p.number, digits
	return fmt.Sprintf("callThrough: %s is dialled, then %s", access, orNothing(digits))
}
