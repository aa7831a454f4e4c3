package ua

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/trace"
)

// tapped is a tap that remembers.
type tapped struct {
	mu   sync.Mutex
	seen []string
	news chan struct{}
}

func (p *tapped) note(what string) {
	p.mu.Lock()
	p.seen = append(p.seen, what)
	p.mu.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}

func (p *tapped) Message(sent bool, transport string, local, remote netip.AddrPort, raw []byte) {
	line, _, _ := strings.Cut(string(raw), "\r\n")
	way := "<"
	if sent {
		way = ">"
	}
	p.note(fmt.Sprintf("%s %s %s %s %s", local, way, remote, transport, line))
}

func (p *tapped) NotSent(remote netip.AddrPort, _ []byte, cause error) {
	p.note(fmt.Sprintf("not sent to %s: %v", remote, cause != nil))
}

// await waits until so many were seen.
func (p *tapped) await(t *testing.T, n int) []string {
	t.Helper()
	timeout := time.After(5 * time.Second)
	for {
		p.mu.Lock()
		seen := append([]string(nil), p.seen...)
		p.mu.Unlock()
		if len(seen) >= n {
			return seen
		}
		select {
		case <-p.news:
		case <-timeout:
			t.Fatalf("seen: %q, %d expected", seen, n)
		}
	}
}

// TestTheTapSeesTheWire: what comes and goes, what comes again, what cannot be parsed,
// and what never went; nothing of strangers.
func TestTheTapSeesTheWire(t *testing.T) {
	tap := &tapped{news: make(chan struct{}, 1)}
	e, err := Listen(Config{Bind: netip.MustParseAddrPort("127.0.0.1:0"), Tap: tap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	unbind, err := e.Bind("secretuser", &silent{})
	if err != nil {
		t.Fatal(err)
	}
	defer unbind()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(e.Port()))
	peer, err := net.Dial("udp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	from := peer.LocalAddr().String()
	say := func(c net.Conn, method, user string) {
		_, _ = fmt.Fprintf(c, "%s sip:%s@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK1;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"+
			"Call-ID: 1\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n", method, user, from, method)
	}
	say(peer, "OPTIONS", "stranger")
	say(peer, "OPTIONS", "secretuser")
	tap.await(t, 2)
	say(peer, "OPTIONS", "secretuser")
	tap.await(t, 4)
	_, _ = peer.Write([]byte("OPTIONS sip:secretuser@127.0.0.1 SIP/2.0\r\n\r\n"))
	seen := tap.await(t, 5)
	in, out := fmt.Sprintf("%s < %s UDP ", to, from), fmt.Sprintf("%s > %s UDP ", to, from)
	const asked = "OPTIONS sip:secretuser@127.0.0.1 SIP/2.0"
	want := []string{in + asked, out + "SIP/2.0 200 OK", in + asked, out + "SIP/2.0 200 OK", in + asked}
	if got, want := strings.Join(seen, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("seen:\n%s\nwant:\n%s", got, want)
	}

	stream, err := net.Dial("tcp4", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	say(stream, "OPTIONS", "secretuser") // the same transaction: answered from memory, to where it came from first
	if got := tap.await(t, 6)[5]; got != fmt.Sprintf("%s < %s TCP %s", to, stream.LocalAddr(), asked) {
		t.Errorf("over TCP: %s", got)
	}

	n := len(tap.await(t, 7))
	if err := e.conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.server.write(way{to: netip.MustParseAddrPort(from)}, []byte("BYE sip:a@b SIP/2.0\r\n\r\n")); err == nil {
		t.Error("a closed socket takes messages")
	}
	if got := tap.await(t, n+2)[n:]; got[0] != out+"BYE sip:a@b SIP/2.0" || got[1] != "not sent to "+from+": true" {
		t.Errorf("what was not sent: %q", got)
	}
}

// silent is a line that answers nothing by itself.
type silent struct{}

func (*silent) HandleRequest(*sip.Request, sip.ServerTransaction) {}
func (*silent) ServerAddrs() []netip.AddrPort                     { return nil }
func (*silent) AOR() (user, host string)                          { return "alice", "b" }

// BenchmarkTap sets what the tap costs a message beside what reading it costs.
func BenchmarkTap(b *testing.B) {
	raw := []byte("INVITE sip:bob@192.0.2.2:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5100;branch=z9hG4bKabcdefghijklmnop;rport\r\nMax-Forwards: 70\r\n" +
		"From: \"Alice\" <sip:alice@example.org>;tag=abcdefgh\r\nTo: <sip:bob@example.org>\r\nCall-ID: abcdefghijklmnopqrstuvwxyz\r\nCSeq: 2 INVITE\r\n" +
		"Contact: <sip:mnbvcxzlkjhgfdsapoiu@192.0.2.1:5100>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO\r\nUser-Agent: softphone-agent\r\n" +
		"Content-Type: application/sdp\r\nContent-Length: 146\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8\r\n" +
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n\r\n")
	b.Run("read", func(b *testing.B) {
		hush()
		parser := sip.NewParser()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parser.ParseSIP(raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tap", func(b *testing.B) {
		e := &Endpoint{cfg: Config{Tap: trace.NewStore()}, local: netip.MustParseAddrPort("192.0.2.2:5060")}
		from := netip.MustParseAddrPort("192.0.2.1:5100")
		b.ReportAllocs()
		for b.Loop() {
			e.received(raw, from, nil)
		}
	})
	b.Run("untapped", func(b *testing.B) {
		e := &Endpoint{}
		b.ReportAllocs()
		for b.Loop() {
			e.received(raw, netip.AddrPort{}, nil)
		}
	})
}
