package hep

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/softphone-operator/softphone-operator/agent/trace"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// packet is a HEP3 packet, read as the specification has it; it shares nothing with
// what writes it.
type packet struct {
	chunks map[uint16][]byte
}

func parse(t *testing.T, b []byte) packet {
	t.Helper()
	if len(b) < 6 || string(b[:4]) != "HEP3" || int(b[4])<<8|int(b[5]) != len(b) {
		t.Fatalf("no HEP3 packet of %d bytes: % x", len(b), b[:min(len(b), 16)])
	}
	p := packet{map[uint16][]byte{}}
	for b = b[6:]; len(b) > 0; {
		if len(b) < 6 || b[0] != 0 || b[1] != 0 {
			t.Fatalf("no chunk of vendor 0: % x", b)
		}
		kind, length := uint16(b[2])<<8|uint16(b[3]), int(b[4])<<8|int(b[5])
		if length < 6 || length > len(b) || p.chunks[kind] != nil {
			t.Fatalf("chunk %d of %d bytes", kind, length)
		}
		p.chunks[kind] = b[6:length]
		b = b[length:]
	}
	return p
}

func (p packet) number(t *testing.T, kind uint16, size int) uint64 {
	t.Helper()
	c := p.chunks[kind]
	if len(c) != size {
		t.Fatalf("chunk %d has %d bytes, want %d", kind, len(c), size)
	}
	return binary.BigEndian.Uint64(append(make([]byte, 8-size), c...))
}

func message(transport, local, remote string, sent bool) trace.Message {
	return trace.Message{
		At: time.Unix(1700000000, 123456789), Sent: sent, Transport: transport, Local: netip.MustParseAddrPort(local), Remote: netip.MustParseAddrPort(remote),
		Text: []byte("OPTIONS sip:a@b SIP/2.0\r\n\r\n"), CallID: "1",
	}
}

func TestPackets(t *testing.T) {
	for says, c := range map[string]struct {
		m                trace.Message
		family, protocol uint64
		from, to         string
	}{
		"sent over UDP":        {message("UDP", "192.0.2.1:5100", "192.0.2.2:5060", true), 2, 17, "192.0.2.1:5100", "192.0.2.2:5060"},
		"received over TLS":    {message("TLS", "192.0.2.1:5100", "192.0.2.2:5061", false), 2, 6, "192.0.2.2:5061", "192.0.2.1:5100"},
		"IPv6 over TCP":        {message("TCP", "[2001:db8::1]:5100", "[2001:db8::2]:5060", true), 10, 6, "[2001:db8::1]:5100", "[2001:db8::2]:5060"},
		"an address not known": {message("UDP", "[::]:5100", "192.0.2.2:5060", true), 10, 17, "[::]:5100", "[::ffff:192.0.2.2]:5060"},
	} {
		p := parse(t, identity{7, "hush", "agent-0"}.encode([]byte("before"), c.m)[len("before"):])
		var from, to netip.Addr
		if c.family == 2 {
			from, to = netip.AddrFrom4([4]byte(p.chunks[3])), netip.AddrFrom4([4]byte(p.chunks[4]))
		} else {
			from, to = netip.AddrFrom16([16]byte(p.chunks[5])), netip.AddrFrom16([16]byte(p.chunks[6]))
		}
		src, dst := netip.AddrPortFrom(from, uint16(p.number(t, 7, 2))), netip.AddrPortFrom(to, uint16(p.number(t, 8, 2)))
		if p.number(t, 1, 1) != c.family || p.number(t, 2, 1) != c.protocol || src.String() != c.from || dst.String() != c.to {
			t.Errorf("%s: family %d, protocol %d, %s to %s", says, p.chunks[1], p.chunks[2], src, dst)
		}
		if p.number(t, 9, 4) != 1700000000 || p.number(t, 10, 4) != 123456 || p.number(t, 11, 1) != 1 || p.number(t, 12, 4) != 7 {
			t.Errorf("%s: %v", says, p.chunks)
		}
		if string(p.chunks[14]) != "hush" || string(p.chunks[15]) != string(c.m.Text) || string(p.chunks[19]) != "agent-0" {
			t.Errorf("%s: %v", says, p.chunks)
		}
	}
	if p := parse(t, identity{}.encode(nil, message("UDP", "192.0.2.1:1", "192.0.2.2:2", true))); p.chunks[14] != nil || p.chunks[19] != nil {
		t.Error("a key nobody gave is sent")
	}
}

// server is a capture server.
func server(t *testing.T) (*net.UDPConn, delivery.HEP) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, delivery.HEP{Address: conn.LocalAddr().String(), CaptureID: 7}
}

func next(t *testing.T, conn *net.UDPConn) packet {
	t.Helper()
	buffer := make([]byte, 65536)
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, buffer[:n])
}

func TestItSendsWhereItIsTold(t *testing.T) {
	e := New("agent-0", slog.New(slog.DiscardHandler))
	defer e.Close()
	m := message("UDP", "192.0.2.1:5100", "192.0.2.2:5060", true)
	e.Message(m) // nowhere
	first, at := server(t)
	e.Set(at)
	e.Set(at)
	e.Message(m)
	if p := next(t, first); p.number(t, 12, 4) != 7 {
		t.Errorf("%v", p)
	}
	second, at := server(t)
	at.CaptureID = 8
	e.Set(at)
	e.Message(m)
	if p := next(t, second); p.number(t, 12, 4) != 8 {
		t.Errorf("%v", p)
	}
	e.Set(delivery.HEP{})
	e.Message(m)
	if sent, dropped := e.Counts(); sent != 2 || dropped != 0 {
		t.Errorf("%d sent, %d dropped", sent, dropped)
	}
}

// TestItNeverHoldsUpACall: a server that cannot be found costs nobody any time, and what
// was not sent is counted.
func TestItNeverHoldsUpACall(t *testing.T) {
	e := New("agent-0", slog.New(slog.DiscardHandler))
	full := make(chan trace.Message, mostWaiting)
	e.queue.Store(&full) // nobody takes from it
	m := message("UDP", "192.0.2.1:5100", "192.0.2.2:5060", true)
	for range mostWaiting + 10 {
		e.Message(m)
	}
	if _, dropped := e.Counts(); dropped != 10 {
		t.Errorf("%d dropped, 10 were too many", dropped)
	}

	lost := New("agent-0", slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	unread, ended := make(chan trace.Message), make(chan struct{})
	go func() { defer close(ended); lost.run(ctx, delivery.HEP{Address: "no name:9060"}, unread) }()
	unread <- m
	unread <- m // the first has been dealt with
	if sent, dropped := lost.Counts(); sent != 0 || dropped == 0 {
		t.Errorf("%d sent to nobody, %d dropped", sent, dropped)
	}
	stop()
	<-ended
}
