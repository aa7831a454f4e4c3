package media

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// A peer that stops sending while nobody speaks, and says by what noise to fill the pause: the noise is heard, nobody calls that
// one-way audio, and what follows is heard as before.
func TestComfortNoiseFillsAPause(t *testing.T) {
	for says, c := range map[string]struct {
		agreed int // payload type agreed on; 0 = none
		sent   uint8
		noisy  bool
	}{
		"under its own number":              {13, 13, true},
		"under a number that was agreed on": {98, 98, true},
		"though nothing was agreed on":      {0, 13, true},
		"under a number nobody spoke of":    {0, 98, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			a, peer := n.open(t, alice), n.attach(bob)
			defer func() { _ = peer.close() }()
			to, ours := netip.MustParseAddrPort(alice), agreed(bob)
			ours.NoisePT = c.agreed
			start(t, a, ours, Silence{})
			var played meter
			a.mu.Lock()
			a.filters = append(a.filters, &played)
			a.mu.Unlock()
			encoder, _ := codec.NewEncoder(ours.Codec)
			tone := Tone{Hz: 1000, LevelDBm0: -10}.Open(8000)
			h := rtp.Header{Version: 2, SSRC: 7}
			send := func(pt uint8, payload []byte) {
				h.PayloadType = pt
				b, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				n.send(netip.MustParseAddrPort(bob), to, b)
				h.SequenceNumber++
			}
			level := func(during time.Duration, speaks bool) float64 {
				a.mu.Lock()
				played = meter{}
				a.mu.Unlock()
				for range during / (20 * time.Millisecond) {
					if speaks {
						f := Frame{make([]int16, 160), 8000, 0}
						tone.Fill(f, f)
						payload, err := encoder.Encode(nil, f.Samples)
						if err != nil {
							t.Fatal(err)
						}
						send(0, payload)
					}
					h.Timestamp += 160
					time.Sleep(20 * time.Millisecond)
					synctest.Wait()
				}
				a.mu.Lock()
				defer a.mu.Unlock()
				return 10 * math.Log10(played.sum/float64(played.samples)/(32767*32767)+1e-12)
			}
			level(time.Second, true)
			before := level(time.Second, true)
			send(c.sent, []byte{60, 100, 140})
			level(200*time.Millisecond, false) // what is in the buffer
			pause := level(5*time.Second, false)
			troubles := a.Stats().Trouble
			level(200*time.Millisecond, true)
			after := level(time.Second, true)
			switch st := a.Stats(); {
			case c.noisy && math.Abs(pause+60) > 0.7, !c.noisy && pause > -90:
				t.Errorf("%s: %.1f dBov in the pause", says, pause)
			case slices.Contains(troubles, OneWay) == c.noisy:
				t.Errorf("%s: in trouble for %v", says, troubles)
			case math.Abs(after-before) > 0.5 || before < -20:
				t.Errorf("%s: %.1f dBov before, %.1f after", says, before, after)
			case st.Lost > 0 || st.Discarded > 0:
				t.Errorf("%s: %+v", says, st)
			}
		})
	}
}

// meter is a filter that sums up what is played.
type meter struct {
	sum     float64
	samples int
}

func (p *meter) filter(f Frame) {
	for _, v := range f.Samples {
		p.sum, p.samples = p.sum+float64(v)*float64(v), p.samples+1
	}
}
