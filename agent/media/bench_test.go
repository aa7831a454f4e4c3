package media

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/softphone-operator/softphone-operator/agent/codec"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// nowhere is a transport that takes everything and brings nothing.
type nowhere struct{ transport }

func (nowhere) writeRTP([]byte, netip.AddrPort) error  { return nil }
func (nowhere) writeRTCP([]byte, netip.AddrPort) error { return nil }

// steadyState gives a function that is 20 ms of a session's life: one packet in, one out. It sends one codec and hears another, by
// their numbers.
func steadyState(t testing.TB, source Source, sends, hears int) func() {
	return steadySecure(t, "", source, sends, hears)
}

// steadySecure is steadyState by SRTP with a suite; "" = without.
func steadySecure(t testing.TB, suite string, source Source, sends, hears int) func() {
	s := newSession(Config{Local: loopback, SymmetricRTP: true}, nowhere{})
	n, peers := spoken(bob, sends, hears), sdp.Negotiated{}
	var peerSide protection = unprotected{}
	if suite != "" {
		n, peers = withSDES(suite, n, peers)
		var err error
		if peerSide, err = newSDES(peers.Protection.Ours, peers.Protection.Theirs); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.swap(n, source); err != nil {
		t.Fatal(err)
	}
	s.reports.next = s.epoch.Add(1000 * time.Hour) // RTCP is once in 250 packets, and may allocate
	spec, _ := codec.Lookup(hears)
	enc, err := codec.NewEncoder(codec.Formats([]int{hears}, codec.Options{PTime: 20})[0])
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, spec.Rate/50)
	Tone{Hz: 700, LevelDBm0: -10}.Open(spec.Rate).Fill(Frame{Samples: pcm}, Frame{})
	for i := range pcm {
		pcm[i] += int16(rand.IntN(4000) - 2000)
	}
	payload, err := enc.Encode(nil, pcm)
	if err != nil {
		t.Fatal(err)
	}
	packet := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 1, PayloadType: spec.Format.PT}, Payload: payload}
	buffer, peer, now := make([]byte, 200), netip.MustParseAddrPort(bob), s.epoch
	var d desk
	life := func() {
		n, err := packet.MarshalTo(buffer)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := peerSide.protectRTP(buffer[:n])
		if err != nil {
			t.Fatal(err)
		}
		s.onRTP(sent, peer, now)
		d.now = now
		s.tick(now, &d)
		packet.SequenceNumber++
		packet.Timestamp += uint32(spec.Format.Clock / 50)
		now = now.Add(20 * time.Millisecond)
	}
	for range 1000 {
		life()
	}
	return life
}

// The peer's side of the protection is in it, too.
func BenchmarkSRTP(b *testing.B) {
	for _, suite := range append([]string{""}, sdp.Suites()...) {
		b.Run(cmp.Or(suite, "none"), func(b *testing.B) { benchmarkFrame(b, steadySecure(b, suite, Echo{}, 0, 0)) })
	}
}

// One operation is 20 ms of a call, without the kernel: 50 of them a second are what a call costs.
func BenchmarkFrame(b *testing.B) {
	for name, source := range map[string]Source{"echo": Echo{}, "tone": Tone{Hz: 1000, LevelDBm0: -10}} {
		b.Run(name, func(b *testing.B) {
			benchmarkFrame(b, steadyState(b, source, 0, 0))
		})
	}
	for _, number := range audioCodecs {
		spec, _ := codec.Lookup(number)
		b.Run(spec.Format.Name, func(b *testing.B) {
			benchmarkFrame(b, steadyState(b, Echo{}, number, number))
		})
	}
}

func benchmarkFrame(b *testing.B, life func()) {
	b.ReportAllocs()
	for b.Loop() {
		life()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*50/1e7, "%core/call")
}

func BenchmarkStats(b *testing.B) {
	s := fuzzed(b)
	pcm := make([]int16, 1600)
	Tone{Hz: 1000, LevelDBm0: -10}.Open(8000).Fill(Frame{Samples: pcm}, Frame{})
	for b.Loop() {
		s.heard.filter(Frame{Samples: pcm})
		s.Stats()
	}
}
