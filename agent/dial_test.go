package agent

import (
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/provisioning"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// TestADeliveredKeyOutlivesItsSnapshot: a snapshot is emptied once it is in force.
func TestADeliveredKeyOutlivesItsSnapshot(t *testing.T) {
	s, err := open(Options{Accounts: t.TempDir(), State: t.TempDir(), SIP: netip.MustParseAddrPort("127.0.0.1:0"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.closeSockets()
	defer s.checks.Close()
	s.apply(t.Context(), provisioning.Snapshot{Loaded: true, Agent: delivery.Agent{HashKey: []byte("key")}.Defaults()})
	if got := string(s.env.hashKey()); got != "key" {
		t.Errorf("the key in force is %q", got)
	}
}

// TestDialOutFindsTheOtherLine names it by its line, or by a title that is its alone.
func TestDialOutFindsTheOtherLine(t *testing.T) {
	const off = "<icm>off</icm><requiresRegistrationForOutgoingCalls>0</requiresRegistrationForOutgoingCalls>"
	rules := "<rewriting>"
	for number, to := range map[string]string{"1": "bob", "2": "The trunk", "3": "Twice", "4": "carol", "5": "alice"} {
		rules += `<rule><condition type="equals" param="` + number + `"/><action type="dialOut" param="` + to + `"/></rule>`
	}
	g := start(t, map[string]string{
		"alice.xml":  lineXML("alice", "127.0.0.1:9", off, rules+"</rewriting>"),
		"bob.xml":    lineXML("bob", "127.0.0.1:9", off, "<title>The trunk</title>"),
		"carol.xml":  lineXML("carol", "127.0.0.1:9", off, "<title>Twice</title>"),
		"dave.xml":   lineXML("dave", "127.0.0.1:9", off, "<title>Twice</title>"),
		"agent.json": `{"version":1,"lines":{"carol":{"suspended":true}}}`,
	})
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		g.awaitState(name, delivery.Disabled)
	}
	for number, want := range map[string]string{"1": "bob", "2": "bob", "5": "alice", "6": "alice"} {
		id, err := g.Dial(t.Context(), control.Dial{Line: "alice", Dial: call.Dial{To: number}})
		if err != nil {
			t.Errorf("%s: %v", number, err)
			continue
		}
		if r, err := g.Call(id); err != nil || r.Line != want {
			t.Errorf("%s is called from %s, want %s (%v)", number, r.Line, want, err)
		}
		if err := g.Hangup(id); err != nil {
			t.Error(err)
		}
	}
	for number, want := range map[string]error{"3": control.ErrUnknownLine, "4": control.ErrSuspended} {
		if _, err := g.Dial(t.Context(), control.Dial{Line: "alice", Dial: call.Dial{To: number}}); !errors.Is(err, want) || !strings.Contains(err.Error(), "dialOut") {
			t.Errorf("%s: %v", number, err)
		}
	}
}
