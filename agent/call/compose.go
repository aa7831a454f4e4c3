package call

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// phrases of RFC 3261 §21 and its extensions, for the codes we send.
var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 302: "Moved Temporarily",
	400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout",
	413: "Request Entity Too Large", 415: "Unsupported Media Type", 420: "Bad Extension", 422: "Session Interval Too Small", 469: "Bad Info Package",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 486: "Busy Here",
	487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending", 500: "Server Internal Error", 503: "Service Unavailable", 504: "Server Time-out",
	600: "Busy Everywhere", 603: "Decline",
}

// phraseOf is the phrase of a code, of its class when it is a rarer one (§7.2).
func phraseOf(code int) string {
	if p := phrases[code]; p != "" {
		return p
	}
	return [...]string{"Progress", "Success", "Redirection", "Request Failure", "Server Failure", "Global Failure"}[code/100-1]
}

// reply builds a response to req, whose To tag, if it has none, becomes a new one.
func reply(req *sip.Request, code int, headers ...sip.Header) *sip.Response {
	res := sip.NewResponseFromRequest(req, code, phrases[code], nil)
	for _, h := range headers {
		res.AppendHeader(h)
	}
	return res
}

// status writes a response as people do: "486 Busy Here".
func status(res *sip.Response) string { return statusLine(res.StatusCode, res.Reason) }

func statusLine(code int, reason string) string {
	if reason = strings.TrimSpace(reason); reason == "" {
		reason = phrases[code]
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, clip(printable(reason))))
}

// printable drops control characters of what the network sent.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, s)
}

// reasonHeader says in a BYE or CANCEL why (RFC 3326).
func reasonHeader(cause int, text string) sip.Header {
	text = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(printable(text))
	return sip.NewHeader("Reason", fmt.Sprintf(`SIP;cause=%d;text="%s"`, cause, text))
}

// list writes a header with a list of tokens.
func list[T ~string](name string, values []T) sip.Header {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(v))
	}
	return sip.NewHeader(name, b.String())
}

// withTag puts our tag into the To of a request, so that every response to it,
// the transaction layer's own 487 included, carries the same (RFC 3261
// §8.2.6.2). The header is replaced, not changed: a transaction may read it now.
func withTag(req *sip.Request, tag string) {
	to := toOf(req)
	to.Params.Add("tag", tag)
	req.ReplaceHeader(&to)
}

// bodyOf gives the body of a message and its media type in lower case, without
// parameters; a body without a type is SDP, as there is nothing else it could be.
func bodyOf(m interface {
	Body() []byte
	ContentType() *sip.ContentTypeHeader
}) (body []byte, mediaType string) {
	body = m.Body()
	if len(body) == 0 {
		return nil, ""
	}
	mediaType = mediaSDP
	if h := m.ContentType(); h != nil {
		mediaType, _, _ = strings.Cut(h.Value(), ";")
		mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	}
	return body, mediaType
}

const mediaSDP = "application/sdp"

// sdpOf is the session description of a message, nil when it has none.
func sdpOf(m interface {
	Body() []byte
	ContentType() *sip.ContentTypeHeader
}) []byte {
	body, t := bodyOf(m)
	switch t {
	case mediaSDP:
		return body
	case mediaMixed:
		all, _ := parts(m)
		for _, p := range all {
			if p.kind == mediaSDP {
				return p.body
			}
		}
	}
	return nil
}

// setSDP makes a description the body of a message.
func setSDP(m interface {
	AppendHeader(sip.Header)
	SetBody([]byte)
}, body []byte) {
	contentType := sip.ContentTypeHeader(mediaSDP)
	m.AppendHeader(&contentType)
	m.SetBody(body)
}
