package media

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// relay is the impairment of one direction, by a seed, and what it did.
type relay struct {
	rng                        *rand.Rand
	loss, double, hold, jitter float64       // probabilities; jitter in ms, uniform
	burst                      int           // packets lost at a time; 0 = 1
	outage, moves              time.Duration // when nothing passes for five seconds, and when the sender's address changes; 0 = never

	began                               time.Time
	passed, lost, doubled, held, losing int
	fates                               tally
}

func (r *relay) impair(b []byte) []time.Duration {
	since := time.Since(r.began)
	out := r.outage > 0 && since >= r.outage && since < r.outage+5*time.Second
	if !out && r.losing == 0 && r.rng.Float64() < r.loss/float64(max(r.burst, 1)) {
		r.losing = max(r.burst, 1)
	}
	if out || r.losing > 0 {
		r.losing = max(r.losing-1, 0)
		r.lost++
		r.fates.count(false)
		return nil
	}
	r.passed++
	r.fates.count(true)
	base := 40 * time.Millisecond
	at := base + time.Duration(r.rng.Float64()*r.jitter*float64(time.Millisecond))
	switch p := r.rng.Float64(); {
	case p < r.double:
		r.doubled++
		return []time.Duration{at, at + time.Millisecond}
	case p < r.double+r.hold:
		r.held++
		return []time.Duration{at + 25*time.Millisecond} // the next one passes it
	}
	return []time.Duration{at}
}

// translate gives the sender another address once it has moved, on its way there and back.
func (r *relay) translate(from, to netip.AddrPort) (netip.AddrPort, netip.AddrPort) {
	before, after := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.99")
	switch moved := r.moves > 0 && time.Since(r.began) >= r.moves; {
	case moved && from.Addr() == before:
		from = netip.AddrPortFrom(after, from.Port())
	case moved && to.Addr() == before:
		to = netip.AddrPort{} // nobody is there any more
	case to.Addr() == after:
		to = netip.AddrPortFrom(before, to.Port())
	}
	return from, to
}

// impaired is a call of two minutes whose way to bob is impaired: what bob's side and alice's tell at its end, and the mean of the
// jitter that bob's told meanwhile.
func impaired(t *testing.T, r *relay) (a, b Stats, jitter float64) {
	n := newNetwork()
	n.waits = true // the last window that is heard ends with the last packet, not with a look after it
	r.rng, r.began = rand.New(rand.NewPCG(42, 1)), time.Now()
	n.translate = r.translate
	n.impair = func(from, to netip.AddrPort, b []byte) []time.Duration {
		if to == netip.MustParseAddrPort(bob) {
			return r.impair(b)
		}
		return []time.Duration{40 * time.Millisecond}
	}
	alices, bobs := call(t, n)
	samples := 0
	for range 240 {
		time.Sleep(500 * time.Millisecond)
		if st := bobs.Stats(); st.JitterMs != nil {
			jitter, samples = jitter+*st.JitterMs, samples+1
		}
	}
	quiet := agreed(bob) // let what is under way arrive
	quiet.Direction = sdp.Inactive
	if err := alices.Update(quiet, nil); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	synctest.Wait()
	b = bobs.Stats()
	closeSession(t, bobs) // says in its last report how it received us
	synctest.Wait()
	time.Sleep(time.Second)
	return alices.Stats(), b, jitter / float64(samples)
}

func TestReportedNumbersAreThoseInjected(t *testing.T) {
	rows := map[string]relay{
		"nothing":                       {},
		"1 % loss":                      {loss: 0.01},
		"5 % loss":                      {loss: 0.05},
		"20 % loss":                     {loss: 0.2},
		"6 % loss in bursts of 3":       {loss: 0.06, burst: 3},
		"2 % loss in bursts of 8":       {loss: 0.02, burst: 8},
		"5 % reordered":                 {hold: 0.05},
		"5 % doubled":                   {double: 0.05},
		"jitter of 18 ms":               {jitter: 18},
		"jitter of 60 ms":               {jitter: 60},
		"a bad day":                     {loss: 0.03, double: 0.02, hold: 0.03, jitter: 15},
		"five seconds of outage":        {outage: time.Minute},
		"an outage on a bad day":        {loss: 0.03, jitter: 15, outage: time.Minute},
		"the sender's address changes":  {moves: time.Minute},
		"it changes while packets jump": {loss: 0.02, jitter: 15, moves: time.Minute},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := row
				a, b, jitter := impaired(t, &r)
				if r.moves > 0 { // who comes from elsewhere is not believed before the old place has been silent for a while
					refused := int(relatchAfter / (20 * time.Millisecond))
					within(t, "packets not believed after the change", float64(r.passed)-float64(b.Received), float64(refused), 5)
					r.lost, r.passed = r.lost+refused, r.passed-refused
				}
				sameCounts(t, &r, a, b)
				sameQuality(t, &r, b, jitter)
				if r.moves == 0 {
					sameBursts(t, &r, b.In)
				}
				told(t, a.Out, b.In)
				t.Logf("injected %d lost %d doubled %d held back, %g ms; reported %d lost %d doubled %d reordered %d discarded, jitter %.2f ms, buffer %.0f ms, MOS %.2f, bursts of %.0f ms with %.1f %% unplayed, gaps of %.0f ms with %.2f %%",
					r.lost, r.doubled, r.held, r.jitter, b.Lost, b.Duplicates, b.Reordered, b.Discarded, jitter, *b.BufferMs, *b.MOS, *b.In.BurstMs, *b.In.BurstPercent, *b.In.GapMs, *b.In.GapPercent)
			})
		})
	}
}

// sameCounts holds what was counted against what the relay did.
func sameCounts(t *testing.T, r *relay, a, b Stats) {
	t.Helper()
	check(t, "packets received", float64(b.Received), float64(r.passed), 0.001)
	check(t, "packets lost", float64(b.Lost), float64(r.lost), 0.02)
	if r.moves == 0 {
		check(t, "packets doubled", float64(b.Duplicates), float64(r.doubled), 0.001)
	}
	if r.jitter == 0 {
		check(t, "packets reordered", float64(b.Reordered), float64(r.held), 0.1)
	}
	within(t, "loss in percent", value(b.In.LossPercent), 100*float64(r.lost)/float64(r.lost+r.passed), 0.1)
	if late := float64(b.Discarded) / float64(b.Received); late > 0.005 {
		t.Errorf("%.2f %% of the packets came too late to be played", 100*late)
	}
	if a.Peer == nil {
		t.Error("the sender was never told")
	} else {
		check(t, "loss as the receiver reports it", float64(a.Peer.Lost), float64(r.lost-r.doubled), 0.02)
	}
	if b.SSRCs != 1 || b.Heard == nil {
		t.Fatalf("the call did not survive: %+v", b)
	}
	within(t, "frequency", b.Heard.FrequencyHz, 1000, 3)
}

// sameQuality holds jitter, delays and the rating against what follows from what the relay did.
func sameQuality(t *testing.T, r *relay, b Stats, jitter float64) {
	t.Helper()
	if r.jitter > 0 && r.hold == 0 {
		check(t, "jitter", jitter, r.jitter/3, 0.1) // the mean of |difference| of two uniforms
	}
	within(t, "round trip", value(b.RTTMs), 80+r.jitter/2, 8+r.jitter/2)
	// The buffer is as long as packets are late, and what it takes to play packets of 20 ms.
	late := r.jitter
	if r.hold > 0 {
		late += 25
	}
	if buffer := value(b.BufferMs); buffer < 25+late/2 || buffer > 55+1.2*late {
		t.Errorf("a buffer of %.0f ms for packets that are up to %.0f ms late", buffer, late)
	}
	model := EModel{
		Bpl: 25.1, LossPercent: 100 * float64(r.lost) / float64(r.lost+r.passed), BurstR: r.fates.ratio(),
		DelayMs: 20 + *b.RTTMs/2 + *b.BufferMs,
	}
	if r.moves > 0 {
		model.BurstR = float64(r.lost) // one gap decides
	}
	within(t, "MOS", value(b.MOS), model.MOS(), 0.05)
	within(t, "one-way delay", value(b.In.DelayMs), model.DelayMs, 0.001)
	within(t, "end system delay", value(b.In.EndSystemMs), 20+*b.BufferMs, 0.001)
	within(t, "signal level", value(b.In.SignalDBm0), -11.5, 2) // the last second that was heard fades away
	model.DelayMs = 0
	within(t, "MOS of listening", value(b.In.MOSLQ), model.MOS(), 0.05)
}

// sameBursts holds the bursts and gaps that were reported against those of the packets as the relay let them pass or not.
func sameBursts(t *testing.T, r *relay, f *Figures) {
	t.Helper()
	r.fates.close()
	burst, gap := r.fates.densities()
	within(t, "loss in bursts, percent", value(f.BurstPercent), 100*burst, 10*burst)
	within(t, "loss in gaps, percent", value(f.GapPercent), 100*gap, 10*gap+0.05)
	burst, gap = r.fates.lengths()
	within(t, "length of bursts, ms", value(f.BurstMs), 20*burst, 2*burst)
	within(t, "length of gaps, ms", value(f.GapMs), 20*gap, 2*gap)
}

// told holds what the sender was told by VoIP metrics against what the receiver knows: the fields are coarse.
func told(t *testing.T, told, known *Figures) {
	t.Helper()
	if told == nil {
		t.Fatal("the sender was told nothing")
	}
	most := func(v *float64) *float64 { return number(min(*v, 65535)) } // what fits into 16 bits
	for _, c := range []struct {
		what        string
		told, known *float64
		coarse      float64
	}{
		{"loss", told.LossPercent, known.LossPercent, 0.4}, {"discards", told.DiscardPercent, known.DiscardPercent, 0.4},
		{"loss in bursts", told.BurstPercent, known.BurstPercent, 0.4}, {"loss in gaps", told.GapPercent, known.GapPercent, 0.4},
		{"length of bursts", told.BurstMs, most(known.BurstMs), 0.5}, {"length of gaps", told.GapMs, most(known.GapMs), 0.5},
		{"jitter", told.JitterMs, known.JitterMs, 0.13}, {"round trip", told.RTTMs, known.RTTMs, 0.5},
		{"buffer", told.BufferMs, known.BufferMs, 0.5}, {"end system delay", told.EndSystemMs, known.EndSystemMs, 0.5},
		{"delay", told.DelayMs, known.DelayMs, 1}, {"R", told.R, known.R, 0.5}, {"MOS-LQ", told.MOSLQ, known.MOSLQ, 0.05}, {"MOS-CQ", told.MOSCQ, known.MOSCQ, 0.05},
		{"signal", told.SignalDBm0, known.SignalDBm0, 0.5},
	} {
		within(t, c.what+" as told", value(c.told), value(c.known), c.coarse+1e-6)
	}
	if told.NoiseDBm0 != nil {
		t.Errorf("a noise level of %v that nobody measured", *told.NoiseDBm0)
	}
}

// The buffer grows when the network gets worse, and shrinks when it is better again.
func TestTheBufferAdapts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, rng, jitter := newNetwork(), rand.New(rand.NewPCG(1, 2)), 0.
		n.impair = func(_, _ netip.AddrPort, _ []byte) []time.Duration {
			return []time.Duration{40*time.Millisecond + time.Duration(jitter*rng.Float64()*1e6)}
		}
		a, _ := call(t, n)
		for _, phase := range []struct{ jitter, least, most float64 }{{0, 25, 45}, {80, 65, 140}, {0, 25, 60}} {
			n.mu.Lock()
			jitter = phase.jitter
			n.mu.Unlock()
			time.Sleep(10 * time.Second) // to get used to it
			before := a.Stats().Discarded
			time.Sleep(50 * time.Second)
			synctest.Wait()
			st := a.Stats()
			if got := value(st.BufferMs); !(got >= phase.least && got <= phase.most) {
				t.Errorf("jitter of %.0f ms: a buffer of %.0f ms, want %.0f to %.0f", phase.jitter, got, phase.least, phase.most)
			}
			if discarded := st.Discarded - before; discarded > 12 {
				t.Errorf("jitter of %.0f ms: %d of 2500 packets were thrown away", phase.jitter, discarded)
			}
		}
	})
}

// check holds a number against what was injected, with a relative tolerance and one packet of grace.
func check(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	within(t, what, got, want, math.Abs(want)*tolerance+1)
}

func TestACallSurvivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		began := time.Now()
		n.impair = func(_, _ netip.AddrPort, _ []byte) []time.Duration {
			if at := time.Since(began); at > 5*time.Second && at < 10*time.Second {
				return nil
			}
			return []time.Duration{30 * time.Millisecond}
		}
		a, b := call(t, n)
		time.Sleep(8 * time.Second)
		if h := a.Stats().Heard; h != nil {
			t.Errorf("3 s into the outage %+v is heard", *h)
		}
		time.Sleep(7 * time.Second)
		synctest.Wait()
		for _, st := range []Stats{a.Stats(), b.Stats()} {
			check(t, "packets lost", float64(st.Lost), 250, 0.02)
			if st.Heard == nil || st.SSRCs != 1 {
				t.Fatalf("after the outage: %+v", st)
			}
			within(t, "frequency", st.Heard.FrequencyHz, 1000, 1)
		}
	})
}

func TestAPeerBehindNATIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		began := time.Now()
		// Bob's address is private: nothing reaches it but through the binding of the day, which changes after 5 s.
		n.translate = func(from, to netip.AddrPort) (netip.AddrPort, netip.AddrPort) {
			inside, outside := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("203.0.113.9")
			if time.Since(began) > 5*time.Second {
				outside = netip.MustParseAddr("203.0.113.77")
			}
			switch {
			case from.Addr() == inside:
				from = netip.AddrPortFrom(outside, from.Port()+20000)
			case to.Addr() == outside:
				to = netip.AddrPortFrom(inside, to.Port()-20000)
			case to.Addr() == inside:
				to = netip.AddrPort{}
			}
			return from, to
		}
		a, b := call(t, n)
		time.Sleep(5 * time.Second)
		if st := b.Stats(); st.Heard == nil || st.Received < 240 {
			t.Errorf("the peer behind NAT hears %+v of %d packets", st.Heard, st.Received)
		}
		if st := a.Stats(); st.RTTMs == nil || st.Received < 245 {
			t.Errorf("RTCP through NAT: %+v", st)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		st := a.Stats()
		if st.Heard == nil || st.SSRCs != 1 {
			t.Errorf("after a new binding: %+v", st)
		}
		within(t, "packets lost over the new binding", float64(st.Lost), float64(relatchAfter/(20*time.Millisecond)), 3)
	})
}

func TestWithoutSymmetricRTPAudioGoesWhereTheDescriptionSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		elsewhere := n.attach("192.0.2.3:30000")
		m := n.attach(alice)
		s := newSession(Config{Local: m.rtp.Addr()}, m)
		s.listen()
		t.Cleanup(func() { closeSession(t, s) })
		start(t, s, agreed("192.0.2.3:30000"), Silence{})
		b := n.open(t, bob) // the peer sends from here, but receives there
		start(t, b, agreed(alice), Tone{Hz: 500, LevelDBm0: -10})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := len(elsewhere.rtpIn); got < 95 {
			t.Errorf("%d packets came to the described address", got)
		}
		if st := b.Stats(); st.Received != 0 {
			t.Errorf("%d packets came to where the peer sends from", st.Received)
		}
		if st := s.Stats(); st.Received < 95 || st.Heard == nil {
			t.Errorf("%+v", st)
		}
	})
}

// intruder sends packets of its own making to a session.
type intruder struct {
	m  *memory
	to netip.AddrPort
	h  rtp.Header
}

func (i *intruder) send(t *testing.T, payload []byte) {
	t.Helper()
	b, err := (rtp.Packet{Header: i.h, Payload: payload}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.m.writeRTP(b, i.to); err != nil {
		t.Fatal(err)
	}
	i.h.SequenceNumber++
	i.h.Timestamp += 160
}

func TestStrangersAreNeitherHeardNorBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := call(t, n)
		time.Sleep(2 * time.Second)
		stranger := &intruder{m: n.attach("192.0.2.66:6000"), to: netip.MustParseAddrPort(alice), h: rtp.Header{Version: 2, SSRC: b.Stats().LocalSSRC, SequenceNumber: 9}}
		noise := make([]byte, 160)
		for i := range noise {
			noise[i] = byte(i * 37)
		}
		for range 100 {
			stranger.send(t, noise)
			stranger.h.PayloadType ^= 101 // events, too
			time.Sleep(10 * time.Millisecond)
		}
		lies := rtcp.SenderReport{SSRC: b.Stats().LocalSSRC, Reports: []rtcp.ReceptionReport{{SSRC: a.Stats().LocalSSRC, TotalLost: 5000, FractionLost: 255}}}
		raw, err := lies.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if err := stranger.m.writeRTCP(raw, netip.MustParseAddrPort("192.0.2.1:10001")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		st := a.Stats()
		if st.Refused != 101 || st.Received < 240 || st.Lost+st.Duplicates != 0 || st.DTMF != "" || st.SSRCs != 1 {
			t.Errorf("%+v", st)
		}
		if st.Peer != nil && st.Peer.Lost != 0 {
			t.Errorf("a stranger's report is believed: %+v", *st.Peer)
		}
		if h := st.Heard; h == nil || h.FrequencyHz < 999 || h.FrequencyHz > 1001 {
			t.Errorf("hears %+v", h)
		}
		if got := len(stranger.m.rtpIn); got != 0 {
			t.Errorf("%d packets went to the stranger", got)
		}
	})
}

func TestANewSourceFromThePeerIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a := n.open(t, alice)
		start(t, a, agreed(bob), Silence{})
		peer := &intruder{m: n.attach(bob), to: netip.MustParseAddrPort(alice), h: rtp.Header{Version: 2, SSRC: 1, SequenceNumber: 65530, Timestamp: 0xffffff00}}
		talk := func(packets int) {
			for range packets {
				peer.send(t, make([]byte, 160))
				time.Sleep(20 * time.Millisecond)
			}
		}
		talk(100)
		peer.h.SSRC, peer.h.SequenceNumber, peer.h.Timestamp = 2, 40000, 12345 // transferred
		talk(100)
		peer.h.SequenceNumber, peer.h.Timestamp = 100, 99 // the same source, restarted
		talk(100)
		synctest.Wait()
		st := a.Stats()
		if st.SSRCs != 2 || st.Received < 298 || st.Lost != 0 || st.Discarded > 3 {
			t.Errorf("%+v", st)
		}
		within(t, "jitter", value(st.JitterMs), 0, 0.2)
	})
}

// Some peers send back exactly what they get: our packets, with our SSRC.
func TestAPeerThatReflectsPacketsIsAnOrdinaryPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a := n.open(t, alice)
		mirror := n.attach(bob)
		start(t, a, agreed(bob), Tone{Hz: 1234, LevelDBm0: -15})
		go func() {
			b := make([]byte, 2048)
			for {
				size, from, err := mirror.readRTP(b)
				if err != nil {
					return
				}
				if mirror.writeRTP(b[:size], from) != nil {
					return
				}
			}
		}()
		time.Sleep(4 * time.Second)
		synctest.Wait()
		st := a.Stats()
		if err := mirror.close(); err != nil {
			t.Error(err)
		}
		if st.Heard == nil || st.Received < 198 || st.SSRCs != 1 || st.Refused != 0 {
			t.Fatalf("%+v", st)
		}
		within(t, "frequency", st.Heard.FrequencyHz, 1234, 1)
	})
}

// fuzzed is a session that is fed by hand: no goroutine runs.
func fuzzed(t testing.TB) *Session {
	n := newNetwork()
	m := n.attach(alice)
	s := newSession(Config{Local: m.rtp.Addr(), SymmetricRTP: true}, m)
	if err := s.swap(agreed(bob), Echo{}); err != nil {
		t.Fatal(err)
	}
	return s
}

// FuzzReceive feeds datagrams, each behind its length, to both ports of a session, as from the peer and from a stranger.
func FuzzReceive(f *testing.F) {
	rtpPacket, err := (&rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1, SequenceNumber: 5}, Payload: make([]byte, 160)}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	report, err := rtcp.Marshal([]rtcp.Packet{
		&rtcp.SenderReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 7}}},
		&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 1, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "x"}}}}},
		&rtcp.Goodbye{Sources: []uint32{1}},
	})
	if err != nil {
		f.Fatal(err)
	}
	seed := func(packets ...[]byte) (b []byte) {
		for _, p := range packets {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(p))), p...)
		}
		return b
	}
	f.Add(seed(rtpPacket, report, rtpPacket))
	f.Add(seed(report, rtpPacket[:12], append([]byte{0x90, 101}, rtpPacket[2:]...)))
	f.Fuzz(func(t *testing.T, script []byte) {
		s := fuzzed(t)
		now := s.epoch
		peer, stranger := netip.MustParseAddrPort(bob), netip.MustParseAddrPort("192.0.2.66:6")
		d := new(desk)
		for len(script) > 2 {
			flags := script[0]
			n := min(int(binary.BigEndian.Uint16(script)&0x7ff), len(script)-2)
			b := script[2 : 2+n]
			script = script[2+n:]
			from := peer
			if flags&0x80 != 0 {
				from = stranger
			}
			now = now.Add(time.Duration(flags&0x78) * time.Millisecond)
			s.onRTP(append([]byte(nil), b...), from, now)
			s.onRTCP(append([]byte(nil), b...), from, now)
			d.now = now
			s.tick(now, d)
		}
		st := s.Stats()
		if st.Lost > 1<<40 || st.Received > 1<<20 || (st.MOS != nil && !(*st.MOS >= 1 && *st.MOS <= 4.5)) || len(s.in.playout.pcm) > 1<<15 {
			t.Fatalf("%+v", st)
		}
	})
}
