package interop

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// junk is the nth datagram of a flood: noise, SIP cut short, a stranger's good request,
// or what looks like STUN, and replies to requests that nobody sent.
func junk(r *rand.Rand, n int, from net.Addr) []byte {
	_, text := probe(n, from, "UDP")
	switch n % 5 {
	case 0:
		b := make([]byte, 1+r.IntN(1400))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	case 1:
		return []byte(text[:1+r.IntN(len(text)-1)])
	case 2:
		return []byte(text)
	case 3:
		// A Binding request or its answer, with a length that is right, or is not.
		b := make([]byte, 20+r.IntN(64))
		binary.BigEndian.PutUint16(b, []uint16{0x0001, 0x0101, 0x0111, 0x0017}[r.IntN(4)])
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)-20+r.IntN(2)*4))
		binary.BigEndian.PutUint32(b[4:], 0x2112A442)
		return b
	}
	return fmt.Appendf(nil, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: %d\r\nCSeq: 1 REGISTER\r\n\r\n", from, n, n)
}

// TestFlood sends five thousand datagrams of junk a second to the agent's port while a
// call runs. The lines stay registered, the call loses nothing, and nobody hears a word.
func TestFlood(t *testing.T) {
	_, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host, "<expires>60</expires>"), "bob.xml": accountXML("bob", "secret-bob", host, autoAnswer),
	}})
	alice, _ := a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	lasts := drill.Lasts(4*time.Second, 30*time.Second)
	id := a.dial(fmt.Sprintf(`{"line":"alice","to":"bob","seconds":%.0f,"toneHz":1004}`, lasts.Seconds()+3))
	a.awaitCall(id, "hears its echo", func(r record) bool { return near(r, 1004) })
	goroutines, memory := a.metric("go_goroutines"), a.metric("process_resident_memory_bytes")

	socket, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 4)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(a.sip)})
	must(t, err)
	defer func() { _ = socket.Close() }()
	const perSecond = 5000
	seed := drill.Seed()
	r := rand.New(rand.NewPCG(seed, 1))
	beat := time.NewTicker(2 * time.Millisecond)
	defer beat.Stop()
	began, sent := time.Now(), 0
	for over := false; !over; <-beat.C {
		passed := time.Since(began)
		over = passed >= lasts
		for ; sent < int(min(passed, lasts).Seconds()*perSecond); sent++ {
			_, err := socket.Write(junk(r, sent, socket.LocalAddr()))
			must(t, err)
		}
	}
	rate := float64(sent) / time.Since(began).Seconds()
	if sent < int(lasts.Seconds()*perSecond) || rate < perSecond*9/10 {
		t.Errorf("%d datagrams were sent, %.0f/s: that is no flood (seed %d)", sent, rate, seed)
	}
	if now := a.line("alice"); now.State != "registered" || now.Contact != alice.Contact || a.line("bob").State != "registered" {
		t.Errorf("the line changed from %+v to %+v", alice, now)
	}
	end := a.awaitCall(id, "ended", ended)
	if end.RTP.Lost != 0 || float64(end.RTP.Received) < 40*lasts.Seconds() || end.End.Code != 200 || end.End.By != "local" {
		t.Errorf("the call was disturbed (seed %d): %s", seed, pretty(end))
	}
	must(t, socket.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if n, err := socket.Read(make([]byte, 2048)); err == nil {
		t.Errorf("a stranger heard %d bytes (seed %d)", n, seed)
	}
	// Noise, halves of SIP and strangers are dropped; STUN and responses count elsewhere.
	dropped := a.metric("softphone_sip_dropped_total")
	if dropped < sent*3/5*9/10 {
		t.Errorf("%d of %d were seen and dropped", dropped, sent)
	}
	if n := a.metric("softphone_panics_total"); n != 0 {
		t.Errorf("%v panics (seed %d)", n, seed)
	}
	eventually(t, "goroutines are as few as before", func() (bool, string) {
		now := a.metric("go_goroutines")
		return now <= goroutines, fmt.Sprintf("%v, were %v", now, goroutines)
	})
	after := a.metric("process_resident_memory_bytes")
	if after > memory+8<<20 {
		t.Errorf("memory went from %d to %d bytes", memory, after)
	}
	outcome(t, "flood", "%d datagrams at %.0f/s, %d dropped; call sent/received/lost %d/%d/%d, memory %+.1f MB",
		sent, rate, dropped, end.RTP.Sent, end.RTP.Received, end.RTP.Lost, float64(after-memory)/(1<<20))
}
