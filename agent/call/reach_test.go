package call_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
)

// What a description says of where we are, by what is found out, in offers and in answers.
func TestDescriptionsNameWhereWeCanBeReached(t *testing.T) {
	for what, c := range map[string]struct {
		nat  media.NAT
		err  error
		want string // of the description; "" = no call
		via  string
	}{
		"by STUN":         {nat: media.NAT{Mode: media.NATAuto}, want: "c=IN IP4 198.51.100.7 m=audio 40000 a=rtcp:40007", via: "stun"},
		"no server found": {nat: media.NAT{Mode: media.NATAuto}, err: errors.New("no answer"), want: "c=IN IP4 198.51.100.7 m=audio 40000 a=rtcp:40007", via: "stun"},
		"by a relay":      {nat: media.NAT{Mode: media.NATTURNAlways, Username: "u"}, want: "c=IN IP4 198.51.100.9 m=audio 50000", via: "turn"},
		"without a relay": {nat: media.NAT{Mode: media.NATTURNAlways}},
	} {
		for _, answers := range []bool{false, true} {
			simulate(t, func(o *call.Options) {
				o.Account.AutoAnswerEnabled = true
				o.NAT = func(context.Context) (media.NAT, error) { return c.nat, c.err }
			}, func(b *bench) {
				if c.want == "" {
					withoutRelay(b, answers)
					return
				}
				body := description(b, answers)
				for _, part := range strings.Split(strings.NewReplacer(" m=", "|m=", " a=", "|a=").Replace(c.want), "|") {
					if !strings.Contains(body, part) {
						b.t.Errorf("%s, answers %v: no %q in\n%s", what, answers, part, body)
					}
				}
				if r := b.record(); r.NAT != c.via || c.nat.Mode == media.NATAuto && !strings.Contains(strings.Join(r.Treatment, "\n"), "NAT: seen") {
					b.t.Errorf("%s: the record says %s, %q", what, r.NAT, r.Treatment)
				}
			})
		}
	}
}

func withoutRelay(b *bench, answers bool) {
	b.t.Helper()
	if answers {
		p := b.invite("a", sdpBody(theirOffer)...)
		if code := p.tx.last().StatusCode; code != 500 {
			b.t.Errorf("answered %d", code)
		}
		p.ack()
		return
	}
	b.dial(call.Dial{})
	if n := len(b.net.requests("INVITE")); n != 0 {
		b.t.Errorf("%d INVITEs", n)
	}
	b.wantEnd(503, call.Network, "no relay")
}

// A caller who gives up while we look for our address is not answered any more.
func TestACallThatEndsWhileWeLookForOurAddress(t *testing.T) {
	for _, answers := range []bool{false, true} {
		simulate(t, func(o *call.Options) {
			o.Account.AutoAnswerEnabled = true
			o.NAT = func(ctx context.Context) (media.NAT, error) {
				<-ctx.Done()
				return media.NAT{Mode: media.NATAuto}, ctx.Err()
			}
		}, func(b *bench) {
			if answers {
				p := b.invite("a", sdpBody(theirOffer)...)
				p.tx.cancel()
				b.wantEnd(487, call.Remote, "cancelled by the caller")
				return
			}
			id := b.dial(call.Dial{})
			if err := b.set.Hangup(id); err != nil {
				b.t.Fatal(err)
			}
			b.wantEnd(487, call.Local, "hung up")
		})
	}
}

// A path that is lost costs a gap: ICE begins anew, once until there is another path; a call without one ends.
func TestALostPathIsSoughtAgain(t *testing.T) {
	const theirs = "v=0\r\no=- 5 %d IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\na=rtcp-mux\r\n" +
		"a=ice-ufrag:their%d\r\na=ice-pwd:lkjihgfedcba9876543210\r\na=candidate:1 1 UDP 2130706431 192.0.2.9 4000 typ host\r\n"
	lost := fmt.Errorf("%w: 192.0.2.9:4000 does not confirm any more", media.ErrNoPath)
	for what, c := range map[string]struct {
		code int // to the second restart
		end  string
	}{
		"another path is found each time":  {code: 200},
		"the other side refuses":           {488, "no path to the other side: 192.0.2.9:4000 does not confirm any m…"},
		"no path is found after a restart": {200, "no path to the other side: no pair of candidates works"},
	} {
		simulate(t, func(o *call.Options) {
			o.NAT = func(context.Context) (media.NAT, error) { return media.NAT{Mode: media.NATICE}, nil }
		}, func(b *bench) {
			restarted := func(n, code int) {
				time.Sleep(time.Second)
				invites := b.net.requests("INVITE")
				if len(invites) != n {
					b.t.Fatalf("%s: %d INVITE, want %d; %+v", what, len(invites), n, b.record())
				}
				own := "a=ice-ufrag:first\r\n"
				if n > 1 {
					own = fmt.Sprintf("a=ice-ufrag:again%d\r\n", n-1)
				}
				if body := string(invites[n-1].req.Body()); !strings.Contains(body, own) || strings.Count(body, "a=ice-ufrag") != 1 || !strings.Contains(body, "c=IN IP4 ") {
					b.t.Errorf("%s: no %s in\n%s", what, own, body)
				}
				invites[n-1].respond(code, "Why", "callee", append([]string{contactCallee}, sdpBody(fmt.Sprintf(theirs, n, n))...)...)
				synctest.Wait()
			}
			b.dial(call.Dial{})
			restarted(1, 200)
			m := b.session()
			m.onPath("ice host/host", nil)
			m.onPath("", lost)
			restarted(2, 200)
			if agreed := m.has().agreed; len(agreed) != 2 || agreed[1].ICE == nil || agreed[1].ICE.Ufrag != "their2" || !agreed[1].Controlling {
				b.t.Errorf("%s: %+v", what, agreed)
			}
			m.onPath("ice host/prflx", nil)
			if r := b.record(); r.NAT != "ice host/prflx" || !strings.Contains(strings.Join(r.Treatment, "\n"), "ICE restarts: no path to the other side") {
				b.t.Errorf("%s: the record says %s, %q", what, r.NAT, r.Treatment)
			}
			m.onPath("", lost)
			restarted(3, c.code)
			switch {
			case c.end == "":
				m.onPath("ice host/relay", nil)
				b.wantState(call.Established)
			case c.code == 200:
				m.onPath("", fmt.Errorf("%w: no pair of candidates works", media.ErrNoPath))
				fallthrough
			default:
				b.wantEnd(200, call.Network, c.end) // it was answered
			}
		})
	}
}
