package call_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
)

// wish is a hold or resume that was asked for.
type wish struct{ done chan error }

// ask asks the only call for something that waits for the other side.
func (b *bench) ask(do func(context.Context, string) error) *wish {
	b.t.Helper()
	w := &wish{make(chan error, 1)}
	id := b.record().ID
	go func() { w.done <- do(b.t.Context(), id) }()
	synctest.Wait()
	return w
}

// outcome of it; it must be there by now.
func (w *wish) outcome(t *testing.T) error {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-w.done:
		return err
	default:
		t.Fatal("no outcome yet")
		return nil
	}
}

func (w *wish) granted(t *testing.T) {
	t.Helper()
	if err := w.outcome(t); err != nil {
		t.Fatal(err)
	}
}

// reinvites are the INVITEs that were sent within the dialog.
func (b *bench) reinvites() []*clientTx {
	var txs []*clientTx
	for _, tx := range b.net.requests("INVITE") {
		if tx.req.To().Params.Has("tag") {
			txs = append(txs, tx)
		}
	}
	return txs
}

// reinvite is the latest of n.
func (b *bench) reinvite(n int) *clientTx {
	b.t.Helper()
	txs := b.reinvites()
	if len(txs) != n {
		b.t.Fatalf("%d re-INVITEs sent, want %d", len(txs), n)
	}
	return txs[n-1]
}

// wantOffer checks direction and version of an offer.
func (b *bench) wantOffer(tx *clientTx, direction string, version uint64) {
	b.t.Helper()
	body := string(tx.req.Body())
	if d := describes(b.t, tx.req.Body()); !strings.Contains(body, "\r\na="+direction+"\r\n") || d.Origin.Version != version {
		b.t.Errorf("offer is not %s in version %d:\n%s", direction, version, body)
	}
}

// wantHeld checks what the record and the audio know of hold.
func (b *bench) wantHeld(held, direction string) {
	b.t.Helper()
	r, n := b.record(), b.session().last(b.t)
	if r.Held != held || n.Direction.String() != direction || r.Hold != strings.TrimPrefix(direction, "sendrecv") {
		b.t.Errorf("held is %q, hold %q, audio is %s; want %q and %s", r.Held, r.Hold, n.Direction, held, direction)
	}
}

func TestHold(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		play   func(*bench)
	}{
		"a call is held and resumed": {nil, func(b *bench) {
			b.talk(call.Dial{})
			w := b.ask(b.set.Hold)
			tx := b.reinvite(1)
			b.wantOffer(tx, "sendonly", 2)
			b.wantHeld("", "sendrecv") // until the other side agrees
			for name, want := range map[string]string{"Contact": "<sip:c0ntact@10.0.0.1:5060>", "Content-Type": "application/sdp", "CSeq": "2 INVITE"} {
				if h := tx.req.GetHeader(name); h == nil || h.Value() != want {
					b.t.Errorf("%s is %v, want %s", name, h, want)
				}
			}
			acks := b.net.ackCount()
			tx.respond(200, "OK", "callee", reoffer("recvonly")...)
			w.granted(b.t)
			b.wantHeld("local", "sendonly")
			if ack := b.net.ack(acks); ack.CSeq().SeqNo != 2 || !ack.IsAck() {
				b.t.Errorf("acknowledged with\n%s", ack)
			}
			w = b.ask(b.set.Resume)
			b.wantOffer(b.reinvite(2), "sendrecv", 3)
			b.reinvite(2).respond(200, "OK", "callee", reoffer("sendrecv")...)
			w.granted(b.t)
			b.wantHeld("", "sendrecv")
		}},
		"the callee may hold, too": {autoAnswer, func(b *bench) {
			b.talking()
			w := b.ask(b.set.Hold)
			b.wantOffer(b.reinvite(1), "sendonly", 2)
			b.reinvite(1).respond(200, "OK", "caller", reoffer("recvonly")...)
			w.granted(b.t)
			b.wantHeld("local", "sendonly")
		}},
		"holding what is held, and resuming what is not, asks nobody": {nil, func(b *bench) {
			b.talk(call.Dial{})
			b.ask(b.set.Resume).granted(b.t)
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(200, "OK", "callee", reoffer("recvonly")...)
			w.granted(b.t)
			b.ask(b.set.Hold).granted(b.t)
			b.reinvite(1)
		}},
		"both hold: inactive, and each resumes for itself (RFC 3264 §8.4)": {autoAnswer, func(b *bench) {
			p := b.talking()
			p.send("INVITE", reoffer("sendonly")...)
			p.ack()
			b.wantHeld("remote", "recvonly")
			w := b.ask(b.set.Hold)
			b.wantOffer(b.reinvite(1), "inactive", 3)
			b.reinvite(1).respond(200, "OK", "caller", reoffer("inactive")...)
			w.granted(b.t)
			b.wantHeld("both", "inactive")
			tx := p.send("INVITE", reoffer("sendrecv")...) // they resume
			p.ack()
			if body := string(tx.last().Body()); !strings.Contains(body, "a=sendonly") {
				b.t.Errorf("our hold is gone:\n%s", body)
			}
			b.wantHeld("local", "sendonly")
			p.send("INVITE", reoffer("inactive")...)
			p.ack()
			b.wantHeld("both", "inactive")
			w = b.ask(b.set.Resume)
			b.wantOffer(b.reinvite(2), "sendrecv", 6)
			b.reinvite(2).respond(200, "OK", "caller", reoffer("sendonly")...)
			w.granted(b.t)
			b.wantHeld("remote", "recvonly")
		}},
		"the old way to hold counts, c=0.0.0.0": {autoAnswer, func(b *bench) {
			p := b.talking()
			old := strings.NewReplacer("c=IN IP4 192.0.2.9", "c=IN IP4 0.0.0.0", "o=- 1 1", "o=- 1 2").Replace(offerPCMU)
			tx := p.send("INVITE", sdpBody(old)...)
			p.ack()
			if body := string(tx.last().Body()); !strings.Contains(body, "a=recvonly") {
				b.t.Errorf("answered\n%s", body)
			}
			b.wantHeld("remote", "recvonly")
			p.send("INVITE", reoffer("sendrecv")...)
			p.ack()
			b.wantHeld("", "sendrecv")
		}},
		"who only listens holds nobody": {autoAnswer, func(b *bench) {
			p := b.talking()
			p.send("INVITE", reoffer("recvonly")...)
			p.ack()
			b.wantHeld("", "sendonly")
		}},
		"an offer of ours that the other side asks for tells of our hold": {autoAnswer, func(b *bench) {
			p := b.talking()
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(200, "OK", "caller", reoffer("recvonly")...)
			w.granted(b.t)
			tx := p.send("INVITE")
			if body := string(tx.last().Body()); !strings.Contains(body, "a=sendonly") {
				b.t.Errorf("offered\n%s", body)
			}
			p.ack(reoffer("recvonly")...)
			b.wantHeld("local", "sendonly")
		}},
		"a refused hold is none": {nil, func(b *bench) {
			b.talk(call.Dial{})
			was := b.session().last(b.t)
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(488, "Not Acceptable Here", "callee")
			if err := w.outcome(b.t); !errors.Is(err, call.ErrPeerRefused) || !strings.HasSuffix(err.Error(), ": 488 Not Acceptable Here") {
				b.t.Error(err)
			}
			b.wantHeld("", "sendrecv")
			if now := b.session().last(b.t); now.Remote != was.Remote {
				b.t.Errorf("audio goes to %s", now.Remote)
			}
			if steps := b.record().Treatment; len(steps) == 0 || steps[len(steps)-1] != "hold failed: the other side refused: 488 Not Acceptable Here" {
				b.t.Errorf("record says %q", steps)
			}
		}},
		"the end of a call ends the waiting": {autoAnswer, func(b *bench) {
			p := b.talking()
			w := b.ask(b.set.Hold)
			b.reinvite(1).respond(100, "Trying", "")
			p.send("BYE")
			if err := w.outcome(b.t); !errors.Is(err, call.ErrNotNow) {
				b.t.Error(err)
			}
			b.reinvite(1).respond(487, "Request Terminated", "caller")
			b.wantEnd(200, call.Remote, "BYE from the other side")
			if err := b.set.Hold(b.t.Context(), b.record().ID); !errors.Is(err, call.ErrNotNow) {
				b.t.Error(err)
			}
			if err := b.set.Hold(b.t.Context(), "nobody"); !errors.Is(err, call.ErrNoCall) {
				b.t.Error(err)
			}
		}},
		"a ringing call cannot be held": {nil, func(b *bench) {
			b.invite("a", sdpBody(offerPCMU)...)
			if err := b.set.Hold(b.t.Context(), b.record().ID); !errors.Is(err, call.ErrNotNow) {
				b.t.Error(err)
			}
		}},
		"silence on hold says nothing": {func(o *call.Options) { autoAnswer(o); o.Account.NetworkLossCallTimeoutMs = 6000 }, func(b *bench) {
			p := b.talking()
			p.send("INVITE", reoffer("sendonly")...)
			p.ack()
			b.session().vanish(media.Stats{})
			time.Sleep(10 * time.Minute)
			b.wantState(call.Established)
			if n := len(b.net.requests("OPTIONS")); n != 0 {
				b.t.Errorf("asked %d times whether the holder is there", n)
			}
			p.send("INVITE", reoffer("sendrecv")...)
			p.ack()
			time.Sleep(5 * time.Second)
			if n := len(b.net.requests("OPTIONS")); n == 0 {
				b.t.Error("nobody asked after the call was resumed")
			}
		}},
	} {
		t.Run(sentence, func(t *testing.T) { simulate(t, c.change, c.play) })
	}
}
