package media

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/turn/v5"
)

// Relay is a TURN server.
type Relay struct {
	Transport string // udp, tcp or tls
	Addr      netip.AddrPort
	Name      string      // what its certificate must be for, with tls
	TLS       *tls.Config // nil: the system's authorities
}

// String names the server.
func (r Relay) String() string { return r.Addr.String() + "/" + r.Transport }

// relayDial bounds how long one server may take until it is there.
const relayDial = 1500 * time.Millisecond

// relay has the session's packets go by the first TURN server that takes them (RFC 8656).
func (s *Session) relay(ctx context.Context, n NAT) (Reach, error) {
	r, server, err := s.firstRelay(ctx, n)
	if err != nil {
		return Reach{}, err
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.transport = r
		s.spawn(func() { s.read(r.rtp.readFrom, s.onRTP) })
		s.spawn(func() { s.read(r.rtcp.readFrom, s.onRTCPPort) })
	}
	s.mu.Unlock()
	if closed {
		return Reach{}, errors.Join(ErrClosed, r.rtp.close(), r.rtcp.close())
	}
	return Reach{RTP: r.rtp.at, RTCP: r.rtcp.at, Via: ViaTURN, Why: fmt.Sprintf("relayed by %s at %s", server, r.rtp.at)}, nil
}

// firstRelay has the first TURN server that will relay.
func (s *Session) firstRelay(ctx context.Context, n NAT) (*relayed, Relay, error) {
	if n.Username == "" || len(n.TURN) == 0 {
		return nil, Relay{}, fmt.Errorf("%w: no TURN server is known, or no user for it", ErrNoRelay)
	}
	var refusals []error
	for _, server := range n.TURN {
		r, err := s.allocate(ctx, server, n)
		if err == nil {
			return r, server, nil
		}
		refusals = append(refusals, fmt.Errorf("TURN server %s: %w", server, err))
	}
	return nil, Relay{}, fmt.Errorf("%w: %w", ErrNoRelay, errors.Join(refusals...))
}

// relayed is a transport by way of a TURN server, an allocation for each port. The sockets under it stay for whoever still sends there.
type relayed struct {
	transport
	rtp, rtcp *allocation
}

// mayWait says whether sending may have to wait, as for the server at the end of a TCP connection: others must not wait for it then.
func mayWait(t transport) bool {
	switch t := t.(type) {
	case *relayed:
		return true
	case *byPair:
		return t.relay != nil
	}
	return false
}

func (r *relayed) writeRTP(b []byte, to netip.AddrPort) error  { return r.rtp.write(b, to) }
func (r *relayed) writeRTCP(b []byte, to netip.AddrPort) error { return r.rtcp.write(b, to) }

func (r *relayed) close() error {
	return errors.Join(r.rtp.close(), r.rtcp.close(), r.transport.close())
}

// allocation is a port on a TURN server.
type allocation struct {
	client *turn.Client
	under  net.PacketConn // the way to the server
	conn   net.PacketConn // the port there
	at     netip.AddrPort

	mu        sync.Mutex
	permitted map[netip.Addr]bool // false: asked for
	peers     map[netip.AddrPort]*net.UDPAddr
	asking    sync.WaitGroup
}

// mostPermitted bounds the peers an allocation keeps.
const mostPermitted = 16

func (s *Session) allocate(ctx context.Context, server Relay, n NAT) (*relayed, error) {
	ctx, cancel := context.WithTimeout(ctx, relayDial)
	defer cancel()
	rtp, err := newAllocation(ctx, s.LocalRTP().Addr(), server, n)
	if err != nil {
		return nil, err
	}
	rtcp, err := newAllocation(ctx, s.LocalRTP().Addr(), server, n)
	if err != nil {
		return nil, errors.Join(err, rtp.close())
	}
	return &relayed{transport: s.transport, rtp: rtp, rtcp: rtcp}, nil
}

func newAllocation(ctx context.Context, local netip.Addr, server Relay, n NAT) (*allocation, error) {
	under, err := server.dial(ctx, local)
	if err != nil {
		return nil, err
	}
	a := &allocation{under: under, permitted: map[netip.Addr]bool{}, peers: map[netip.AddrPort]*net.UDPAddr{}}
	a.client, err = turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server.Addr.String(), TURNServerAddr: server.Addr.String(), Conn: under, Username: n.Username, Password: n.Password, RTO: stunRetry,
	})
	if err != nil {
		return nil, errors.Join(err, under.Close())
	}
	if err = a.client.Listen(); err == nil {
		a.conn, err = a.client.AllocateWithContext(ctx)
	}
	if err != nil {
		a.client.Close()
		return nil, errors.Join(err, under.Close())
	}
	a.at, err = netip.ParseAddrPort(a.conn.LocalAddr().String())
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// dial makes the way to a server.
func (r Relay) dial(ctx context.Context, local netip.Addr) (net.PacketConn, error) {
	if r.Transport == "udp" {
		conn, err := listenUDP(local, 0)
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr.String())
	if err != nil {
		return nil, err
	}
	if r.Transport == "tls" {
		config := r.TLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		config.ServerName = r.Name
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = secure
	}
	return turn.NewSTUNConn(conn), nil
}

func (a *allocation) readFrom(b []byte) (int, netip.AddrPort, error) {
	n, from, err := a.conn.ReadFrom(b)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	if udp, ok := from.(*net.UDPAddr); ok {
		return n, udp.AddrPort(), nil
	}
	at, err := netip.ParseAddrPort(from.String())
	return n, at, err
}

// write sends to a peer. The server wants to be asked for each peer first (RFC 8656 §9); what is sent meanwhile is lost.
func (a *allocation) write(b []byte, to netip.AddrPort) error {
	peer, permitted := a.permit(to)
	if !permitted {
		return nil
	}
	_, err := a.conn.WriteTo(b, peer)
	return err
}

func (a *allocation) permit(to netip.AddrPort) (*net.UDPAddr, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	permitted, asked := a.permitted[to.Addr()]
	switch {
	case permitted:
		peer := a.peers[to]
		if peer == nil {
			if len(a.peers) >= mostPermitted {
				clear(a.peers)
			}
			peer = net.UDPAddrFromAddrPort(to)
			a.peers[to] = peer
		}
		return peer, true
	case asked, len(a.permitted) >= mostPermitted:
		return nil, false
	}
	a.permitted[to.Addr()] = false
	a.asking.Go(func() {
		err := a.client.CreatePermission(net.UDPAddrFromAddrPort(to))
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.permitted[to.Addr()] = err == nil; err != nil {
			delete(a.permitted, to.Addr()) // the next packet asks again
		}
	})
	return nil, false
}

func (a *allocation) close() error {
	err := a.conn.Close()
	a.client.Close()
	err = errors.Join(err, a.under.Close())
	a.asking.Wait()
	return err
}
