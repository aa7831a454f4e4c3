package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// One socket serves both families: lines registered over each, and a call over
// IPv6 with audio in both directions.
func TestBothFamilies(t *testing.T) {
	t.Parallel()
	six, host6 := registrar(t, kamailio.Config{Listen: netip.AddrPortFrom(netip.IPv6Loopback(), 0)}, "alice", "bob")
	_, host4 := registrar(t, kamailio.Config{}, "carol")
	port, err := process.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	a := startAgent(t, options{
		args: []string{"--sip", fmt.Sprintf("[::]:%d", port)},
		files: map[string]string{
			"alice.xml": accountXML("alice", "secret-alice", host6), "bob.xml": accountXML("bob", "secret-bob", host6, autoAnswer),
			"carol.xml": accountXML("carol", "secret-carol", host4),
		},
	})
	for name, address := range map[string]string{"alice": "@[::1]:", "bob": "@[::1]:", "carol": "@127.0.0.1:"} {
		if l, _ := a.awaitLine(name, "registered"); !strings.Contains(l.Contact, address) {
			t.Errorf("%s's Contact is %s, want %s in it", name, l.Contact, address)
		}
	}
	awaitBindings(t, six, "alice", 1)
	id := a.dial(`{"line":"alice","to":"bob","seconds":3,"toneHz":1004}`)
	in := a.awaitIncoming("bob", "hears alice", func(r record) bool { return established(r) && near(r, 1004) })
	out := a.awaitCall(id, "hears the echo", func(r record) bool { return near(r, 1004) })
	end := a.awaitCall(id, "ended", ended)
	if end.RTP.Lost > 2 || end.RTP.Received < 50 {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "kamailio", "over ::1: there %s, back %s, sent/received/lost %d/%d/%d; 127.0.0.1 by the same socket",
		heard(in), heard(out), end.RTP.Sent, end.RTP.Received, end.RTP.Lost)
}
