package ua

import (
	"net/netip"
	"regexp"
	"testing"

	"github.com/emiago/sipgo/sip"
)

func TestRequestUser(t *testing.T) {
	for datagram, want := range map[string]string{
		"INVITE sip:k3x@10.0.0.1:5060;ob SIP/2.0\r\n":     "k3x",
		"BYE sips:k3x:password@[2001:db8::1] SIP/2.0\r\n": "k3x",
		"BYE sip:k%33x@h SIP/2.0\r\nTo: <sip:other@h>":    "k3x",
		"BYE sip:h SIP/2.0\r\nTo: <sip:k3x@h>":            "",
		"BYE sip:h;user=k3x SIP/2.0\r\n":                  "",
		"BYE sip:%zz@h SIP/2.0\r\n":                       "%zz",
		"BYE sip:k3x@h":                                   "",
		"":                                                "",
	} {
		got, ok := requestUser([]byte(datagram))
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", datagram, got, ok, want)
		}
	}
}

// contactUser is what Contact users look like; only they are bound.
var contactUser = regexp.MustCompile(`^[a-z0-9]+$`)

// What a datagram is admitted by is what the parser takes for the Request-URI's
// user later: nothing for a line is turned away, and nothing else gets past.
func FuzzRequestUser(f *testing.F) {
	f.Add("INVITE sip:k3x@10.0.0.1 SIP/2.0\r\n")
	f.Add("OPTIONS sips:a%20b:c@[::1]:5061;transport=tls?x=y SIP/2.0\r\n")
	f.Add("OPTIONS tel:+1 SIP/2.0\r\n")
	f.Add("OPTIONS sip:k3x::@10.0.0.1 SIP/2.0\r\n")
	f.Add("SIP/2.0 200 OK\r\n")
	f.Fuzz(func(t *testing.T, line string) {
		user, _ := requestUser([]byte(line))
		msg, err := sip.ParseMessage([]byte(line + "Via: SIP/2.0/UDP h\r\n\r\n"))
		if err != nil {
			return
		}
		req, ok := msg.(*sip.Request)
		if !ok || req.Recipient.Scheme != "sip" && req.Recipient.Scheme != "sips" {
			return
		}
		parsed := unescapeUser(req.Recipient.User)
		if user != parsed && (contactUser.MatchString(user) || contactUser.MatchString(parsed)) {
			t.Errorf("%q: admitted for %q, handled for %q", line, user, parsed)
		}
	})
}

func BenchmarkStranger(b *testing.B) {
	e := &Endpoint{branches: "z9hG4bKsecret"}
	unbind, err := e.Bind("k3x", &testLine{})
	if err != nil {
		b.Fatal(err)
	}
	defer unbind()
	datagram := []byte("INVITE sip:1000@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n\r\n")
	from := netip.MustParseAddrPort("192.0.2.1:5060")
	b.ReportAllocs()
	for b.Loop() {
		if e.admit(datagram, from) != drop {
			b.Fatal("admitted")
		}
	}
}
