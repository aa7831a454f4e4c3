package call

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/agent/treatment"
)

// mostBody is more than any description, text or digit takes.
const mostBody = 32 << 10

// able are the headers by which a response tells what the line can do (RFC 3261 §11.2,
// §13.3.1.4).
func able(o Options) []sip.Header {
	return []sip.Header{
		list("Allow", allow(o)), list("Supported", supported(o)),
		sip.NewHeader("Accept", mediaSDP), sip.NewHeader("Accept-Encoding", "identity"),
	}
}

// queried answers OPTIONS: "the response code chosen MUST be the same that would have
// been chosen had the request been an INVITE" (§11.2), whom a line that is busy, or not
// to be disturbed, would refuse. Nothing else becomes of it: it is no call, and none is
// remembered.
func (s *Set) queried(req *sip.Request) *sip.Response {
	s.mu.Lock()
	o := s.opts
	in := s.gather(req, callerOf(req, o.Account.RemoteContact), 0)
	s.mu.Unlock()
	d := treatment.Decide(in)
	code, headers := 200, append(able(o), sip.NewHeader("Accept-Language", "en"))
	switch d.Action {
	case treatment.Reject:
		code = d.Code
	case treatment.Redirect:
		to, end := redirect(o, req, d, End{Code: d.Code})
		code, headers = end.Code, append(headers, to...)
	}
	res := reply(req, code, headers...)
	if res.Reason == "" {
		res.Reason = phraseOf(code)
	}
	return res
}

// unwanted says that a request wants only answers of kinds that we do not give: an
// INVITE is answered with a description (§21.4.7). Without a word it takes one (§20.1).
func unwanted(req *sip.Request) bool {
	headers := req.GetHeaders("Accept")
	for _, h := range headers {
		for kind := range strings.SplitSeq(h.Value(), ",") {
			kind, _, _ = strings.Cut(kind, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case mediaSDP, "application/*", "*/*":
				return false
			}
		}
	}
	return len(headers) > 0
}

// optional says that a body may be left alone (RFC 3261 §20.11, RFC 3204 §4).
func optional(disposition string) bool {
	for param := range strings.SplitSeq(disposition, ";") {
		name, value, _ := strings.Cut(param, "=")
		if strings.EqualFold(strings.TrimSpace(name), "handling") {
			return strings.EqualFold(strings.TrimSpace(value), "optional")
		}
	}
	return false
}

// warning says what is wrong with a description (§20.43): people who run both ends look
// there first.
func warning(err error) []sip.Header {
	code, text := sdp.Warning(err)
	text = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(printable(clip(text)))
	return []sip.Header{sip.NewHeader("Warning", fmt.Sprintf(`%d softphone "%s"`, code, text))}
}
