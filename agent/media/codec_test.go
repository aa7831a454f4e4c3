package media

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// Whatever each side sends, the other hears it right: the sampling rates of two codecs need not be the same.
func TestEveryCodecIsHeardByEveryOther(t *testing.T) {
	for _, ours := range audioCodecs {
		for _, theirs := range audioCodecs {
			t.Run(fmt.Sprintf("%d and %d", ours, theirs), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNetwork()
					a, sent, _ := watched(t, n, alice)
					b := n.open(t, bob)
					start(t, a, spoken(bob, ours, theirs), Tone{Hz: 1000, LevelDBm0: -10})
					start(t, b, spoken(alice, theirs, ours), Tone{Hz: 600, LevelDBm0: -16})
					time.Sleep(4 * time.Second)
					synctest.Wait()
					spec, _ := codec.Lookup(ours)
					sa, sb := a.Stats(), b.Stats()
					if sa.Heard == nil || sb.Heard == nil {
						t.Fatalf("%+v\n%+v", sa, sb)
					}
					within(t, "what bob hears", sb.Heard.FrequencyHz, 1000, 1)
					within(t, "its level", sb.Heard.LevelDBm0, -10, levelOff(ours))
					within(t, "what alice hears", sa.Heard.FrequencyHz, 600, 1)
					within(t, "its level", sa.Heard.LevelDBm0, -16, levelOff(theirs))
					within(t, "jitter", value(sa.JitterMs)+value(sb.JitterMs), 0, 0.2)
					within(t, "buffer", value(sa.BufferMs), 45, 20)
					if lost := sa.Lost + sb.Lost + sa.Discarded + sb.Discarded; lost != 0 || sa.Codec != spec.Format.String() || sb.Received < 199 {
						t.Errorf("%d packets lost or discarded; alice sends %s, bob received %d", lost, sa.Codec, sb.Received)
					}
					for _, came := range []struct {
						number int
						at     Stats
					}{{ours, sb}, {theirs, sa}} {
						spec, _ := codec.Lookup(came.number)
						clean := EModel{Ie: spec.Impairment.Ie, Bpl: spec.Impairment.Bpl, BurstR: 1}
						within(t, "MOS of listening to "+spec.Format.String(), value(came.at.In.MOSLQ), clean.MOS(), 0.001)
					}
					closeSession(t, a)
					for i, p := range sent.rtp {
						if p.Timestamp-sent.rtp[0].Timestamp != uint32(160*i) || p.PayloadType != spec.Format.PT || len(p.Payload) != map[int]int{0: 160, 8: 160, 9: 160, 3: 33, 102: 38, 18: 20}[ours] {
							t.Fatalf("packet %d: %v", i, p)
						}
					}
				})
			})
		}
	}
}

// levelOff is how far in dB a codec may be off the level of a tone.
func levelOff(number int) float64 {
	if number == 18 {
		return 0.7 // its own filters take 0.5
	}
	return 0.5
}

// What only 16 kHz can hold passes through the whole chain, echo and analysis included.
func TestWidebandIsHeardAsSuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.open(t, alice), n.open(t, bob)
		start(t, a, spoken(bob, 9), Tone{Hz: 6200, LevelDBm0: -10})
		start(t, b, spoken(alice, 9), Echo{})
		time.Sleep(4 * time.Second)
		synctest.Wait()
		for name, st := range map[string]Stats{"the caller": a.Stats(), "the echo": b.Stats()} {
			if st.Heard == nil {
				t.Fatalf("%s hears nothing", name)
			}
			within(t, name+": frequency", st.Heard.FrequencyHz, 6200, 1)
			within(t, name+": level", st.Heard.LevelDBm0, -10, 0.5)
		}
	})
}

// A call that moves from one codec to another by a re-INVITE goes on, statistics included.
func TestACallMovesBetweenCodecs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.open(t, alice), n.open(t, bob)
		start(t, a, spoken(bob, 0, 9), Tone{Hz: 1000, LevelDBm0: -10})
		start(t, b, spoken(alice, 0, 9), Echo{})
		for _, number := range []int{9, 3, 8, 9, 0} {
			time.Sleep(3 * time.Second)
			for s, peer := range map[*Session]string{a: bob, b: alice} {
				source := Source(Tone{Hz: 1000, LevelDBm0: -10})
				if s == b {
					source = Echo{}
				}
				if err := s.Update(spoken(peer, number, 0, 9), source); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
			st := a.Stats()
			if spec, _ := codec.Lookup(number); st.Codec != spec.Format.String() || st.Heard == nil {
				t.Fatalf("after the change to %s: %+v", spec.Format, st)
			}
			within(t, "frequency", st.Heard.FrequencyHz, 1000, 1)
			within(t, "level", st.Heard.LevelDBm0, -10, 0.5)
			within(t, "lost or discarded", float64(st.Lost+st.Discarded), 0, 0)
		}
	})
}

// Under loss the tone is still heard, the loss is reported as injected, and quality falls by the codec's own impairment.
func TestLossIsConcealedInEveryCodec(t *testing.T) {
	for _, number := range audioCodecs {
		spec, _ := codec.Lookup(number)
		t.Run(spec.Format.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				rng, lost, sent := rand.New(rand.NewPCG(7, 7)), 0, 0
				n.impair = func(from, _ netip.AddrPort, b []byte) []time.Duration {
					if from == netip.MustParseAddrPort(alice) {
						if sent++; rng.Float64() < 0.05 {
							lost++
							return nil
						}
					}
					return []time.Duration{30 * time.Millisecond}
				}
				a, b := n.open(t, alice), n.open(t, bob)
				start(t, a, spoken(bob, number), Tone{Hz: 400, LevelDBm0: -10})
				start(t, b, spoken(alice, number), Silence{})
				var st Stats
				var levels []float64 // every 300 ms: some of them just after a loss, with what concealment leaves of the tone
				for range 100 {
					time.Sleep(300 * time.Millisecond)
					synctest.Wait()
					if st = b.Stats(); st.Heard != nil {
						levels = append(levels, st.Heard.LevelDBm0)
					}
				}
				if st.Heard == nil || len(levels) < 95 {
					t.Fatalf("a tone is heard %d times of 100; %+v", len(levels), st)
				}
				within(t, "packets lost", float64(st.Lost), float64(lost), 2)
				within(t, "frequency", st.Heard.FrequencyHz, 400, 3)
				slices.Sort(levels)
				level := levels[len(levels)/2]
				off := levelOff(number)
				if number == 18 {
					off = 2 // its gains fade at once and come back slowly, as the recommendation has it
				}
				within(t, "level", level, -10, off)
				model := EModel{
					Ie: spec.Impairment.Ie, Bpl: spec.Impairment.Bpl, LossPercent: 100 * float64(lost) / float64(sent),
					DelayMs: 20 + value(st.RTTMs)/2 + value(st.BufferMs),
				}
				within(t, "MOS", value(st.MOS), model.MOS(), 0.03)
				t.Logf("%d of %d packets lost: heard %.1f Hz at %.1f dBm0 (%.1f to %.1f), MOS %.2f", lost, sent, st.Heard.FrequencyHz, level, levels[0], levels[len(levels)-1], *st.MOS)
			})
		})
	}
}

func TestPacketTimesThatFramesDoNotFillAreAnError(t *testing.T) {
	n := spoken(bob, 3)
	n.PTime = 30
	if err := newNetwork().open(t, alice).Start(n, nil); err == nil {
		t.Error("GSM is sent in packets of 30 ms")
	}
}
