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
	return withLinphoneOf(t, linphone.Config{}, agentJSON, users, more)
}

// withLinphoneOf is withLinphone with a linphone of its own kind.
func withLinphoneOf(t *testing.T, lin linphone.Config, agentJSON string, users []string, more map[string]string) (*softphone, *linphone.Program, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	a, _, host := lines(t, agentJSON, users, more, "lin")
	lin.ToneHz, lin.User, lin.Host, lin.Password = 700, "lin", host, "secret-lin"
	return a, linphone.ForTest(t, lin), ctx
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
	next, err := p.AwaitOther(ctx, "StreamsRunning", but)
	must(t, err)
	must(t, p.Play(next))
}

// TestLinphoneAttendsATransfer: linphone talks to alice, who called it, and to carol,
// then the two talk to each other.
func TestLinphoneAttendsATransfer(t *testing.T) {
	t.Parallel()
	a, p, ctx := withLinphone(t, `{"version":1,"drainSeconds":1,"transfers":{"accept":"placed"}}`, []string{"alice", "carol"}, map[string]string{"carol": autoAnswer})
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
	t.Parallel()
	a, p, ctx := withLinphone(t, `{"version":1,"drainSeconds":1}`, []string{"alice", "carol"}, map[string]string{"alice": autoAnswer, "carol": autoAnswer})
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
	t.Parallel()
	a, p, ctx := withLinphone(t, `{"version":1,"drainSeconds":1}`, []string{"alice", "carol"}, map[string]string{"alice": autoAnswer, "carol": autoAnswer})
	first, there := talks(ctx, t, a, p, "alice")
	a.transfer(there.ID, `{"to":"carol"}`)
	plays(ctx, t, p, first)
	carol := a.awaitIncoming("carol", "hears linphone", hears(700))
	alice := a.awaitCall(there.ID, "was handed over", func(r record) bool { return ended(r) && succeeded(r) })
	outcome(t, "linphone", "we send it elsewhere: carol hears %s; %s", heard(carol), alice.End.Reason)
}

// TestLinphoneTransfersUs: linphone sends alice, who called it, to carol.
func TestLinphoneTransfersUs(t *testing.T) {
	t.Parallel()
	a, p, ctx := withLinphone(t, `{"version":1,"drainSeconds":1,"transfers":{"accept":"placed"}}`, []string{"alice", "carol"}, map[string]string{"carol": autoAnswer})
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

// TestHoldWithLinphone: each side holds the other and takes the call up again.
func TestHoldWithLinphone(t *testing.T) {
	t.Parallel()
	a, p, ctx := withLinphone(t, `{"version":1,"drainSeconds":1}`, []string{"alice"}, map[string]string{"alice": autoAnswer})
	theirs, call := talks(ctx, t, a, p, "alice")
	held := func(by string) func(record) bool {
		return func(r record) bool { return established(r) && r.Held == by }
	}
	does := func(what string) {
		t.Helper()
		if code, answer := a.request("POST", "/calls/"+call.ID+"/"+what, ""); code/100 != 2 {
			t.Fatalf("%s: %d %s", what, code, answer)
		}
	}
	does("hold")
	_, err := p.Await(ctx, "PausedByRemote")
	must(t, err)
	a.awaitCall(call.ID, "is held by us", held("local"))
	does("resume")
	again := func() { // its player stops with the stream
		t.Helper()
		_, err := p.Await(ctx, "StreamsRunning")
		must(t, err)
		must(t, p.Play(theirs))
	}
	again()
	before := a.awaitCall(call.ID, "goes on", held("")).RTP.Received
	a.awaitCall(call.ID, "hears linphone again", func(r record) bool { return r.RTP.Received > before+50 })

	must(t, p.Pause(theirs))
	a.awaitCall(call.ID, "is held by linphone", held("remote"))
	_, err = p.Await(ctx, "Paused")
	must(t, err)
	must(t, p.Resume(theirs))
	again()
	before = a.awaitCall(call.ID, "goes on", held("")).RTP.Received
	a.awaitCall(call.ID, "hears linphone again", func(r record) bool { return r.RTP.Received > before+50 })
	must(t, p.Hangup(theirs))
	end := a.awaitCall(call.ID, "is over", ended)
	outcome(t, "linphone", "held by us and by it, taken up again each time; %s, lost %d", heard(end), end.RTP.Lost)
}

// TestLinphoneRefusesAndGivesUp: what becomes of a call that linphone does not take,
// and of one that it gives up while it rings.
func TestLinphoneRefusesAndGivesUp(t *testing.T) {
	t.Parallel()
	a, p, ctx := withLinphone(t, `{"version":1,"drainSeconds":1}`, []string{"alice"}, nil)
	id := a.dial(`{"line":"alice","to":"lin"}`)
	theirs, err := p.Await(ctx, "IncomingReceived")
	must(t, err)
	must(t, p.Hangup(theirs))
	refused := a.awaitCall(id, "was refused", ended)
	if refused.End.By != "remote" || refused.End.Code < 400 {
		t.Errorf("the record says %s", pretty(refused))
	}
	theirs, err = p.Dial("sip:alice@" + strings.TrimSuffix(a.line("alice").Server, "/udp"))
	must(t, err)
	_, err = p.Await(ctx, "OutgoingRinging")
	must(t, err)
	must(t, p.Hangup(theirs))
	end := a.awaitIncoming("alice", "was given up", ended)
	if end.End.Code != 487 || end.End.By != "remote" {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "linphone", "it refuses: %s; it gives up: %s", refused.End.Reason, end.End.Reason)
}
