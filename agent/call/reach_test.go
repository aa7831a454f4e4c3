package call_test

import (
	"context"
	"errors"
	"strings"
	"testing"

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
