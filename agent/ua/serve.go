package ua

import (
	"runtime/debug"
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// handle takes a new request from the transaction layer, in its turn, and gives it
// to its line or answers it.
func (e *Endpoint) handle(req *sip.Request, tx *serverTx) {
	panicked := e.Guard("request", func() { e.route(req, tx) })
	if panicked && !req.IsAck() {
		e.Guard("request", func() { e.answer(req, tx, 500, "Server Internal Error") })
	}
}

// Guard calls f and turns a panic in it into a log line and a count.
func (e *Endpoint) Guard(line string, f func()) (panicked bool) {
	defer func() {
		if v := recover(); v != nil {
			panicked = true
			e.count.panics.Add(1)
			e.log.Error("panic caught", "line", line, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f()
	return false
}

// known are the methods of RFC 3261 and its extensions: refused with 405, while
// 501 is "the appropriate response when a UAS does not recognize the request
// method" (§21.5.2).
var known = []sip.RequestMethod{
	sip.INVITE, sip.ACK, sip.CANCEL, sip.BYE, sip.OPTIONS, sip.REGISTER, sip.SUBSCRIBE, sip.NOTIFY,
	sip.REFER, sip.INFO, sip.MESSAGE, sip.PRACK, sip.UPDATE, sip.PUBLISH,
}

// route walks the checks of RFC 3261 §8.2 in their order.
func (e *Endpoint) route(req *sip.Request, tx *serverTx) {
	if code, reason := inspect(req); code != 0 {
		e.count.malformed.Add(1)
		e.answer(req, tx, code, reason)
		return
	}
	l := e.lines.find(req)
	if l == nil {
		e.answerNobody(req, tx)
		return
	}
	if insecure(l, req) {
		e.refuseInsecure(req, tx)
		return
	}
	allow, supported := e.cfg.Allow, []string(nil)
	c, capable := l.(Capable)
	if capable {
		allow, supported = c.Allow(), c.Supported()
	}
	switch {
	case req.IsAck():
		l.HandleRequest(req, tx)
	case req.IsCancel():
		e.answer(req, tx, 481, "Call/Transaction Does Not Exist")
	case !slices.Contains(known, req.Method) && !slices.Contains(allow, req.Method):
		e.answer(req, tx, 501, "Not Implemented")
	case !slices.Contains(allow, req.Method):
		// "The response MUST include an Allow header field" (§21.4.6).
		e.answer(req, tx, 405, "Method Not Allowed", list("Allow", allow))
	case len(unsupported(req, supported)) > 0:
		e.answer(req, tx, 420, "Bad Extension", list("Unsupported", unsupported(req, supported)))
	case req.Method == sip.OPTIONS && !capable:
		e.answerOptions(req, tx, allow, supported)
	default:
		l.HandleRequest(req, tx)
	}
}

// answerNobody answers a request that came from a line's server or was for a
// line that has just gone, and that no line takes.
func (e *Endpoint) answerNobody(req *sip.Request, tx *serverTx) {
	switch {
	case req.IsCancel() || inDialog(req):
		e.answer(req, tx, 481, "Call/Transaction Does Not Exist")
	case req.Method == sip.OPTIONS && req.Recipient.User == "":
		e.answerOptions(req, tx, e.cfg.Allow, nil)
	case !slices.Contains(known, req.Method):
		e.answer(req, tx, 501, "Not Implemented")
	default:
		e.answer(req, tx, 404, "Not Found")
	}
}

// answerOptions tells what a line can do (RFC 3261 §11.2).
func (e *Endpoint) answerOptions(req *sip.Request, tx *serverTx, allow []sip.RequestMethod, supported []string) {
	headers := []sip.Header{
		list("Allow", allow),
		sip.NewHeader("Accept", "application/sdp"),
		sip.NewHeader("Accept-Encoding", "identity"),
		sip.NewHeader("Accept-Language", "en"),
	}
	if len(supported) > 0 {
		headers = append(headers, list("Supported", supported))
	}
	e.answer(req, tx, 200, "OK", headers...)
}

// answer sends a response; ACK has none.
func (e *Endpoint) answer(req *sip.Request, tx *serverTx, code int, reason string, headers ...sip.Header) {
	if req.IsAck() {
		return
	}
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	res.SipVersion = "SIP/2.0"
	for _, h := range headers {
		res.AppendHeader(h)
	}
	res.AppendHeader(sip.NewHeader("Server", e.cfg.UserAgent))
	if err := tx.Respond(res); err != nil {
		e.log.Debug("answer not sent", "method", req.Method, "code", code, "error", err)
	}
}

// inspect gives the response a request deserves that is not well formed, or 0.
// "A valid SIP request formulated by a UAC MUST, at a minimum, contain the
// following header fields: To, From, CSeq, Call-ID, Max-Forwards, and Via"
// (RFC 3261 §8.1.1); Max-Forwards is not missed here.
func inspect(req *sip.Request) (code int, reason string) {
	from, cseq := req.From(), req.CSeq()
	switch {
	case req.SipVersion != "SIP/2.0":
		return 505, "Version Not Supported"
	case req.Recipient.Scheme != "sip" && req.Recipient.Scheme != "sips":
		return 416, "Unsupported URI Scheme"
	case req.To() == nil:
		return 400, "Missing To"
	case from == nil:
		return 400, "Missing From"
	case !from.Params.Has("tag") && !isOlder(req):
		return 400, "Missing From tag"
	case req.CallID() == nil:
		return 400, "Missing Call-ID"
	case cseq == nil:
		return 400, "Missing CSeq"
	case !strings.EqualFold(strings.TrimSpace(string(cseq.MethodName)), string(req.Method)):
		return 400, "CSeq method does not match"
	}
	for _, name := range single {
		if len(req.GetHeaders(name)) > 1 {
			return 400, "More than one " + name
		}
	}
	return 0, ""
}

// single are headers whose value would be anybody's guess were there two (§7.3.1,
// RFC 4475 §3.3.8 and §3.3.9).
var single = []string{"To", "From", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type"}

// isOlder tells a peer of RFC 2543 by its branch; it owes us less (RFC 4475 §3.4.1).
func isOlder(req *sip.Request) bool {
	branch := ""
	if via := req.Via(); via != nil {
		branch, _ = via.Params.Get("branch")
	}
	return !strings.HasPrefix(branch, sip.RFC3261BranchMagicCookie)
}

func inDialog(req *sip.Request) bool { return req.To() != nil && req.To().Params.Has("tag") }

// unsupported are the option tags of Require that the line does not support
// (RFC 3261 §8.2.2.3; ignored in ACK and CANCEL, which do not come here).
func unsupported(req *sip.Request, supported []string) []string {
	var tags []string
	for _, h := range req.GetHeaders("Require") {
		for tag := range strings.SplitSeq(h.Value(), ",") {
			if tag = strings.TrimSpace(tag); tag != "" && !slices.Contains(supported, strings.ToLower(tag)) {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}

func list[T ~string](name string, values []T) sip.Header {
	s := make([]string, len(values))
	for i, v := range values {
		s[i] = string(v)
	}
	return sip.NewHeader(name, strings.Join(s, ", "))
}
