package call

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

func message(t *testing.T, lines ...string) sip.Message {
	t.Helper()
	m, err := sip.NewParser().ParseSIP([]byte(strings.Join(lines, "\r\n") + "\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func invitation4(t *testing.T, extra ...string) *sip.Request {
	return message(t, append([]string{
		"INVITE sip:bob@b.test SIP/2.0", "Via: SIP/2.0/UDP a.test;branch=z9hG4bK1",
		`From: "Alice" <sip:alice@a.test>;tag=A`, "To: <sip:bob@b.test>", "Call-ID: c1", "CSeq: 314 INVITE",
	}, extra...)...).(*sip.Request)
}

func answerTo(t *testing.T, extra ...string) *sip.Response {
	return message(t, append([]string{
		"SIP/2.0 200 OK", "Via: SIP/2.0/UDP a.test;branch=z9hG4bK1",
		`From: "Alice" <sip:alice@a.test>;tag=A`, "To: <sip:bob@b.test>;tag=B", "Call-ID: c1", "CSeq: 314 INVITE",
	}, extra...)...).(*sip.Response)
}

// line writes what of a request a dialog decides.
func line(req *sip.Request) string {
	s := fmt.Sprintf("%s %s from %s to %s call %s seq %s", req.Method, req.Recipient.String(),
		req.From().Value(), req.To().Value(), req.CallID().Value(), req.CSeq().Value())
	for _, h := range req.GetHeaders("Route") {
		s += " route " + h.Value()
	}
	return s
}

func TestDialog(t *testing.T) {
	for sentence, c := range map[string]struct {
		dialog *dialog
		want   string
		hop    string
	}{
		"as called: From and To change places, we count from one": {
			newUASDialog(invitation4(t, "Contact: <sip:alice@10.0.0.9:5070;ob>"), "B"),
			`BYE sip:alice@10.0.0.9:5070;ob from <sip:bob@b.test>;tag=B to "Alice" <sip:alice@a.test>;tag=A call c1 seq 1 BYE`, "sip:alice@10.0.0.9:5070;ob"},
		"as called: the route is the recorded one, in its order": {
			newUASDialog(invitation4(t, "Contact: <sip:alice@10.0.0.9>", "Record-Route: <sip:p2.test;lr>", "Record-Route: <sip:p1.test;lr>"), "B"),
			`BYE sip:alice@10.0.0.9 from <sip:bob@b.test>;tag=B to "Alice" <sip:alice@a.test>;tag=A call c1 seq 1 BYE route <sip:p2.test;lr> route <sip:p1.test;lr>`, "sip:p2.test;lr"},
		"as calling: we count on from the INVITE": {
			newUACDialog(invitation4(t), answerTo(t, "Contact: <sip:bob@10.0.0.8>")),
			`BYE sip:bob@10.0.0.8 from "Alice" <sip:alice@a.test>;tag=A to <sip:bob@b.test>;tag=B call c1 seq 315 BYE`, "sip:bob@10.0.0.8"},
		"as calling: the route is the recorded one reversed": {
			newUACDialog(invitation4(t), answerTo(t, "Contact: <sip:bob@10.0.0.8>", "Record-Route: <sip:p2.test;lr>, <sip:p1.test;lr>")),
			`BYE sip:bob@10.0.0.8 from "Alice" <sip:alice@a.test>;tag=A to <sip:bob@b.test>;tag=B call c1 seq 315 BYE route <sip:p1.test;lr> route <sip:p2.test;lr>`, "sip:p1.test;lr"},
		"without a Contact the target is what was called": {
			newUACDialog(invitation4(t), answerTo(t)),
			`BYE sip:bob@b.test from "Alice" <sip:alice@a.test>;tag=A to <sip:bob@b.test>;tag=B call c1 seq 315 BYE`, "sip:bob@b.test"},
		"a Contact that is not SIP is no target": {
			newUACDialog(invitation4(t), answerTo(t, "Contact: <tel:+15550100>")),
			`BYE sip:bob@b.test from "Alice" <sip:alice@a.test>;tag=A to <sip:bob@b.test>;tag=B call c1 seq 315 BYE`, "sip:bob@b.test"},
		"a strict router becomes the Request-URI, the target goes last": {
			newUACDialog(invitation4(t), answerTo(t, "Contact: <sip:bob@10.0.0.8>", "Record-Route: <sip:p2.test;lr>, <sip:p1.test;method=x>")),
			`BYE sip:p1.test from "Alice" <sip:alice@a.test>;tag=A to <sip:bob@b.test>;tag=B call c1 seq 315 BYE route <sip:p2.test;lr> route <sip:bob@10.0.0.8>`, "sip:p1.test;method=x"},
		"headers of a Contact URI do not become headers of requests": {
			newUACDialog(invitation4(t), answerTo(t, "Contact: <sip:bob@10.0.0.8?Route=evil>")),
			`BYE sip:bob@10.0.0.8 from "Alice" <sip:alice@a.test>;tag=A to <sip:bob@b.test>;tag=B call c1 seq 315 BYE`, "sip:bob@10.0.0.8"},
	} {
		if got := line(c.dialog.Request(sip.BYE)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", sentence, got, c.want)
		}
		hop := c.dialog.Hop()
		if got := hop.String(); got != c.hop {
			t.Errorf("%s: next hop %s, want %s", sentence, got, c.hop)
		}
	}
}

func TestACKHasTheNumberOfItsINVITE(t *testing.T) {
	d := newUACDialog(invitation4(t), answerTo(t))
	d.Request(sip.INFO)
	if got := d.ack(314).CSeq().Value(); got != "314 ACK" {
		t.Errorf("ACK has %s", got)
	}
	if got := d.Request(sip.BYE).CSeq().Value(); got != "316 BYE" {
		t.Errorf("BYE has %s: an ACK does not count", got)
	}
}

func TestRequestsOfADialogDoNotShare(t *testing.T) {
	d := newUACDialog(invitation4(t), answerTo(t, "Record-Route: <sip:p1.test;lr>"))
	d.Request(sip.INFO).From().Params.Add("tag", "changed")
	d.Request(sip.INFO).Route().Address.UriParams.Add("changed", "")
	if got := line(d.Request(sip.BYE)); strings.Contains(got, "changed") {
		t.Errorf("a change of one request is in the next: %s", got)
	}
}

func TestParseTarget(t *testing.T) {
	for to, want := range map[string]string{
		"2000":                          "sip:2000@pbx.test:5080",
		" +1 (555) 01-00 ":              "sip:+15550100@pbx.test:5080",
		"*98#":                          "sip:*98%23@pbx.test:5080",
		"alice":                         "sip:alice@pbx.test:5080",
		"alice.smith-x":                 "sip:alice.smith-x@pbx.test:5080",
		"tel:+1-555-0100;phone-ctx=x":   "sip:+15550100@pbx.test:5080",
		"sip:bob@b.test":                "sip:bob@b.test",
		"sip:bob@b.test;user=phone":     "sip:bob@b.test;user=phone",
		"bob@b.test:5070":               "sip:bob@b.test:5070",
		"sip:bob:secret@b.test?Via=x":   "sip:bob@b.test",
		"SIP:bob@[2001:db8::1]:5070":    "sip:bob@[2001:db8::1]:5070",
		"":                              "",
		"-":                             "",
		"a\tb":                          "",
		"<sip:a@b>":                     "",
		`a"b`:                           "",
		"sip:":                          "",
		"sip:@":                         "",
		"http://x/":                     "",
		"ünïcode":                       "",
		"sip:a@b;x=\r\nVia: y":          "",
		strings.Repeat("1", mostTarget): "sip:" + strings.Repeat("1", mostTarget) + "@pbx.test:5080",
	} {
		u, err := parseTarget(to, "pbx.test:5080")
		got := ""
		if err == nil {
			got = u.String()
		}
		if got != want || (err != nil) != (want == "") || err != nil && !errors.Is(err, ErrBadTarget) {
			t.Errorf("%q: got %q, %v; want %q", to, got, err, want)
		}
	}
}

func TestSecureTargetOfALine(t *testing.T) {
	for _, row := range []struct {
		transport ua.Transport
		to, want  string
	}{
		{ua.TLS, "sips:bob@b.test", "sips:bob@b.test"}, {ua.TLS, "SIPS:bob:x@b.test;p=1?h=2", "sips:bob@b.test;p=1"}, {ua.TLS, "2000", "sip:2000@pbx.test"},
		{ua.TLS, "sips:", ""}, {ua.TCP, "sips:bob@b.test", ""}, {ua.UDP, "sips:bob@b.test", ""},
	} {
		u, err := targetOf(row.to, "pbx.test", ua.Link{Transport: row.transport})
		if (err != nil) != (row.want == "") || err == nil && u.String() != row.want {
			t.Errorf("%s over %s: %s, %v; want %q", row.to, row.transport, u.String(), err, row.want)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"2000", "sip:bob:x@b.test;p=1?h=2", "tel:+1;x", "a@b", "sip:a@[::1]:5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, to string) {
		u, err := parseTarget(to, "pbx.test")
		if err != nil {
			return
		}
		if s := u.String(); strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == '<' || c == '>' || c == '"' || c == 0x7f }) || u.Host == "" {
			t.Errorf("%q became %q", to, s)
		}
	})
}

func TestInfoDigit(t *testing.T) {
	for body, want := range map[string]string{
		"relay Signal=5\r\nDuration=160\r\n":   "5",
		"relay Signal= #\nDuration=160":        "#",
		"relay Duration=160\r\nsignal = d\r\n": "D",
		"relay Signal=10":                      "*",
		"relay Signal=11":                      "#",
		"relay Signal=16":                      "",
		"relay Signal=55":                      "",
		"relay Signal=":                        "",
		"relay Signal":                         "",
		"relay":                                "",
		"plain 7":                              "7",
		"plain 7\r\n":                          "7",
		"plain x":                              "",
	} {
		kind, text, _ := strings.Cut(body, " ")
		mediaType := map[string]string{"relay": mediaDTMFRelay, "plain": mediaDTMF}[kind]
		got := ""
		if d, ok := infoDigit(mediaType, []byte(text)); ok {
			got = string(d)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", body, got, want)
		}
	}
}

func FuzzInfoDigit(f *testing.F) {
	f.Add("Signal=5\r\nDuration=160\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		for _, mediaType := range []string{mediaDTMF, mediaDTMFRelay} {
			if d, ok := infoDigit(mediaType, []byte(body)); ok && !strings.ContainsRune("0123456789*#ABCD", d) {
				t.Errorf("%q became %q", body, d)
			}
		}
	})
}
