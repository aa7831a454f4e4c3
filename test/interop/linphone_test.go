package interop

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/linphone"
)

// withLinphone runs lines of an agent beside a registered linphone, lin, that sends 700 Hz.
func withLinphone(t *testing.T, agentJSON string, users []string, more map[string]string) (*softphone, *linphone.Program, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	a, _, host := lines(t, agentJSON, users, more, "lin")
	return a, linphone.ForTest(t, linphone.Config{ToneHz: 700, User: "lin", Host: host, Password: "secret-lin"}), ctx
}

// talks has linphone call a line, which echoes, and waits until its tone is heard.
func talks(ctx context.Context, t *testing.T, a *softphone, p *linphone.Program, line string) (theirs string, ours record) {
	t.Helper()
	theirs, err := p.Dial("sip:" + line + "@" + strings.TrimSuffix(a.line(line).Server, "/udp"))
	must(t, err)
	_, err = p.Await(ctx, "StreamsRunning")
	must(t, err)
	must(t, p.Play(theirs))
	return theirs, a.awaitIncoming(line, "hears linphone", hears(700))
}

// plays has linphone send its tone in the call it was sent to.
func plays(ctx context.Context, t *testing.T, p *linphone.Program, but string) {
	t.Helper()
	next := but
	for next == but {
		id, err := p.Await(ctx, "StreamsRunning")
		must(t, err)
		next = id
	}
	must(t, p.Play(next))
}

// TestLinphoneAttendsATransfer: linphone talks to alice, who called it, and to carol,
// then the two talk to each other.
func TestLinphoneAttendsATransfer(t *testing.T) {
	a, p, ctx := withLinphone(t, `{"version":1,"transfers":{"accept":"placed"}}`, []string{"alice", "carol"}, map[string]string{"carol": autoAnswer})
	id := a.dial(`{"line":"alice","to":"lin","toneHz":440}`)
	first, err := p.Await(ctx, "IncomingReceived")
	must(t, err)
	must(t, p.Answer(first))
	_, err = p.Await(ctx, "StreamsRunning")
	must(t, err)
	must(t, p.Pause(first))
	a.awaitCall(id, "is held", func(r record) bool { return r.Hold != "" })
	second, carol := talks(ctx, t, a, p, "carol")
	must(t, p.Transfer(first, second))
	next := a.awaitOf("carol", "hears alice", func(r record) bool { return r.Replaces == carol.ID && hears(440)(r) })
	was := a.awaitCall(id, "was sent elsewhere", func(r record) bool { return succeeded(r) && ended(r) })
	a.awaitOf("alice", "hears carol's echo", func(r record) bool { return r.ReferredBy == id && hears(440)(r) })
	a.awaitCall(carol.ID, "is over", ended)
	outcome(t, "linphone", "it hands alice over to carol: carol heard 700 Hz, then %s; NOTIFY %d", heard(next), was.Transfer.Code)
}

// TestWeTransferLinphoneToACallOfOurs: alice talks to linphone and to carol, then
// linphone takes alice's place.
func TestWeTransferLinphoneToACallOfOurs(t *testing.T) {
	a, p, ctx := withLinphone(t, `{"version":1}`, []string{"alice", "carol"}, map[string]string{"alice": autoAnswer, "carol": autoAnswer})
	first, there := talks(ctx, t, a, p, "alice")
	consult := a.dial(`{"line":"alice","to":"carol","toneHz":852}`)
	was := a.awaitIncoming("carol", "hears alice", hears(852))
	a.transfer(there.ID, fmt.Sprintf(`{"replaces":%q}`, consult))
	plays(ctx, t, p, first)
	carol := a.awaitOf("carol", "hears linphone", func(r record) bool { return r.Replaces == was.ID && hears(700)(r) })
	alice := a.awaitCall(there.ID, "was handed over", func(r record) bool { return ended(r) && succeeded(r) })
	if freed := a.awaitCall(consult, "is over", ended); freed.End.By != "remote" {
		t.Errorf("consultation: %s", pretty(freed))
	}
	outcome(t, "linphone", "it takes alice's place: carol heard 852 Hz, then %s; %s", heard(carol), alice.End.Reason)
}

// TestWeTransferLinphone: linphone calls alice, who sends it to carol.
func TestWeTransferLinphone(t *testing.T) {
	a, p, ctx := withLinphone(t, `{"version":1}`, []string{"alice", "carol"}, map[string]string{"alice": autoAnswer, "carol": autoAnswer})
	first, there := talks(ctx, t, a, p, "alice")
	a.transfer(there.ID, `{"to":"carol"}`)
	plays(ctx, t, p, first)
	carol := a.awaitIncoming("carol", "hears linphone", hears(700))
	alice := a.awaitCall(there.ID, "was handed over", func(r record) bool { return ended(r) && succeeded(r) })
	outcome(t, "linphone", "we send it elsewhere: carol hears %s; %s", heard(carol), alice.End.Reason)
}

// TestLinphoneTransfersUs: linphone sends alice, who called it, to carol.
func TestLinphoneTransfersUs(t *testing.T) {
	a, p, ctx := withLinphone(t, `{"version":1,"transfers":{"accept":"placed"}}`, []string{"alice", "carol"}, map[string]string{"carol": autoAnswer})
	id := a.dial(`{"line":"alice","to":"lin","toneHz":440}`)
	first, err := p.Await(ctx, "IncomingReceived")
	must(t, err)
	must(t, p.Answer(first))
	_, err = p.Await(ctx, "StreamsRunning")
	must(t, err)
	must(t, p.Transfer(first, "sip:carol@"+strings.TrimSuffix(a.line("carol").Server, "/udp")))
	carol := a.awaitIncoming("carol", "hears alice", hears(440))
	was := a.awaitCall(id, "was sent elsewhere", succeeded)
	outcome(t, "linphone", "it sends us elsewhere: carol hears %s; NOTIFY %d", heard(carol), was.Transfer.Code)
}
