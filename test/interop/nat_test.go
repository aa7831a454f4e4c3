package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/relay"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// Behind a NAT, which the relay is to both sides: with contactIP=external the Contact
// is where the registrar sees the line, and calls come by it. When the NAT forgets its
// mappings the line is called under the next one, as soon as OPTIONS have shown it.
func TestContactBehindANAT(t *testing.T) {
	r, host := registrar(t, kamailio.Config{}, "alice")
	nat := relay.ForTest(t, relay.Config{Upstream: r.Addr()})
	a := startAgent(t, options{files: map[string]string{
		"agent.json": `{"registrar":{"qualifySeconds":1}}`,
		"alice.xml": accountXML("alice", "secret-alice", host, "<proxy>"+nat.Addr().String()+"</proxy>",
			"<contactIP>external</contactIP>", "<expires>3600</expires>", autoAnswer),
	}})
	a.awaitLine("alice", "registered")
	own := fmt.Sprintf("127.0.0.1:%d", a.sip)
	check := func(before string) (public string) {
		t.Helper()
		eventually(t, "the binding leads through the NAT", func() (bool, string) {
			l, all := a.line("alice"), contacts(t, r, "alice")
			public = l.Public
			return public != before && public != own && len(all) == 1 && strings.Contains(all[0].Contact, "@"+public+";") && all[0].Contact == l.Contact,
				fmt.Sprintf("%+v, %+v", l, all)
		})
		finished(t, callAlice(t, r, sipp.Caller{Hold: 200 * time.Millisecond}))
		return public
	}
	first := check("")
	nat.Rebind()
	began := time.Now()
	second := check(first)
	took := time.Since(began)
	outcome(t, "kamailio", "behind a NAT as %s; %s after it forgot that, called as %s", first, ms(took), second)
}

// With contactIP=static others are told forcedContact, with our port.
func TestContactAsForced(t *testing.T) {
	r, host := registrar(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host, "<contactIP>static</contactIP>", "<forcedContact>127.0.0.2</forcedContact>"),
	}})
	a.awaitLine("alice", "registered")
	if b := awaitBindings(t, r, "alice", 1)[0]; !strings.Contains(b.Contact, fmt.Sprintf("@127.0.0.2:%d;", a.sip)) {
		t.Errorf("bound: %s", b.Contact)
	}
	a.remove("alice.xml")
	awaitBindings(t, r, "alice", 0)
}
