package call

import (
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emiago/sipgo/sip"
)

const mediaText = "text/plain"

// texted answers a MESSAGE (RFC 3428 §7), of a call or of none, and remembers what it
// says. It is taken as read: there is nobody to store it for, so 200 and not 202.
func (s *Set) texted(req *sip.Request, o Options, call string) *sip.Response {
	if !o.Account.AllowMessage {
		return reply(req, 405, list("Allow", allow(o)))
	}
	if len(req.Body()) > o.mostText() {
		return reply(req, 413)
	}
	if res := screenBody(req, mediaText); res != nil {
		return res
	}
	text, ok := plainText(req)
	if !ok {
		return reply(req, 415, sip.NewHeader("Accept", mediaText+";charset=UTF-8"))
	}
	caller := callerOf(req, o.Account.RemoteContact)
	m := Text{
		ID: newID(), Line: o.Line, Direction: In, Remote: caller.shown(caller.user()), RemoteName: caller.name, Anonymous: caller.anonymous,
		Call: call, Text: text, At: time.Now(), EndedAt: time.Now(), Code: 200, Reason: statusLine(200, ""),
		key: textKey{req.CallID().Value(), tagOf(req.From().Params), req.CSeq().SeqNo},
	}
	s.mu.Lock()
	twice := s.texts.came(m.key)
	if !twice {
		s.texts.add(m)
	}
	s.mu.Unlock()
	if twice {
		return reply(req, 482)
	}
	o.OnText(m)
	return reply(req, 200)
}

// mostText is the longest body that is taken or sent, bytes.
func (o Options) mostText() int {
	if n := o.Account.MaxMessageBodySize; n > 0 {
		return min(n, mostText)
	}
	return mostText
}

// plainText reads the body of a MESSAGE as UTF-8; false = in an encoding that nobody
// here knows.
func plainText(req *sip.Request) (string, bool) {
	body := req.Body()
	if len(body) == 0 {
		return "", true
	}
	_, params, _ := mime.ParseMediaType(req.ContentType().Value()) // its type was looked at
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii", "ascii":
		if utf8.Valid(body) {
			return string(body), true
		}
		return strings.ToValidUTF8(string(body), "\uFFFD"), true
	case "iso-8859-1", "latin1":
		runes := make([]rune, len(body))
		for i, b := range body {
			runes[i] = rune(b)
		}
		return string(runes), true
	}
	return "", false
}
