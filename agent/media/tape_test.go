package media

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
)

// reel is a recorder in memory.
type reel struct {
	t     *testing.T
	mu    sync.Mutex
	rate  int
	sides [2][]int16
}

func (r *reel) Record(pcm []int16, rate int, first int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if int(first) != len(r.sides[0]) || r.rate != 0 && r.rate != rate {
		r.t.Errorf("frames from %d on at %d Hz after %d at %d Hz", first, rate, len(r.sides[0]), r.rate)
	}
	r.rate = rate
	for i := 0; i < len(pcm); i += 2 {
		r.sides[0], r.sides[1] = append(r.sides[0], pcm[i]), append(r.sides[1], pcm[i+1])
	}
}

// loudness of a tone in samples, dBm0.
func loudness(pcm []int16, hz float64, rate int) float64 {
	var re, im float64
	for i, v := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / float64(rate))
		re, im = re+float64(v)*cos, im+float64(v)*sin
	}
	n := float64(len(pcm))
	return levelDBm0(2 * (re*re + im*im) / n / n)
}

func quiet(pcm []int16) bool {
	for _, v := range pcm {
		if v > 8 || v < -8 { // the smallest steps of G.711
			return false
		}
	}
	return true
}

func recorded(t *testing.T, n *network, addr string) (*Session, *reel) {
	m, r := n.attach(addr), &reel{t: t}
	s := newSession(Config{Local: m.rtp.Addr(), SymmetricRTP: true, Recorder: r}, m)
	s.listen()
	t.Cleanup(func() { closeSession(t, s) })
	return s, r
}

// TestEachSideOnItsChannel has two sessions send a tone each, in codecs of other rates and from another one to the next, and reads
// both recordings back.
func TestEachSideOnItsChannel(t *testing.T) {
	for says, c := range map[string]struct{ first, then int }{
		"PCMU":               {0, 0},
		"G.722":              {9, 9},
		"from PCMU to G.722": {0, 9},
		"from G.722 to PCMU": {9, 0},
	} {
		t.Run(says, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				a, ra := recorded(t, n, alice)
				b, rb := recorded(t, n, bob)
				start(t, a, spoken(bob, c.first, c.then), Tone{Hz: 600, LevelDBm0: -10})
				start(t, b, spoken(alice, c.first, c.then), Tone{Hz: 1400, LevelDBm0: -16})
				time.Sleep(5 * time.Second)
				if c.then != c.first {
					for s, peer := range map[*Session]string{a: bob, b: alice} {
						if err := s.Update(spoken(peer, c.then, c.first), s.chain.source); err != nil {
							t.Fatal(err)
						}
					}
				}
				time.Sleep(5 * time.Second)
				closeSession(t, a)
				closeSession(t, b)
				for name, r := range map[string]*reel{"alice": ra, "bob": rb} {
					if got := len(r.sides[0]); got < 10*r.rate || got > 10*r.rate+r.rate/5 {
						t.Fatalf("%s recorded %d frames at %d Hz in 10 s", name, got, r.rate)
					}
					for _, at := range []int{1, 8} {
						left, right := r.sides[0][at*r.rate:(at+1)*r.rate], r.sides[1][at*r.rate:(at+1)*r.rate]
						own, other := 600., 1400.
						ownLevel, otherLevel := -10., -16.
						if name == "bob" {
							own, other, ownLevel, otherLevel = other, own, otherLevel, ownLevel
						}
						within(t, name+": sent, on the left", loudness(left, own, r.rate), ownLevel, 0.5)
						within(t, name+": heard, on the right", loudness(right, other, r.rate), otherLevel, 0.5)
						if l, r := loudness(left, other, r.rate), loudness(right, own, r.rate); l > -55 || r > -55 {
							t.Errorf("%s: the other's tone on the left at %.0f, its own on the right at %.0f dBm0", name, l, r)
						}
					}
				}
			})
		})
	}
}

// TestMissingPacketsAreSilence loses half a second of packets, and looks where the others lie.
func TestMissingPacketsAreSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, r := recorded(t, n, alice)
		start(t, a, agreed(bob), Silence{})
		m := n.attach(bob)
		defer m.close()
		from := time.Now()
		payload := make([]byte, 160)
		for i := range payload {
			payload[i] = byte(0x20 + 0x80*(i/8%2)) // a square of 500 Hz
		}
		const lostFrom, lostTo = 100, 125
		for i := range 200 {
			time.Sleep(time.Until(from.Add(time.Duration(i) * 20 * time.Millisecond)))
			if i >= lostFrom && i < lostTo {
				continue
			}
			b, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(i), Timestamp: uint32(1000 + 160*i), SSRC: 9}, Payload: payload}).Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if err := m.writeRTP(b, a.LocalRTP()); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		closeSession(t, a)
		right := r.sides[1]
		first := 0
		for first < len(right) && right[first] == 0 {
			first++
		}
		gap := right[first+160*lostFrom : first+160*lostTo]
		if first > 8000/5 || !quiet(gap) {
			t.Errorf("audio begins %d ms late, and where packets are missing it is silent: %v", first/8, quiet(gap))
		}
		const fade = 80 // the decoder leads from what it made up to what came
		before, after := right[first:first+160*lostFrom], right[first+160*lostTo+fade:first+160*200]
		for i, v := range append(before[:len(before):len(before)], after...) {
			if v < 1000 && v > -1000 {
				t.Fatalf("sample %d of what was sent is %d", i, v)
			}
		}
		if !quiet(right[first+160*200:]) || !quiet(r.sides[0]) {
			t.Error("something is heard after the end, or on the other side")
		}
	})
}

// TestRecordingAllocatesNothing holds the media path to what it is without a recording.
func TestRecordingAllocatesNothing(t *testing.T) {
	tp := newTape(nothing{})
	tp.thread(8000)
	due, pcm := time.Now(), make([]int16, 160)
	ts := int64(0)
	if n := testing.AllocsPerRun(1000, func() {
		tp.turn(due)
		tp.sent(pcm)
		tp.heard(pcm, ts, 8000, 0)
		due, ts = due.Add(20*time.Millisecond), ts+160
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

type nothing struct{}

func (nothing) Record([]int16, int, int64) {}
