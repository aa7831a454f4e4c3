package call_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestEveryOutgoingCallIsGuarded(t *testing.T) {
	simulate(t, nil, func(b *bench) {
		for _, to := range []string{"911", "tel:112", "sip:911@elsewhere.test", "+49 900 123", "sip:%39%31%31@pbx.test", "0112"} {
			if _, err := b.set.Dial(t.Context(), call.Dial{To: to}); !errors.Is(err, call.ErrRefused) {
				t.Errorf("%s: %v", to, err)
			}
		}
		if n := len(b.net.requests("INVITE")); n != 0 {
			t.Errorf("%d INVITEs went out", n)
		}
	})
	simulate(t, func(o *call.Options) { o.Destinations = delivery.Destinations{AllowEmergency: true} }, func(b *bench) {
		b.dial(call.Dial{To: "911"})
		b.net.only("INVITE")
	})
}

func TestMinutesOfTheDay(t *testing.T) {
	oneMinute := func(o *call.Options) { o.Destinations.MinutesPerDay = 1 }
	simulate(t, oneMinute, func(b *bench) {
		b.talk(call.Dial{})
		time.Sleep(59 * time.Second)
		b.wantState(call.Established)
		time.Sleep(2 * time.Second)
		b.wantEnd(200, call.Policy, "the day's minutes are used up")
		if _, err := b.set.Dial(t.Context(), call.Dial{To: "2000"}); !errors.Is(err, call.ErrBudget) {
			t.Errorf("a call after it: %v", err)
		}
		time.Sleep(24 * time.Hour)
		if _, err := b.set.Dial(t.Context(), call.Dial{To: "2000"}); err != nil {
			t.Errorf("the next day: %v", err)
		}
	})
	simulate(t, oneMinute, func(b *bench) {
		for range 3 { // what a call does not need is given back
			b.dial(call.Dial{Seconds: 15})
			invites := b.net.requests("INVITE")
			invites[len(invites)-1].respond(200, "OK", "callee", answered()...)
			time.Sleep(16 * time.Second)
			synctest.Wait()
		}
		if _, err := b.set.Dial(t.Context(), call.Dial{To: "2000"}); err != nil {
			t.Errorf("45 seconds of 60 are used: %v", err)
		}
	})
}

// What a call took yesterday is not given back to today, or midnight would make minutes.
func TestMinutesAreGivenBackToTheirDay(t *testing.T) {
	fifteenMinutes := func(o *call.Options) { o.Destinations.MinutesPerDay = 15 }
	simulate(t, fifteenMinutes, func(b *bench) {
		answer := func() {
			invites := b.net.requests("INVITE")
			invites[len(invites)-1].respond(200, "OK", "callee", answered()...)
		}
		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		time.Sleep(time.Until(midnight) - time.Minute)
		over := b.dial(call.Dial{})
		answer()
		time.Sleep(2 * time.Minute)
		b.dial(call.Dial{Seconds: 600}) // ten of today's minutes
		answer()
		time.Sleep(time.Second)
		if err := b.set.Hangup(over); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		b.dial(call.Dial{Seconds: 600})
		answer()
		time.Sleep(6 * time.Minute)
		records := b.set.Records()
		last := records[len(records)-1]
		if last.End == nil || last.End.By != call.Policy || last.EndedAt.Sub(last.AnsweredAt) != 5*time.Minute {
			t.Errorf("the last call of today, with five minutes left: %+v", last)
		}
	})
}

func TestBothEndsOfACheckKnowIt(t *testing.T) {
	simulate(t, nil, func(b *bench) {
		invite := b.talk(call.Dial{Check: "nightly-1", ToneHz: call.CheckToneHz, Headers: map[string]string{call.CheckHeader: "forged"}})
		if h := invite.req.GetHeaders(call.CheckHeader); len(h) != 1 || h[0].Value() != "nightly-1" {
			t.Errorf("the header says %v", h)
		}
		peer := media.PeerReport{Lost: 5, Of: 100}
		b.session().measured(media.Stats{
			Tones: []media.ToneHeard{{Hz: call.CheckToneHz, For: 4 * time.Second}, {Hz: call.MarkerHz}}, Peer: &peer, FirstPacket: time.Now().Add(30 * time.Millisecond),
		})
		r := b.record()
		if r.Check != "nightly-1" || len(r.Tones) != 2 || r.Tones[0].Seconds != 4 || *r.RTP.SentLossPercent != 5 || *r.FirstPacketMs != 30 {
			t.Errorf("record is %+v", r)
		}
	})
	simulate(t, autoAnswer, func(b *bench) {
		b.invite("checked", append([]string{call.CheckHeader + ": " + strings.Repeat("x", 100)}, sdpBody(offerPCMU)...)...).ack()
		b.wantState(call.Established)
		if source := b.session().has().source; source != (media.MarkedEcho{Hz: call.MarkerHz, LevelDBm0: -12}) {
			t.Errorf("it is answered with %+v", source)
		}
		if r := b.record(); len(r.Check) != 64 {
			t.Errorf("record is %+v", r)
		}
	})
}
