package media

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// thousand digits, drawn.
func thousand(random *rand.Rand) string {
	var b strings.Builder
	for range 1000 {
		b.WriteByte("0123456789*#ABCD"[random.IntN(16)])
	}
	return b.String()
}

// A thousand digits by each way that goes through the media, none wrong, none lost, none twice; RFC 4733 with every fiftieth packet
// lost, each digit being told in eight of them.
func TestAThousandDigits(t *testing.T) {
	for what, c := range map[string]struct {
		tones bool
		loss  float64
	}{
		"events": {}, "events at 2 % loss": {loss: 0.02}, "tones": {tones: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(4, 733))
			n := newNetwork()
			n.impair = func(netip.AddrPort, netip.AddrPort, []byte) []time.Duration {
				if random.Float64() < c.loss {
					return nil
				}
				return []time.Duration{0}
			}
			a, b := n.open(t, alice), n.open(t, bob)
			var told strings.Builder
			b.SetOnDTMF(func(digit rune) { told.WriteRune(digit) })
			na, nb := agreed(bob), agreed(alice)
			send := a.SendDTMF
			if c.tones {
				na.TelephoneEventPT, nb.TelephoneEventPT, send = -1, -1, a.SendTones
			}
			start(t, a, na, Silence{})
			start(t, b, nb, Silence{})
			time.Sleep(time.Second)
			want := thousand(rand.New(rand.NewPCG(1, 1)))
			if err := send(want); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			if got := told.String(); got != want {
				t.Errorf("%s: %d digits told, %d sent", what, len(got), len(want))
			}
			if got := b.Stats().DTMF; got != want {
				t.Errorf("%s: %d digits in the numbers", what, len(got))
			}
		})
	}
}

// Who agreed on events and sends tones beside them is heard once.
func TestTonesBesideEventsAreNotHeardTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.open(t, alice), n.open(t, bob)
		start(t, a, agreed(bob), Silence{})
		start(t, b, agreed(alice), Silence{})
		time.Sleep(time.Second)
		for _, send := range []func(string) error{a.SendTones, a.SendDTMF} {
			if err := send("12345"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := b.Stats().DTMF; got != "12345" {
			t.Errorf("heard %q", got)
		}
	})
}
