package media

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// overdriven is a tone that a peer has turned up too far.
type overdriven struct{}

func (overdriven) Open(rate int) Generator { return &overdrive{Tone{Hz: 500, LevelDBm0: 3}.Open(rate)} }

type overdrive struct{ Generator }

func (o *overdrive) Fill(f, heard Frame) {
	o.Generator.Fill(f, heard)
	for i, v := range f.Samples {
		f.Samples[i] = int16(min(max(4*int(v), -32768), 32767))
	}
}

// falling is a tone that ends after a while.
type falling struct{ after time.Duration }

func (f falling) Open(rate int) Generator {
	return &fallen{Tone{Hz: 1000, LevelDBm0: -10}.Open(rate), int(f.after.Seconds() * float64(rate))}
}

type fallen struct {
	Generator
	left int // samples
}

func (f *fallen) Fill(out, heard Frame) {
	f.Generator.Fill(out, heard)
	clear(out.Samples[min(max(f.left, 0), len(out.Samples)):])
	f.left -= len(out.Samples)
}

// What is wrong is said when it is: not before its time, one-way audio within two seconds of its beginning, silence within three.
func TestTroubleIsSaid(t *testing.T) {
	tone := Tone{Hz: 1000, LevelDBm0: -10}
	for what, c := range map[string]struct {
		source Source // of the peer; nil: it sends nothing
		lost   func(since time.Duration) bool
		holds  bool
		before time.Duration // nothing is said by then
		after  time.Duration // and this is by then
		want   []Trouble
	}{
		"a call as it should be":       {source: tone, after: 30 * time.Second},
		"a quiet line":                 {source: Tone{Hz: 1000, LevelDBm0: -40}, after: 30 * time.Second},
		"the peer sends nothing":       {before: 1800 * time.Millisecond, after: 2 * time.Second, want: []Trouble{OneWay}},
		"the peer is on hold":          {holds: true, after: 30 * time.Second},
		"the peer is muted":            {source: Silence{}, before: 2700 * time.Millisecond, after: 3 * time.Second, want: []Trouble{Muted}},
		"the peer is overdriven":       {source: overdriven{}, after: 2 * time.Second, want: []Trouble{Clipping}},
		"loud, and whole":              {source: Tone{Hz: 1000, LevelDBm0: 2}, after: 10 * time.Second},
		"nothing comes for 2 s, later": {source: tone, lost: func(d time.Duration) bool { return d > 10*time.Second && d < 12100*time.Millisecond }, before: 11800 * time.Millisecond, after: 12 * time.Second, want: []Trouble{OneWay}},
		"the peer falls silent":        {source: falling{8 * time.Second}, before: 10700 * time.Millisecond, after: 11 * time.Second, want: []Trouble{Muted}},
		"1.5 s are lost":               {source: tone, lost: func(d time.Duration) bool { return d > 10*time.Second && d < 11500*time.Millisecond }, after: 30 * time.Second},
		"every third packet is lost":   {source: tone, lost: func(d time.Duration) bool { return d/(20*time.Millisecond)%3 == 0 }, after: 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, began := newNetwork(), time.Now()
			n.impair = func(from, _ netip.AddrPort, _ []byte) []time.Duration {
				if c.lost != nil && from == netip.MustParseAddrPort(bob) && c.lost(time.Since(began)) {
					return nil
				}
				return []time.Duration{0}
			}
			a := n.open(t, alice)
			negotiated := agreed(bob)
			if c.holds {
				negotiated.Direction = sdp.SendOnly
			}
			if c.source != nil {
				start(t, n.open(t, bob), agreed(alice), c.source)
			}
			start(t, a, negotiated, tone)
			a.Answered()
			if c.before > 0 {
				time.Sleep(c.before)
				synctest.Wait()
				if got := a.Stats().Trouble; len(got) > 0 {
					t.Errorf("%s: %v after %v", what, got, c.before)
				}
			}
			time.Sleep(c.after - c.before)
			synctest.Wait()
			if st := a.Stats(); fmt.Sprint(st.Trouble) != fmt.Sprint(c.want) {
				t.Errorf("%s: %v after %v, want %v (gap %v, silence %v)", what, st.Trouble, c.after, c.want, st.LongestGap, st.LongestSilence)
			}
		})
	}
}
