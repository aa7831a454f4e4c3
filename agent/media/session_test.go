package media

import (
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/softphone-operator/softphone-operator/agent/codec"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// call starts a tone at alice's and an echo at bob's.
func call(t *testing.T, n *network) (a, b *Session) {
	a, b = n.open(t, alice), n.open(t, bob)
	start(t, a, agreed(bob), Tone{Hz: 1000, LevelDBm0: -10})
	start(t, b, agreed(alice), Echo{})
	return a, b
}

func TestEchoOfATone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := call(t, newNetwork())
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for name, st := range map[string]Stats{"the caller": a.Stats(), "the echo": b.Stats()} {
			if st.Sent < 500 || st.Sent > 501 || st.Received < 499 || st.Received > 501 || st.Lost+st.Discarded+st.Duplicates != 0 || st.Refused > 1 {
				t.Errorf("%s: %+v, want 500 packets each way and nothing else but one before the start", name, st)
			}
			if st.Heard == nil {
				t.Fatalf("%s hears nothing", name)
			}
			within(t, name+": frequency", st.Heard.FrequencyHz, 1000, 1)
			within(t, name+": level", st.Heard.LevelDBm0, -10, 0.2)
			within(t, name+": jitter", value(st.JitterMs), 0, 0.2)
			within(t, name+": round trip", value(st.RTTMs), 0, 0.1)
			within(t, name+": quality", value(st.MOS), 4.38, 0.03)
			if st.Codec != "PCMU/8000" || st.SSRCs != 1 || st.Peer == nil || st.Peer.Lost != 0 {
				t.Errorf("%s: %+v", name, st)
			}
			if d := st.LastPacket.Sub(st.FirstPacket); d < 9900*time.Millisecond || d > 10*time.Second {
				t.Errorf("%s: packets over %v", name, d)
			}
		}
	})
}

func TestNothingIsReportedBeforeItIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a := n.open(t, alice)
		if st := a.Stats(); st.Codec != "" || st.MOS != nil || st.JitterMs != nil {
			t.Errorf("before the start: %+v", st)
		}
		start(t, a, agreed(bob), Echo{})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		st := a.Stats()
		if st.MOS != nil || st.R != nil || st.RTTMs != nil || st.JitterMs != nil || st.BufferMs != nil || st.Peer != nil || st.Heard != nil || !st.FirstPacket.IsZero() {
			t.Errorf("measured without a peer: %+v", st)
		}
		if st.Sent < 250 {
			t.Errorf("an echo with nothing to echo sent %d packets in 5 s; the peer waits for ours as we for its", st.Sent)
		}
		b := n.open(t, bob)
		start(t, b, agreed(alice), Silence{})
		time.Sleep(900 * time.Millisecond)
		if st := a.Stats(); st.MOS != nil {
			t.Errorf("a MOS of %.2f after 0.9 s", *st.MOS)
		}
		time.Sleep(300 * time.Millisecond)
		if st := a.Stats(); st.MOS == nil {
			t.Error("no MOS after 1.2 s")
		} else if st.Heard != nil {
			t.Errorf("silence is heard as %+v", *st.Heard)
		}
	})
}

// sentPackets notes the RTP a session sends, and when.
type sentPackets struct {
	mu   sync.Mutex
	at   []time.Duration
	rtp  []rtp.Packet
	from time.Time
}

func (p *sentPackets) note(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var packet rtp.Packet
	if packet.Unmarshal(append([]byte(nil), b...)) == nil {
		p.at, p.rtp = append(p.at, time.Since(p.from)), append(p.rtp, packet)
	}
}

func (p *sentPackets) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.rtp)
}

func watched(t *testing.T, n *network, addr string) (*Session, *sentPackets, *memory) {
	m := n.attach(addr)
	sent := &sentPackets{from: time.Now()}
	m.onWrite = sent.note
	s := newSession(Config{Local: m.rtp.Addr(), SymmetricRTP: true}, m)
	s.listen()
	t.Cleanup(func() { closeSession(t, s) })
	return s, sent, m
}

func TestSendingKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sent, m := watched(t, newNetwork(), alice)
		m.onWrite = func(b []byte) {
			time.Sleep(7 * time.Millisecond) // a slow network must not slow the clock
			sent.note(b)
		}
		start(t, s, agreed(bob), Tone{Hz: 440, LevelDBm0: -10})
		time.Sleep(60*time.Second + 10*time.Millisecond)
		closeSession(t, s)
		if len(sent.rtp) != 3001 {
			t.Fatalf("%d packets in 60 s, want 3001", len(sent.rtp))
		}
		for i, p := range sent.rtp {
			if want := time.Duration(i)*20*time.Millisecond + 7*time.Millisecond; sent.at[i] != want {
				t.Fatalf("packet %d left at %v, want %v", i, sent.at[i], want)
			}
			if p.SequenceNumber != sent.rtp[0].SequenceNumber+uint16(i) || p.Timestamp != sent.rtp[0].Timestamp+uint32(160*i) || p.SSRC != sent.rtp[0].SSRC {
				t.Fatalf("packet %d: %v", i, p)
			}
			if p.Marker != (i == 0) || p.PayloadType != 0 || len(p.Payload) != 160 {
				t.Fatalf("packet %d: marker %v, payload type %d, %d octets", i, p.Marker, p.PayloadType, len(p.Payload))
			}
		}
	})
}

func TestAStoppedClockSkipsAhead(t *testing.T) {
	for _, stop := range []time.Duration{time.Second, 5 * time.Second} {
		t.Run(stop.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { stopClock(t, stop) })
		})
	}
}

func stopClock(t *testing.T, stop time.Duration) {
	n := newNetwork()
	s, sent, m := watched(t, n, alice)
	m.onWrite = func(b []byte) {
		sent.note(b)
		if len(sent.rtp) == 50 {
			time.Sleep(stop)
		}
	}
	b := n.open(t, bob)
	start(t, b, agreed(alice), Tone{Hz: 800, LevelDBm0: -10})
	start(t, s, agreed(bob), Silence{})
	time.Sleep(8*time.Second + 10*time.Millisecond)
	if st := s.Stats(); st.Lost > 0 || st.Received < 390 || st.Heard == nil || (st.Discarded > 0 && stop <= time.Second) {
		t.Errorf("what came while the clock stood still was not heard: %+v", st)
	}
	closeSession(t, s)
	burst := 0
	for i := 51; i < len(sent.rtp); i++ {
		if sent.at[i] == sent.at[i-1] {
			burst++
		}
	}
	if limit := int(maxLag / (20 * time.Millisecond)); burst > limit {
		t.Errorf("%d packets in one burst, at most %d are caught up", burst, limit)
	}
	first, last := sent.rtp[0], sent.rtp[len(sent.rtp)-1]
	if ticks := last.Timestamp - first.Timestamp; ticks != 8*8000 {
		t.Errorf("timestamps moved by %d in 8 s", ticks)
	}
	if last.SequenceNumber-first.SequenceNumber != uint16(len(sent.rtp)-1) {
		t.Error("sequence numbers were skipped, which looks like loss")
	}
}

func TestTwoStreamsStartAtDifferentNumbers(t *testing.T) {
	a, b := newOutbound(), newOutbound()
	if a.header.SSRC == b.header.SSRC || a.header.SequenceNumber == b.header.SequenceNumber || a.tick == b.tick {
		t.Errorf("two streams share numbers: %v %d, %v %d", a.header, a.tick, b.header, b.tick)
	}
}

func TestDirectionsAreHonoured(t *testing.T) {
	rows := map[sdp.Direction]struct{ sends, hears bool }{
		sdp.SendRecv: {true, true}, sdp.SendOnly: {true, false}, sdp.RecvOnly: {false, true}, sdp.Inactive: {false, false},
	}
	for direction, want := range rows {
		t.Run(direction.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := call(t, newNetwork())
				time.Sleep(2 * time.Second)
				n := agreed(bob)
				n.Direction = direction
				if err := a.Update(n, Tone{Hz: 1000, LevelDBm0: -10}); err != nil {
					t.Fatal(err)
				}
				before := a.Stats()
				if err := b.Update(agreed(alice), Tone{Hz: 600, LevelDBm0: -10}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				after := a.Stats()
				if sends := after.Sent > before.Sent+90; sends != want.sends {
					t.Errorf("%d packets sent in 2 s", after.Sent-before.Sent)
				}
				if hears := after.Heard != nil && after.Heard.FrequencyHz > 590 && after.Heard.FrequencyHz < 610; hears != want.hears {
					t.Errorf("hears %+v", after.Heard)
				}
				if after.Received < before.Received+90 {
					t.Error("packets are not counted any more")
				}
			})
		})
	}
}

func TestResumingMarksThePauseAndKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sent, _ := watched(t, newNetwork(), alice)
		start(t, s, agreed(bob), Silence{})
		time.Sleep(time.Second)
		hold := agreed(bob)
		hold.Direction = sdp.Inactive
		if err := s.Update(hold, Silence{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		paused := sent.count()
		if err := s.Update(agreed(bob), Silence{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		closeSession(t, s)
		before, after := sent.rtp[paused-1], sent.rtp[paused]
		gap := sent.at[paused] - sent.at[paused-1]
		if !after.Marker || after.SequenceNumber != before.SequenceNumber+1 || after.Timestamp-before.Timestamp != uint32(gap.Milliseconds()*8) {
			t.Errorf("after %v of hold: %v, before it: %v", gap, after, before)
		}
	})
}

func TestAnEqualSourceKeepsItsPhaseOverAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, sent, _ := watched(t, newNetwork(), alice)
		tone := Tone{Hz: 437, LevelDBm0: -10}
		start(t, s, agreed(bob), tone)
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			if err := s.Update(agreed(bob), tone); err != nil {
				t.Fatal(err)
			}
		}
		closeSession(t, s)
		var pcm []int16
		dec, _ := codec.NewDecoder(agreed(bob).Codec)
		for _, p := range sent.rtp {
			pcm, _ = dec.Decode(pcm, p.Payload)
		}
		reference := make([]int16, len(pcm))
		tone.Open(8000).Fill(Frame{Samples: reference}, Frame{})
		for i := range pcm {
			within(t, "sample", float64(pcm[i]), float64(reference[i]), 300)
		}
	})
}

func TestPacketTimesOtherThanTwenty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.open(t, alice), n.open(t, bob)
		slow, fast := agreed(bob), agreed(alice)
		slow.PTime, fast.PTime, fast.Codec = 60, 10, codec.Formats([]int{8}, codec.Options{})[0]
		start(t, a, slow, Tone{Hz: 700, LevelDBm0: -12})
		start(t, b, fast, Echo{})
		time.Sleep(6 * time.Second)
		synctest.Wait()
		sa, sb := a.Stats(), b.Stats()
		within(t, "packets of 60 ms", float64(sa.Sent), 100, 1)
		within(t, "packets of 10 ms", float64(sb.Sent), 600, 1)
		if sa.Heard == nil || sa.Discarded+sb.Discarded != 0 {
			t.Fatalf("%+v\n%+v", sa, sb)
		}
		within(t, "frequency", sa.Heard.FrequencyHz, 700, 1)
		within(t, "level", sa.Heard.LevelDBm0, -12, 0.3)
	})
}

func TestDTMFGoesBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := call(t, newNetwork())
		var mu sync.Mutex
		var told strings.Builder
		b.SetOnDTMF(func(digit rune) {
			mu.Lock()
			defer mu.Unlock()
			told.WriteRune(digit)
		})
		time.Sleep(500 * time.Millisecond)
		if err := a.SendDTMF("0123456789*#ABCD"); err != nil {
			t.Fatal(err)
		}
		if err := b.SendDTMF("5,5"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		sa, sb := a.Stats(), b.Stats()
		mu.Lock()
		defer mu.Unlock()
		if sb.DTMF != "0123456789*#ABCD" || told.String() != sb.DTMF || sa.DTMFSent != sb.DTMF || sa.DTMF != "55" || sb.DTMFSent != "55" {
			t.Errorf("sent %q and %q, received %q and %q, told %q", sa.DTMFSent, sb.DTMFSent, sb.DTMF, sa.DTMF, told.String())
		}
		if sa.Lost+sb.Lost+sa.Discarded+sb.Discarded != 0 {
			t.Errorf("events count as loss: %+v", sb)
		}
		within(t, "jitter with events", value(sb.JitterMs), 0, 0.2)
		if sb.Heard == nil {
			t.Error("the tone did not go on after the digits")
		}
	})
}

// Digits as tones go through codec and network, and are heard as what they are.
func TestDigitsAreHeardAsTones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, m := n.open(t, alice), n.attach(bob)
		b := newSession(Config{Local: m.rtp.Addr(), Listen: []float64{697, 770, 852, 941, 1209, 1336, 1477, 1633}}, m)
		b.listen()
		defer closeSession(t, b)
		deaf := agreed(bob)
		deaf.TelephoneEventPT = -1
		start(t, a, deaf, Silence{})
		start(t, b, agreed(alice), Silence{})
		time.Sleep(500 * time.Millisecond)
		if err := a.SendTones("5555555555"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		for _, tone := range b.Stats().Tones {
			if five := tone.Hz == 770 || tone.Hz == 1336; five != (tone.For >= 2*time.Second) || !five && tone.For > 0 {
				t.Errorf("%v Hz was heard for %v while 5 was sent ten times", tone.Hz, tone.For)
			}
		}
	})
}

func TestMisuseIsAnError(t *testing.T) {
	n := newNetwork()
	s := n.open(t, alice)
	if err := s.Update(agreed(bob), nil); !errors.Is(err, ErrNotStarted) {
		t.Errorf("update before the start: %v", err)
	}
	if err := s.SendDTMF("1"); !errors.Is(err, ErrNotStarted) {
		t.Errorf("digits before the start: %v", err)
	}
	unspoken := agreed(bob)
	unspoken.Codec = codec.Format{Name: "speex", PT: 97, Clock: 8000}
	if err := s.Start(unspoken, nil); !errors.Is(err, codec.ErrNotOffered) {
		t.Errorf("a codec nobody speaks: %v", err)
	}
	deaf := agreed(bob)
	deaf.TelephoneEventPT = -1
	start(t, s, deaf, nil)
	if err := s.Start(agreed(bob), nil); !errors.Is(err, ErrStarted) {
		t.Errorf("second start: %v", err)
	}
	if err := s.Update(unspoken, nil); !errors.Is(err, codec.ErrNotOffered) || s.Stats().Codec != "PCMU/8000" {
		t.Errorf("update to a codec nobody speaks: %v, now %s", err, s.Stats().Codec)
	}
	if err := s.SendDTMF("1"); !errors.Is(err, ErrNoTelephoneEvent) {
		t.Errorf("digits to a peer that takes none: %v", err)
	}
	if err := s.Update(agreed(bob), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.SendDTMF("1x"); err == nil {
		t.Error("x is a digit")
	}
	closeSession(t, s)
	closeSession(t, s)
	for what, err := range map[string]error{"start": s.Start(agreed(bob), nil), "update": s.Update(agreed(bob), nil), "digits": s.SendDTMF("1")} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after the end: %v", what, err)
		}
	}
}

// unplugged is a network that takes nothing.
type unplugged struct{ *memory }

func (unplugged) writeRTP([]byte, netip.AddrPort) error { return syscall.ENETUNREACH }

func TestANetworkThatTakesNothingIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		m := newNetwork().attach(alice)
		s := newSession(Config{Local: m.rtp.Addr(), Log: slog.New(slog.NewTextHandler(&log, nil))}, unplugged{m})
		s.listen()
		start(t, s, agreed(bob), Silence{})
		time.Sleep(time.Second + time.Millisecond)
		closeSession(t, s)
		if st := s.Stats(); st.Sent != 0 || st.SendErrors != 51 {
			t.Errorf("%d sent, %d errors", st.Sent, st.SendErrors)
		}
		if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "network is unreachable") {
			t.Errorf("logged: %s", log.String())
		}
	})
}
