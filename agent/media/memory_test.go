package media

import (
	"math"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/softphone-operator/softphone-operator/agent/codec"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network carries datagrams between transports in memory, so that tests run in synctest's time.
type network struct {
	mu   sync.Mutex
	ends map[netip.AddrPort]chan datagram

	// impair says after which delays a datagram arrives: none = lost, two = doubled. nil: at once.
	impair func(from, to netip.AddrPort, b []byte) []time.Duration

	// translate is what a NAT on the way does to addresses; an invalid destination drops. nil: nothing.
	translate func(from, to netip.AddrPort) (netip.AddrPort, netip.AddrPort)

	// waits has sessions wait for datagrams and take them in at once, as from a relay. Else they look by a clock, as on Linux.
	waits bool
}

type datagram struct {
	b    []byte
	from netip.AddrPort
	at   time.Time // it arrived
}

func newNetwork() *network { return &network{ends: map[netip.AddrPort]chan datagram{}} }

func (n *network) send(from, to netip.AddrPort, b []byte) {
	delays := []time.Duration{0}
	n.mu.Lock()
	if n.impair != nil {
		delays = n.impair(from, to, b)
	}
	if n.translate != nil {
		from, to = n.translate(from, to)
	}
	n.mu.Unlock()
	d := datagram{b: append([]byte(nil), b...), from: from}
	for _, after := range delays {
		if after <= 0 {
			n.arrive(to, d)
			continue
		}
		time.AfterFunc(after, func() { n.arrive(to, d) })
	}
}

func (n *network) arrive(to netip.AddrPort, d datagram) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d.at = time.Now()
	if end, ok := n.ends[to]; ok {
		select {
		case end <- d:
		default:
		}
	}
}

// attach binds an RTP and RTCP pair.
func (n *network) attach(addr string) *memory {
	m := &memory{network: n, rtp: netip.MustParseAddrPort(addr)}
	m.rtcp = netip.AddrPortFrom(m.rtp.Addr(), m.rtp.Port()+1)
	m.rtpIn, m.rtcpIn, m.done = make(chan datagram, 1000), make(chan datagram, 1000), make(chan struct{})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ends[m.rtp], n.ends[m.rtcp] = m.rtpIn, m.rtcpIn
	return m
}

// memory is a transport of a network.
type memory struct {
	network       *network
	rtp, rtcp     netip.AddrPort
	rtpIn, rtcpIn chan datagram
	done          chan struct{}
	onWrite       func(b []byte) // before an RTP packet is sent
}

func (m *memory) read(in chan datagram, b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-in:
		return copy(b, d.b), d.from, nil
	case <-m.done:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (m *memory) readRTP(b []byte) (int, netip.AddrPort, error)  { return m.read(m.rtpIn, b) }
func (m *memory) readRTCP(b []byte) (int, netip.AddrPort, error) { return m.read(m.rtcpIn, b) }

func (m *memory) writeRTP(b []byte, to netip.AddrPort) error {
	if m.onWrite != nil {
		m.onWrite(b)
	}
	m.network.send(m.rtp, to, b)
	return nil
}

func (m *memory) writeRTCP(b []byte, to netip.AddrPort) error {
	m.network.send(m.rtcp, to, b)
	return nil
}

func (m *memory) localRTP() netip.AddrPort { return m.rtp }

func (m *memory) close() error {
	m.network.mu.Lock()
	defer m.network.mu.Unlock()
	delete(m.network.ends, m.rtp)
	delete(m.network.ends, m.rtcp)
	close(m.done)
	return nil
}

// The two ends of most tests.
const (
	alice = "192.0.2.1:10000"
	bob   = "192.0.2.2:20000"
)

// open makes a session on a network and closes it with the test.
func (n *network) open(t testing.TB, addr string) *Session {
	m := n.attach(addr)
	s := newSession(Config{Local: m.rtp.Addr(), SymmetricRTP: true}, m)
	if n.waits {
		s.listen()
	} else {
		s.sit(new(Clock), &kept{memory: m})
	}
	t.Cleanup(func() { closeSession(t, s) })
	return s
}

func closeSession(t testing.TB, s *Session) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// agreed is a negotiation of μ-law at 20 ms with a peer.
func agreed(peer string) sdp.Negotiated {
	remote := netip.MustParseAddrPort(peer)
	formats := codec.Formats([]int{0, 8}, codec.Options{})
	return sdp.Negotiated{
		Remote: remote, RemoteRTCP: netip.AddrPortFrom(remote.Addr(), remote.Port()+1),
		Codec: formats[0], Receive: formats, TelephoneEventPT: 101, ReceiveEvents: eventsAt(8000), PTime: 20, VoIPMetrics: true,
	}
}

// eventsAt is telephone-event 101 on an RTP clock.
func eventsAt(clock int) []codec.Format {
	return []codec.Format{{Name: "telephone-event", PT: 101, Clock: clock, Channels: 1}}
}

// audioCodecs are the numbers of those whose RTP clock is 8000.
var audioCodecs = []int{0, 8, 9, 3, 102, 18}

// spoken is a negotiation like agreed, of a codec to send and others that may be heard.
func spoken(peer string, sends int, hears ...int) sdp.Negotiated {
	n := agreed(peer)
	n.Codec, n.Receive = codec.Formats([]int{sends}, codec.Options{})[0], codec.Formats(append(hears, sends), codec.Options{})
	return n
}

func start(t testing.TB, s *Session, n sdp.Negotiated, source Source) {
	t.Helper()
	if err := s.Start(n, source); err != nil {
		t.Fatal(err)
	}
}

// within checks a number against a tolerance.
func within(t testing.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance || math.IsNaN(got) {
		t.Errorf("%s is %.3f, want %.3f ± %.3f", what, got, want, tolerance)
	}
}

func value(p *float64) float64 {
	if p == nil {
		return math.NaN()
	}
	return *p
}
