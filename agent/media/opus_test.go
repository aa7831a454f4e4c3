//go:build cgo && !nolibopus

package media

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/softphone-operator/softphone-operator/agent/codec"
	"github.com/softphone-operator/softphone-operator/agent/dtmf"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// opusWith is a negotiation of Opus, as the account wants it on our side and with what the peer asks for.
func opusWith(peer string, own codec.Opus, params string) sdp.Negotiated {
	n := spoken(peer, 103)
	f := codec.Formats([]int{103}, codec.Options{Opus: own})[0]
	n.Receive[0] = f
	f.Params = params
	n.Codec = f
	return n
}

// Timestamps run at 48 kHz whatever the bandwidth; a packet of 20 ms is 960 ticks.
func TestOpusIsHeardInEveryBandwidth(t *testing.T) {
	for bandwidth, hz := range map[int]float64{8000: 1000, 16000: 5200, 48000: 11000} {
		for _, ptime := range []int{10, 20, 60} {
			synctest.Test(t, func(t *testing.T) {
				network := newNetwork()
				a, sent, _ := watched(t, network, alice)
				b := network.open(t, bob)
				own := codec.Opus{Bandwidth: bandwidth, Complexity: -1, Bitrate: 64000, VBR: true}
				to, from := opusWith(bob, own, ""), opusWith(alice, own, "")
				to.PTime, from.PTime = ptime, ptime
				start(t, a, to, Tone{Hz: hz, LevelDBm0: -10})
				start(t, b, from, Echo{})
				time.Sleep(4 * time.Second)
				synctest.Wait()
				for who, st := range map[string]Stats{"alice": a.Stats(), "bob": b.Stats()} {
					if st.Heard == nil || st.Codec != "opus/48000/2" || st.Lost+st.Discarded != 0 {
						t.Fatalf("%s at %d Hz: %+v", who, bandwidth, st)
					}
					within(t, who+": frequency", st.Heard.FrequencyHz, hz, 2)
					within(t, who+": level", st.Heard.LevelDBm0, -10, 1)
					within(t, who+": jitter", value(st.JitterMs), 0, 0.2)
				}
				closeSession(t, a)
				for i, p := range sent.rtp {
					if p.Timestamp-sent.rtp[0].Timestamp != uint32(48*ptime*i) {
						t.Fatalf("packet %d has timestamp %d", i, p.Timestamp-sent.rtp[0].Timestamp)
					}
				}
			})
		}
	}
}

// A silent line sends next to nothing when the peer takes DTX; it is no loss, and the peer hears of the tone after it at once.
func TestOpusPausesAreNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		a, b := network.open(t, alice), network.open(t, bob)
		own := codec.Opus{Bandwidth: 16000, Complexity: -1, VBR: true, DTX: true}
		start(t, a, opusWith(bob, own, "usedtx=1"), Silence{})
		start(t, b, opusWith(alice, own, ""), Silence{})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		st := b.Stats()
		if st.Received > 60 || st.Received < 10 || st.Lost != 0 || st.Discarded != 0 {
			t.Fatalf("10 s of silence: %+v", st)
		}
		if err := a.Update(opusWith(bob, own, "usedtx=1"), Tone{Hz: 440, LevelDBm0: -10}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if st = b.Stats(); st.Heard == nil || st.Lost != 0 {
			t.Fatalf("3 s of a tone after it: %+v", st)
		}
		within(t, "frequency", st.Heard.FrequencyHz, 440, 2)
	})
}

// What is lost is repaired by the packet after it where the sender repeats it.
func TestOpusRepairsLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		rng, lost := rand.New(rand.NewPCG(7, 7)), 0
		network.impair = func(from, _ netip.AddrPort, _ []byte) []time.Duration {
			if from == netip.MustParseAddrPort(alice) && rng.Float64() < 0.05 {
				lost++
				return nil
			}
			return []time.Duration{30 * time.Millisecond}
		}
		a, b := network.open(t, alice), network.open(t, bob)
		own := codec.Opus{Bandwidth: 16000, Complexity: -1, Bitrate: 24000, VBR: true, ExpectedLoss: 20}
		start(t, a, opusWith(bob, own, "useinbandfec=1"), Tone{Hz: 400, LevelDBm0: -10})
		start(t, b, opusWith(alice, own, ""), Silence{})
		time.Sleep(20 * time.Second)
		synctest.Wait()
		st := b.Stats()
		if st.Heard == nil {
			t.Fatalf("%+v", st)
		}
		within(t, "packets lost", float64(st.Lost), float64(lost), 2)
		within(t, "frequency", st.Heard.FrequencyHz, 400, 3)
		within(t, "level", st.Heard.LevelDBm0, -10, 1.5)
	})
}

func TestOpusAllocatesNothingInSteadyState(t *testing.T) {
	c, err := newChain(opusWith(bob, codec.Opus{}, "useinbandfec=1"), Tone{Hz: 400, LevelDBm0: -10}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlayout(48000, c.rate, int64(c.step))
	payload, pcm, out := make([]byte, 0, 1500), make([]int16, c.samples), make([]int16, c.samples)
	c.generator.Fill(Frame{pcm, c.rate, 0}, Frame{})
	seq, now := int64(1), int64(0)
	step := func() {
		payload, _ = c.encoder.Encode(payload[:0], pcm)
		if seq%10 != 0 { // one in ten is lost
			p.put(seq, uint32(now), now, c.negotiated.Codec.PT, true, payload)
		}
		p.pull(now, out, &c.decoders)
		seq, now = seq+1, now+int64(c.step)
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(500, step); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// The legacy mode of telephone-events beside Opus: timestamps run with the codec, and durations in its unit or in that of 8 kHz, as the
// account says. Whoever receives them hears the digits all the same.
func TestDurationsOfEventsAt8kHz(t *testing.T) {
	for unit, full := range map[int]uint16{0: 4800, 8000: 800} { // 100 ms
		synctest.Test(t, func(t *testing.T) {
			network := newNetwork()
			a, sent, _ := watched(t, network, alice)
			b := network.open(t, bob)
			var told strings.Builder
			b.SetOnDTMF(func(digit rune) { told.WriteRune(digit) })
			to, from := opusWith(bob, codec.DefaultOpus, ""), opusWith(alice, codec.DefaultOpus, "")
			to.TelephoneEventPT, to.EventClock, from.ReceiveEvents = 101, unit, eventsAt(8000)
			start(t, a, to, Silence{})
			start(t, b, from, Silence{})
			if err := a.SendDTMF("42"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			closeSession(t, a)
			ends, began := 0, map[uint32]bool{}
			for _, p := range sent.rtp {
				if p.PayloadType != 101 {
					continue
				}
				e, err := dtmf.Parse(p.Payload)
				if err != nil {
					t.Fatal(err)
				}
				began[p.Timestamp] = true
				if step := full / 5; e.Duration%step != 0 || e.Duration > full || e.End && e.Duration != full {
					t.Errorf("unit %d: duration %d, end %v", unit, e.Duration, e.End)
				}
				if e.End {
					ends++
				}
			}
			if ends != 6 || len(began) != 2 || told.String() != "42" {
				t.Errorf("unit %d: %d ends of %d events; %q was heard", unit, ends, len(began), told.String())
			}
		})
	}
}

// A sender may go from one codec that was agreed on to another at any time, be its RTP clock another or not: it is heard in both, and
// its packets are counted as ever.
func TestASenderChangesBetweenClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, peer := n.open(t, alice), n.attach(bob)
		defer func() { _ = peer.close() }()
		formats := codec.Formats([]int{103, 0}, codec.Options{})
		ours := agreed(bob)
		ours.Codec, ours.Receive, ours.TelephoneEventPT = formats[0], formats, 96
		ours.ReceiveEvents = []codec.Format{{Name: "telephone-event", PT: 96, Clock: 48000}, {Name: "telephone-event", PT: 97, Clock: 8000}}
		start(t, a, ours, Silence{})
		h := rtp.Header{Version: 2, SSRC: 7}
		speak := func(f codec.Format, hz float64, packets int) {
			encoder, err := codec.NewEncoder(f)
			if err != nil {
				t.Fatal(err)
			}
			tone := Tone{Hz: hz, LevelDBm0: -10}.Open(encoder.Rate())
			pcm := Frame{make([]int16, encoder.Rate()/50), encoder.Rate(), 0}
			for range packets {
				tone.Fill(pcm, pcm)
				payload, err := encoder.Encode(nil, pcm.Samples)
				if err != nil {
					t.Fatal(err)
				}
				h.PayloadType = f.PT
				b, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				n.send(netip.MustParseAddrPort(bob), netip.MustParseAddrPort(alice), b)
				h.SequenceNumber++
				h.Timestamp += f.Ticks(20 * time.Millisecond)
				time.Sleep(20 * time.Millisecond)
			}
		}
		press := func(pt uint8, digit rune, step uint32) {
			code, _ := dtmf.Code(digit)
			at := h
			at.PayloadType, at.Marker = pt, true
			for i := range uint16(8) {
				e := dtmf.Event{Code: code, End: i > 4, Volume: 10, Duration: min(i+1, 6) * uint16(step)}
				b, err := (&rtp.Packet{Header: at, Payload: e.AppendTo(nil)}).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				n.send(netip.MustParseAddrPort(bob), netip.MustParseAddrPort(alice), b)
				at.SequenceNumber, at.Marker = at.SequenceNumber+1, false
				h.Timestamp += step
				time.Sleep(20 * time.Millisecond)
			}
			h.SequenceNumber = at.SequenceNumber
		}
		for i, hz := range []float64{400, 700, 1000, 1300} {
			f := formats[i%2]
			speak(f, hz, 75)
			press(ours.ReceiveEvents[i%2].PT, rune('1'+i), f.Ticks(20*time.Millisecond))
			speak(f, hz, 67)
			synctest.Wait()
			st := a.Stats()
			if st.Heard == nil {
				t.Fatalf("%v Hz in %s: nothing is heard; %+v", hz, formats[i%2], st)
			}
			within(t, "frequency", st.Heard.FrequencyHz, hz, 3)
			within(t, "level", st.Heard.LevelDBm0, -10, 1.5)
			if st.Received != uint64(150*(i+1)) || st.Lost != 0 || st.Discarded > 0 || *st.JitterMs > 1 || len(st.Trouble) > 0 || *st.BufferMs > 60 || st.DTMF != "1234"[:i+1] {
				t.Errorf("%v Hz in %s: %+v, jitter %.1f ms, buffer %.0f ms", hz, formats[i%2], st, *st.JitterMs, *st.BufferMs)
			}
		}
	})
}

// opusCosts gives what 20 ms of a call with Opus cost both ways, as a multiple of what libopus alone takes to decode and to code them: the
// median of rounds that take turns. What it costs to call libopus is measured in package codec.
func opusCosts(t testing.TB, rounds, frames int) float64 {
	f := codec.Formats([]int{103}, codec.Options{PTime: 20})[0]
	enc, err := codec.NewEncoder(f)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := codec.NewDecoder(f)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, enc.Rate()/50)
	Tone{Hz: 700, LevelDBm0: -10}.Open(enc.Rate()).Fill(Frame{Samples: pcm}, Frame{})
	for i := range pcm {
		pcm[i] += int16(rand.IntN(4000) - 2000)
	}
	coded, err := enc.Encode(nil, pcm)
	if err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 0, 1500)
	alone := func() {
		pcm, _ = dec.Decode(pcm[:0], coded)
		said, _ = enc.Encode(said[:0], pcm)
	}
	life := steadyState(t, Echo{}, 103, 103)
	takes := func(f func()) float64 {
		before := cpu(t)
		for range frames {
			f()
		}
		return (cpu(t) - before).Seconds()
	}
	takes(alone)
	ratios := make([]float64, 0, rounds)
	for range rounds {
		ratios = append(ratios, takes(life)/takes(alone))
	}
	return median(ratios)
}

func BenchmarkOpusCall(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(opusCosts(b, 9, 500), "x-libopus")
	}
	b.ReportMetric(0, "ns/op")
}

func TestACallOfOpusCostsWhatLibopusDoes(t *testing.T) {
	if ratio := opusCosts(t, 9, 200); ratio > 1.2 || ratio < 0.8 {
		t.Errorf("a call takes %.2f times the CPU of libopus alone", ratio)
	}
}
