package trace

import (
	"bytes"
	"strings"
	"testing"
)

// crlf writes a message's lines as SIP has them.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") }

func TestWhatIsTakenOut(t *testing.T) {
	for says, c := range map[string]struct{ in, out string }{
		"a digest answer keeps who and how": {
			`Authorization: Digest username="alice", realm="a, b", nonce="n1", uri="sip:x", response="abc", cnonce="c1", nc=00000001, qop=auth, opaque="o1", algorithm=MD5`,
			`Authorization: Digest username="alice", realm="a, b", nonce=***, uri="sip:x", response=***, cnonce=***, nc=00000001, qop=auth, opaque=***, algorithm=MD5`,
		},
		"in any case, folded, with blanks": {
			"PROXY-authorization : digest\r\n RESPONSE = \"abc\" ,\r\n\tusername=\"a\\\"b\", nonce=\"n,1\"",
			"PROXY-authorization : digest\r\n RESPONSE =***,\r\n\tusername=\"a\\\"b\", nonce=***",
		},
		"a quote that never ends": {`Authorization: Digest nonce="n1, response="abc`, `Authorization: Digest nonce=***`},
		"a challenge":             {`WWW-Authenticate: Digest realm="r", nonce="n1", stale=true, qop="auth"`, `WWW-Authenticate: Digest realm="r", nonce=***, stale=true, qop="auth"`},
		"the proof of a server":   {`Authentication-Info: nextnonce="n2", rspauth="abc", qop=auth`, `Authentication-Info: nextnonce=***, rspauth=***, qop=auth`},
		"a password in the clear": {`Authorization: Basic YWxpY2U6c2VjcmV0`, `Authorization: Basic ***`},
		"a token":                 {`Authorization: Bearer abc`, `Authorization: Bearer ***`},
		"a token without scheme":  {`Authorization: abc`, `Authorization:  ***`},
		"a password in a URI":     {`Contact: <sip:alice:secret@192.0.2.1:5060;x=y>;q=1`, `Contact: <sip:alice:***@192.0.2.1:5060;x=y>;q=1`},
		"one with an @ in it":     {`From: "A" <sips:alice:sec@ret@h>;tag=1`, `From: "A" <sips:alice:***@h>;tag=1`},
		"one of a web page":       {`Call-Info: <https://alice:secret@h/x>;purpose=icon`, `Call-Info: <https://alice:***@h/x>;purpose=icon`},
		"two URIs":                {`Route: <sip:a:p1@h;lr>, <sip:b@h;lr>, <sip:c:p2@h;lr>`, `Route: <sip:a:***@h;lr>, <sip:b@h;lr>, <sip:c:***@h;lr>`},
		"an address stays":        {`To: <sip:bob@[2001:db8::1]:5060>`, `To: <sip:bob@[2001:db8::1]:5060>`},
		"an instance stays":       {`Contact: <sip:u@h>;+sip.instance="<urn:uuid:1-2>";reg-id=1`, `Contact: <sip:u@h>;+sip.instance="<urn:uuid:1-2>";reg-id=1`},
		"a Call-ID stays":         {`Call-ID: a:b:c@h`, `Call-ID: a:b:c@h`},
		"a branch stays":          {`Via: SIP/2.0/UDP h:5060;branch=z9hG4bKa:b@c`, `Via: SIP/2.0/UDP h:5060;branch=z9hG4bKa:b@c`},
		"a key of somebody's own": {`X-Api-Key: abc`, `X-Api-Key: ***`},
		"a token of their own":    {"X-Tenant-Token: abc\r\n def", "X-Tenant-Token: ***"},
		"a header of their own":   {`X-Site: north`, `X-Site: north`},
	} {
		head, tail := "INVITE sip:bob@h SIP/2.0\r\n", "\r\nMax-Forwards: 70\r\n\r\n"
		got, _ := redact(nil, []byte(head+c.in+tail))
		if want := head + c.out + tail; string(got) != want {
			t.Errorf("%s:\n%s\nwant\n%s", says, got, want)
		}
		bare := strings.ReplaceAll(head+c.in+tail, "\r\n", "\n") // as some send it
		if got, _ := redact(nil, []byte(bare)); string(got) != strings.ReplaceAll(head+c.out+tail, "\r\n", "\n") {
			t.Errorf("%s, lines ending in LF:\n%s", says, got)
		}
	}
}

func TestWhatIsTakenOutOfBodies(t *testing.T) {
	for says, c := range map[string]struct{ method, headers, in, out string }{
		"the keys of SRTP": {"INVITE", "Content-Type: application/sdp", crlf("v=0", "k=base64:a2V5", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32", "a=ice-ufrag:u", "a=ice-pwd:p1", "a=sendrecv", ""),
			crlf("v=0", "k=***********", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:**************************************************", "a=ice-ufrag:u", "a=ice-pwd:**", "a=sendrecv", "")},
		"in the other case":          {"UPDATE", "c: application/sdp", "A=CRYPTO:1 X INLINE:abc", "A=CRYPTO:* * **********"},
		"in a part of many":          {"INVITE", "Content-Type: multipart/mixed;boundary=b", "--b\r\n\r\na=crypto:1 X inline:abc\r\n--b--", "--b\r\n\r\na=crypto:1 X inline:***\r\n--b--"},
		"digits (dtmf-relay)":        {"INFO", "Content-Type: application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "Signal=*\r\nDuration=160\r\n"},
		"digits (dtmf)":              {"INFO", "Content-Type: application/dtmf", "5", "*"},
		"digits of whatever kind":    {"INFO", "Content-Type: text/x", "pin 1234", "*** ****"},
		"digits one subscribed to":   {"NOTIFY", "Content-Type: application/KPML-response+xml", `<x digits="42"/>`, "** *************"},
		"what people write":          {"MESSAGE", "Content-Type: text/plain", "meet at 9\r\n", "**** ** *\r\n"},
		"what cannot be looked into": {"NOTIFY", "Content-Encoding: gzip", "abc", "***"},
		"the state of a mailbox":     {"NOTIFY", "Content-Type: application/simple-message-summary\r\nContent-Encoding: identity", "Messages-Waiting: yes\r\n", "Messages-Waiting: yes\r\n"},
	} {
		head := c.method + " sip:bob@h SIP/2.0\r\nCSeq: 1 " + c.method + "\r\n" + c.headers + "\r\n\r\n"
		got, _ := redact(nil, []byte(head+c.in))
		if string(got) != head+c.out {
			t.Errorf("%s:\n%q\nwant\n%q", says, got, head+c.out)
		}
		if len(c.in) != len(c.out) {
			t.Errorf("%s: the length changed, Content-Length did not", says)
		}
	}
}

func TestWhereAMessageBelongs(t *testing.T) {
	for says, c := range map[string]struct {
		message            string
		id, method, number string
		code               int
	}{
		"a request":               {"BYE sip:a@h SIP/2.0\r\nCall-ID: 1@h\r\nCSeq: 7 BYE\r\n\r\n", "1@h", "BYE", "7", 0},
		"a response":              {"SIP/2.0 486 Busy Here\r\ni : 1@h\r\ncSeq:7  INVITE\r\n\r\n", "1@h", "INVITE", "7", 486},
		"a CSeq of another":       {"BYE sip:a@h SIP/2.0\r\nCSeq: 7 INVITE\r\n\r\n", "", "BYE", "7", 0},
		"a response without code": {"SIP/2.0 hello\r\n\r\n", "", "", "", -1},
		"no message at all":       {"\x00\xff", "", "\x00\xff", "", 0},
		"nothing":                 {"", "", "", "", 0},
	} {
		_, f := redact(nil, []byte(c.message))
		if string(f.callID) != c.id || string(f.method) != c.method || string(f.cseq) != c.number || f.code != c.code {
			t.Errorf("%s: %q %q %q %d", says, f.callID, f.method, f.cseq, f.code)
		}
	}
}

// FuzzRedact: whatever the message, its digest response and keys are not in what is kept.
func FuzzRedact(f *testing.F) {
	f.Add([]byte("INVITE sip:a@h SIP/2.0\r\nCall-ID: 1\r\n"), []byte("X: 1\r\n"))
	f.Add([]byte("SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n"), []byte("a: b\r\n c\r\n"))
	f.Add([]byte(""), []byte("\n"))
	const secret = "5ebe2294ecd0e0f08eab7690d2a6ee69"
	f.Fuzz(func(t *testing.T, before, after []byte) {
		if bytes.Contains(before, []byte(secret)) || bytes.Contains(after, []byte(secret)) {
			return
		}
		_, _ = redact(nil, append(bytes.Clone(before), after...))
		if _, rest, ok := bytes.Cut(append(before, '\n'), []byte("\n")); !ok || Body(append(rest, '\n')) != nil && len(Body(append([]byte("x\n"), rest...))) > 0 {
			return // what follows is in the body
		}
		for _, header := range []string{`Authorization: Digest username="a", response="` + secret + `"`, `Proxy-Authorization: Digest response=` + secret, "Contact: <sip:a:" + secret + "@h>"} {
			raw := append(append(bytes.Clone(before), "\r\n"+header+"\r\n"...), after...)
			if kept, _ := redact(nil, raw); bytes.Contains(kept, []byte(secret)) && !emptyLine(before) {
				t.Errorf("%q is kept of %q", secret, raw)
			}
		}
	})
}

// emptyLine tells whether headers end within b, or as soon as a line end follows.
func emptyLine(b []byte) bool {
	_, rest := cutLine(append(bytes.Clone(b), '\r', '\n'))
	for len(rest) > 0 {
		var line []byte
		if line, rest = cutHeader(rest); len(trimEnd(line)) == 0 {
			return true
		}
	}
	return false
}
