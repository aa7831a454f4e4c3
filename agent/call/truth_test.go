package call_test

import (
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// mixed is a body of several parts; each begins with its headers.
func mixed(parts ...string) []string {
	return []string{"Content-Type: multipart/mixed;boundary=b", "", "--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"}
}

// TestTruths has one row for every final response that a request may get of a line: the
// code, and the header or the words that say what is wrong. Those that package ua gives
// before a line is asked (400, 404, 414, 416, 420, 481, 501, 505, 513) are in its tests.
//
// Some codes are never sent: 483, as "an element receiving a request with Max-Forwards 0
// may answer it if it is for itself" (RFC 3261 §16.3), 484, as whatever number is called
// is this line's, 493 and 494, as no S/MIME and no security agreement is spoken: such a
// body is 415 (§23.2).
func TestTruths(t *testing.T) {
	const pcmu = "Content-Type: application/sdp\r\n\r\n" + offerPCMU
	offer := sdpBody(offerPCMU)
	evrc := sdpBody(strings.ReplaceAll(offerPCMU, "RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000", "RTP/AVP 96\r\na=rtpmap:96 EVRC/8000"))
	for sentence, c := range map[string]struct {
		change  func(*call.Options)
		method  string // within a call when the line is in one
		extra   []string
		want    string // of the response's first line
		headers map[string]string
	}{
		"200: what the line can do is in the answer to INVITE": {autoAnswer, "INVITE", offer, "200 OK", map[string]string{
			"Allow": "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY", "Supported": "replaces, 100rel, timer",
			"Accept": "application/sdp", "Accept-Encoding": "identity",
		}},
		"200: and in that to OPTIONS": {nil, "OPTIONS", nil, "200 OK", map[string]string{
			"Allow": "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY", "Supported": "replaces, 100rel, timer",
			"Accept": "application/sdp", "Accept-Encoding": "identity", "Accept-Language": "en",
		}},
		"200: the last hop may bring Max-Forwards 0":     {autoAnswer, "INVITE", append([]string{"Max-Forwards: 0"}, offer...), "200 OK", nil},
		"200: a description beside what may be left":     {autoAnswer, "INVITE", mixed("Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n\r\n\x01\x10", pcmu), "200 OK", nil},
		"200: a body that may be left alone":             {autoAnswer, "INVITE", []string{"Content-Type: application/pidf+xml", "Content-Disposition: render;handling=optional", "", "<x/>"}, "200 OK", nil},
		"200: whatever is accepted, so is a description": {autoAnswer, "INVITE", append([]string{"Accept: text/plain, application/*;q=0.5"}, offer...), "200 OK", nil},
		"302: forwarded, which OPTIONS tells as well": {func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "2001" }, "OPTIONS", nil,
			"302 Moved Temporarily", map[string]string{"Contact": "<sip:2001@pbx.test>"}},
		"400: without a Contact nobody is reached":        {nil, "INVITE", []string{"-Contact"}, "400 Missing Contact", nil},
		"400: parts without a boundary":                   {nil, "INVITE", []string{"Content-Type: multipart/mixed", "", "--b"}, "400 Malformed multipart body", nil},
		"400: an interval that is no number":              {nil, "INVITE", append([]string{"Session-Expires: x"}, offer...), "400 Malformed Session-Expires", nil},
		"405: a method the line does not take":            {nil, "SUBSCRIBE", nil, "405 Method Not Allowed", map[string]string{"Allow": "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY"}},
		"406: only answers that we do not give":           {autoAnswer, "INVITE", append([]string{"Accept: text/nobodyKnowsThis"}, offer...), "406 Not Acceptable", map[string]string{"Accept": "application/sdp"}},
		"413: more than a description takes":              {nil, "INVITE", sdpBody(offerPCMU + strings.Repeat("a=x\r\n", 10000)), "413 Request Entity Too Large", nil},
		"415: a body of another kind":                     {nil, "INVITE", []string{"Content-Type: text/html", "", "<p>"}, "415 Unsupported Media Type", map[string]string{"Accept": "application/sdp"}},
		"415: an encrypted one is another kind, too":      {nil, "INVITE", []string{"Content-Type: application/pkcs7-mime", "", "xx"}, "415 Unsupported Media Type", map[string]string{"Accept": "application/sdp"}},
		"415: a part of another kind that has to be read": {nil, "INVITE", mixed(pcmu, "Content-Type: application/isup\r\n\r\n\x01"), "415 Unsupported Media Type", map[string]string{"Accept": "application/sdp, multipart/mixed"}},
		"415: a compressed body":                          {nil, "INVITE", append([]string{"Content-Encoding: gzip"}, offer...), "415 Unsupported Media Type", map[string]string{"Accept-Encoding": "identity"}},
		"420: an extension that nobody knows":             {nil, "INVITE", append([]string{"Require: x-nothing"}, offer...), "420 Bad Extension", map[string]string{"Unsupported": "x-nothing"}},
		"422: an interval that is too short":              {nil, "INVITE", append([]string{"Supported: timer", "Session-Expires: 30"}, offer...), "422 Session Interval Too Small", map[string]string{"Min-SE": "90"}},
		"480: calls are turned off, and OPTIONS says so":  {func(o *call.Options) { o.Account.ICM = "off" }, "OPTIONS", nil, "480 Temporarily Unavailable", map[string]string{"Accept": "application/sdp"}},
		"481: no such dialog":                             {nil, "BYE", nil, "481 Call/Transaction Does Not Exist", nil},
		"486: busy, and OPTIONS says so":                  {func(o *call.Options) { autoAnswer(o); o.Caps.Concurrent = 1 }, "busy OPTIONS", nil, "486 Busy Here", nil},
		"486: busy":                                       {func(o *call.Options) { autoAnswer(o); o.Caps.Concurrent = 1 }, "busy INVITE", offer, "486 Busy Here", nil},
		"488: no codec in common": {autoAnswer, "INVITE", evrc, "488 Not Acceptable Here", map[string]string{
			"Warning": `305 softphone "codecs EVRC/8000 are offered, PCMU/8000, PCMA/8000 are spoken"`,
		}},
		"488: no audio": {autoAnswer, "INVITE", sdpBody(strings.Replace(offerPCMU, "m=audio", "m=video", 1)), "488 Not Acceptable Here", map[string]string{
			"Warning": `304 softphone "no audio is offered"`,
		}},
		"488: a description that is none": {autoAnswer, "INVITE", sdpBody("nonsense\r\n"), "488 Not Acceptable Here", nil},
		"200: in the call, OPTIONS":       {autoAnswer, "in-call OPTIONS", nil, "200 OK", map[string]string{"Accept": "application/sdp", "Accept-Encoding": "identity"}},
		"405: in the call":                {autoAnswer, "in-call MESSAGE", nil, "405 Method Not Allowed", map[string]string{"Allow": "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY"}},
		"415: in the call, INFO":          {autoAnswer, "in-call INFO", []string{"Content-Type: text/plain", "", "x"}, "415 Unsupported Media Type", map[string]string{"Accept": "application/dtmf-relay, application/dtmf"}},
		"469: an INFO package":            {autoAnswer, "in-call INFO", []string{"Info-Package: foo"}, "469 Bad Info Package", map[string]string{"Recv-Info": ""}},
		"481: PRACK of nothing":           {autoAnswer, "in-call PRACK", []string{"RAck: 1 1 INVITE"}, "481 Call/Transaction Does Not Exist", nil},
		"488: a re-INVITE without common codec": {autoAnswer, "in-call INVITE", evrc, "488 Not Acceptable Here", map[string]string{
			"Warning": `305 softphone "codecs EVRC/8000 are offered, PCMU/8000, PCMA/8000 are spoken"`,
		}},
		"488: an UPDATE without":               {autoAnswer, "in-call UPDATE", evrc, "488 Not Acceptable Here", nil},
		"489: an event that nobody watches":    {autoAnswer, "in-call NOTIFY", []string{"Event: x"}, "489 Bad Event", map[string]string{"Allow-Events": "refer"}},
		"422: a re-INVITE with a short timer":  {autoAnswer, "in-call INVITE", append([]string{"Supported: timer", "Session-Expires: 30"}, offer...), "422 Session Interval Too Small", map[string]string{"Min-SE": "90"}},
		"406: a re-INVITE that takes no words": {autoAnswer, "in-call INVITE", append([]string{"Accept: text/plain"}, offer...), "406 Not Acceptable", nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, c.change, func(b *bench) {
				tx := b.truth(c.method, c.extra)
				res := tx.last()
				if got := strings.TrimPrefix(res.StartLine(), "SIP/2.0 "); got != c.want {
					b.t.Fatalf("answered %s, want %s", got, c.want)
				}
				for name, want := range c.headers {
					if h := res.GetHeader(name); h == nil || h.Value() != want {
						b.t.Errorf("%s is %v, want %q", name, h, want)
					}
				}
				if res.IsSuccess() && tx.req.IsInvite() {
					(&caller{b: b, tx: tx, callID: tx.req.CallID().Value(), seq: 1}).ack()
				}
			})
		})
	}
}

// truth delivers a request: within a call ("in-call INFO"), beside one ("busy INVITE"),
// or on its own. An extra "-Name" takes a header away.
func (b *bench) truth(method string, extra []string) *serverTx {
	b.t.Helper()
	kind, plain, ok := strings.Cut(method, " ")
	if ok && kind == "in-call" {
		return b.talking().send(plain, extra...)
	}
	if ok {
		b.talking()
		method = plain
	}
	p := &caller{b: b, callID: "truth", seq: 1}
	lines := p.head(method, "")
	if method == "BYE" {
		lines = p.head(method, "nobody")
	}
	for len(extra) > 0 && strings.HasPrefix(extra[0], "-") {
		name := extra[0][1:]
		var kept []string
		for _, line := range lines {
			if !strings.HasPrefix(line, name+":") {
				kept = append(kept, line)
			}
		}
		lines, extra = kept, extra[1:]
	}
	if len(extra) > 0 && strings.HasPrefix(extra[0], "Max-Forwards") {
		lines = lines[:len(lines)-1]
	}
	return b.deliver(append(lines, extra...)...)
}

// TestMergedRequests: the same INVITE by two ways is one call (RFC 3261 §8.2.2.2).
func TestMergedRequests(t *testing.T) {
	simulate(t, autoAnswer, func(b *bench) {
		p := b.invite("a", sdpBody(offerPCMU)...)
		p.ack()
		lines := (&caller{b: b, callID: "a", seq: 1}).head("INVITE", "")
		lines[1] = "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKotherway"
		if got := b.deliver(append(lines, sdpBody(offerPCMU)...)...).codes(); got != "482" {
			b.t.Errorf("answered %s, want 482", got)
		}
		b.wantState(call.Established)
	})
}

// TestOPTIONSCallsNobody: asking is no call, and does not count as one.
func TestOPTIONSCallsNobody(t *testing.T) {
	simulate(t, func(o *call.Options) { autoAnswer(o); o.Caps.NewPerSecond = 1 }, func(b *bench) {
		for range 5 {
			if got := b.truth("OPTIONS", nil).codes(); got != "200" {
				b.t.Fatalf("answered %s", got)
			}
		}
		if rs := b.set.Records(); len(rs) != 0 {
			b.t.Errorf("remembered %+v", rs)
		}
		b.talking()
	})
}

// TestReasonsAreTold: why the other side ended a call is in its record (RFC 3326).
func TestReasonsAreTold(t *testing.T) {
	t.Run("BYE", func(t *testing.T) {
		simulate(t, autoAnswer, func(b *bench) {
			b.talking().send("BYE", `Reason: Q.850;cause=16;text="Normal call clearing"`)
			b.wantEnd(200, call.Remote, `BYE from the other side (Q.850;cause=16;text="Normal call clearing")`)
		})
	})
	t.Run("CANCEL", func(t *testing.T) {
		simulate(t, nil, func(b *bench) {
			p := b.invite("a", sdpBody(offerPCMU)...)
			cancel := parse(append(p.head("CANCEL", ""), `Reason: SIP;cause=200;text="Call completed elsewhere"`)...)
			p.tx.cancelWith(asRequest(cancel))
			b.wantEnd(487, call.Remote, `cancelled by the caller (SIP;cause=200;text="Call completed elsewhere")`)
		})
	})
	t.Run("no ACK", func(t *testing.T) {
		simulate(t, autoAnswer, func(b *bench) {
			b.invite("a", sdpBody(offerPCMU)...)
			time.Sleep(33 * time.Second)
			wantHeader(b.t, b.net.only("BYE").req, "Reason", `SIP;cause=408;text="no ACK within 32 s"`)
		})
	})
}
