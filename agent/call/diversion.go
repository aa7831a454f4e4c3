package call

import (
	"slices"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// mostHistory bounds the entries of History-Info that are handed on.
const mostHistory = 32

// redirect gives the headers of a 302: where the call is to go, and that this line
// sent it there, both in the words of RFC 5806 and of RFC 7044. A target that the
// fleet's destinations refuse is not named: the server would call it on the
// account's bill.
func redirect(o Options, req *sip.Request, d treatment.Decision, end End) ([]sip.Header, End) {
	target, err := targetOf(d.Target, o.Account.Host, o.Link)
	if err != nil {
		return nil, End{Code: 480, Reason: "forwarding: " + err.Error(), By: Policy}
	}
	if why := o.Destinations.Refuse(target.User); why != "" {
		return nil, End{Code: 480, Reason: "forwarding: " + why, By: Policy}
	}
	target = o.Link.Secure(target)
	self := o.Link.URI(o.Account.Username, o.Account.Host)
	end.Contacts = []string{target.String()}
	contact := &sip.ContactHeader{Address: target}
	headers := []sip.Header{contact, sip.NewHeader("Diversion", "<"+self.String()+">;reason=unconditional")}
	entries := historyInfo(req, self)
	for _, entry := range entries {
		headers = append(headers, sip.NewHeader("History-Info", entry))
	}
	if from := indexOf(entries[len(entries)-1]); from != "" && knowsHistory(req) {
		contact.Params.Add("mp", from) // the target was mapped from this entry (RFC 7044)
	}
	return headers, end
}

// historyInfo is where a call has been and that it is at this line now: the
// entries the INVITE came with, or a first one for us (RFC 7044).
func historyInfo(req *sip.Request, self sip.Uri) []string {
	var entries []string
	for _, h := range req.GetHeaders("History-Info") {
		for element := range treatment.Split(h.Value(), ",") {
			if element != "" && len(entries) < mostHistory {
				entries = append(entries, printable(element))
			}
		}
	}
	if len(entries) == 0 {
		return []string{"<" + self.String() + ">;index=1"}
	}
	return entries
}

// knowsHistory tells whether the caller speaks RFC 7044.
func knowsHistory(req *sip.Request) bool {
	return len(req.GetHeaders("History-Info")) > 0 || slices.ContainsFunc(req.GetHeaders("Supported"), func(h sip.Header) bool {
		return slices.Contains(strings.Fields(strings.ReplaceAll(h.Value(), ",", " ")), "histinfo")
	})
}

// indexOf is the index parameter of an entry, "" when it is none.
func indexOf(element string) string {
	var u sip.Uri
	params := sip.NewParams()
	if _, err := sip.ParseAddressValue(element, &u, &params); err != nil {
		return ""
	}
	index := param(params, "index")
	for part := range strings.SplitSeq(index, ".") {
		if _, err := strconv.ParseUint(part, 10, 16); err != nil {
			return ""
		}
	}
	return index
}

// divertedBy tells whether a call was sent elsewhere by this account before, as
// Diversion says (RFC 5806: one for each who did).
func divertedBy(req *sip.Request, a *account.Account) bool {
	host := hostOf(a.Host)
	for _, h := range req.GetHeaders("Diversion") {
		for element := range treatment.Split(h.Value(), ",") {
			var u sip.Uri
			if _, err := sip.ParseAddressValue(element, &u, nil); err != nil {
				continue
			}
			if u.User == a.Username && strings.EqualFold(u.Host, host) {
				return true
			}
		}
	}
	return false
}

// hostOf is the host of a host[:port].
func hostOf(hostport string) string {
	var u sip.Uri
	if err := sip.ParseUri("sip:"+hostport, &u); err != nil {
		return hostport
	}
	return u.Host
}

// valueOf is the value of a header, "" when there is none.
func valueOf(req *sip.Request, name string) string {
	if h := req.GetHeader(name); h != nil {
		return strings.TrimSpace(h.Value())
	}
	return ""
}
