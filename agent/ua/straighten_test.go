package ua

import (
	"bytes"
	"testing"

	"github.com/emiago/sipgo/sip"
)

func TestBlanksInVia(t *testing.T) {
	const want = "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;rport"
	for says, via := range map[string]string{
		"none":                  "Via: " + want,
		"folded":                "Via: SIP/2.0/UDP 192.0.2.1:5070\r\n ;branch=z9hG4bK1\r\n\t;rport",
		"around marks":          "v : SIP / 2.0 / UDP   192.0.2.1 : 5070 ; branch = z9hG4bK1 ; rport",
		"a line of nothing but": "VIA:\r\n SIP/2.0/UDP\r\n 192.0.2.1:5070 ;branch=z9hG4bK1;rport",
	} {
		raw := []byte("OPTIONS sip:a SIP/2.0\r\n" + via + "\r\nSubject: a ; b\r\n c\r\nCSeq: 1 OPTIONS\r\n\r\nbody ; : = ,")
		msg, err := sip.ParseMessage(straighten(raw))
		if err != nil {
			t.Errorf("%s: %v", says, err)
			continue
		}
		if got := msg.(*sip.Request).Via().Value(); got != want {
			t.Errorf("%s: %q", says, got)
		}
		if !bytes.HasSuffix(straighten(raw), []byte("\r\n\r\nbody ; : = ,")) {
			t.Errorf("%s: what comes after the Vias was changed", says)
		}
	}
	two := straightVia("SIP / 2.0 / TCP a ; branch = 1 , SIP/2.0/UDP [2001:db8::1] : 5060")
	if two != "SIP/2.0/TCP a;branch=1,SIP/2.0/UDP [2001:db8::1]:5060" {
		t.Errorf("two values: %q", two)
	}
}

// FuzzStraighten: what is straight stays, and nothing becomes two messages.
func FuzzStraighten(f *testing.F) {
	f.Add([]byte("A sip:b SIP/2.0\r\nVia: SIP / 2.0/UDP a ;b\r\n =c\r\nX: \r\n y ;\r\n\r\nz"))
	f.Add([]byte(" ;\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		once := straighten(raw)
		if twice := straighten(once); !bytes.Equal(once, twice) {
			t.Errorf("%q becomes %q, and that %q", raw, once, twice)
		}
		if len(once) > len(raw)+16*bytes.Count(raw, []byte("\r\n"))+16 {
			t.Errorf("%d bytes became %d", len(raw), len(once))
		}
	})
}
