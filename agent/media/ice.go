package media

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/logging"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// ErrNoPath says that ICE found no way to the peer, or that the peer no longer wants our media there.
var ErrNoPath = errors.New("no path to the other side")

// Times of ICE. A pair that is not confirmed any more for both of the last is lost: consent has expired (RFC 7675 §5.1: 30 s).
const (
	checkEvery  = 50 * time.Millisecond // Ta (RFC 8445 §14.2)
	consentAsk  = 5 * time.Second
	consentLate = 5 * time.Second
	consentOver = 25 * time.Second
	// How long the controlling side waits for something better than such a pair.
	waitSrflx = 100 * time.Millisecond
	waitPrflx = 200 * time.Millisecond
	waitRelay = 500 * time.Millisecond
)

// Candidate types (RFC 8839 §5.1), and their preferences (RFC 8445 §5.1.2.2).
const (
	typeHost  = "host"
	typeSrflx = "srflx"
	typeRelay = "relay"

	preferHost  = 126
	preferSrflx = 100
	preferRelay = 0
)

// Ways of being reached with ICE: viaICE until a pair is chosen, then "ice" and the types of ours and theirs.
const viaICE = "ice"

// connectivity is the ICE of a session (RFC 8445): its candidates, and the checks by which a pair of them is chosen. Only STUN goes
// through it. Media goes straight by the socket, or the relay, of the pair that was chosen, as without ICE.
type connectivity struct {
	session *Session
	own     sdp.ICE
	usual   string // how the default candidate is reached

	// Guarded by the session's lock.
	remote  *sdp.ICE // nil before there was an answer
	to      netip.AddrPort
	checks  *checking
	retired []*checking // of a session of ICE before this one; closed with the session
}

// byPair is a transport with a relay beside it: which of both is used, the chosen pair says.
type byPair struct {
	transport
	relay   *relayed // nil = none; it closes what is under it
	relayed atomic.Bool
}

func (p *byPair) writeRTP(b []byte, to netip.AddrPort) error {
	if p.relayed.Load() {
		return p.relay.writeRTP(b, to)
	}
	return p.transport.writeRTP(b, to)
}

func (p *byPair) writeRTCP(b []byte, to netip.AddrPort) error {
	if p.relayed.Load() {
		return p.relay.writeRTCP(b, to)
	}
	return p.transport.writeRTCP(b, to)
}

func (p *byPair) close() error {
	if p.relay != nil {
		return p.relay.close()
	}
	return p.transport.close()
}

// gather collects candidates (RFC 8445 §5.1) and makes the session ready to be checked. A server that is silent costs a candidate and
// no more.
func (s *Session) gather(ctx context.Context, n NAT) (Reach, error) {
	local := s.LocalRTP()
	under := &byPair{transport: s.transport}
	var found mapping
	var stunErr, turnErr error
	var asking sync.WaitGroup
	if len(n.STUN) > 0 {
		asking.Go(func() { found, stunErr = s.mapped(ctx, n.STUN) })
	}
	if n.Username != "" && len(n.TURN) > 0 {
		asking.Go(func() { under.relay, _, turnErr = s.firstRelay(ctx, n) })
	}
	asking.Wait()

	places := map[string]Reach{typeHost: {RTP: local, RTCP: netip.AddrPortFrom(local.Addr(), local.Port()+1), Via: ViaPlain}}
	own := sdp.ICE{Ufrag: rand.Text()[:8], Pwd: rand.Text(), Candidates: []sdp.Candidate{candidate("1", typeHost, preferHost, local, netip.AddrPort{})}}
	if found.rtp.IsValid() && found.rtp != local {
		places[typeSrflx] = Reach{RTP: found.rtp, RTCP: found.rtcp, Via: ViaSTUN}
		own.Candidates = append(own.Candidates, candidate("2", typeSrflx, preferSrflx, found.rtp, local))
	}
	if under.relay != nil {
		at := under.relay.rtp.at
		places[typeRelay] = Reach{RTP: at, RTCP: under.relay.rtcp.at, Via: ViaTURN}
		own.Candidates = append(own.Candidates, candidate("3", typeRelay, preferRelay, at, local))
	}
	r := places[typeHost]
	for _, kind := range n.Order {
		if place, ok := places[kind]; ok {
			r = place
			break
		}
	}
	under.relayed.Store(r.Via == ViaTURN)
	if err := s.adopt(under, own, r.Via); err != nil {
		return Reach{}, err
	}
	r.ICE, r.Via, r.Behind = &own, viaICE, behind(found, local)
	kinds := make([]string, len(own.Candidates))
	for i, c := range own.Candidates {
		kinds[i] = c.Type
	}
	r.Why = "ICE offers " + strings.Join(kinds, ", ")
	if err := errors.Join(stunErr, turnErr); err != nil {
		r.Why += fmt.Sprintf("; %v", err)
	}
	return r, nil
}

func behind(m mapping, local netip.AddrPort) Behind {
	switch {
	case !m.rtp.IsValid():
		return BehindUnknown
	case m.rtp == local:
		return BehindNothing
	case m.symmetric:
		return BehindSymmetric
	}
	return BehindNAT
}

// candidate for RTP, with RTCP on the same port (RFC 8445 §5.1.2.1).
func candidate(foundation, kind string, preference uint32, at, related netip.AddrPort) sdp.Candidate {
	return sdp.Candidate{Foundation: foundation, Component: 1, Priority: preference<<24 | 65535<<8 | 255, Addr: at, Type: kind, Related: related}
}

// adopt has the session use what was gathered.
func (s *Session) adopt(under *byPair, own sdp.ICE, usual string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		if under.relay != nil {
			return errors.Join(ErrClosed, under.relay.rtp.close(), under.relay.rtcp.close())
		}
		return ErrClosed
	}
	s.transport = under
	s.ice = &connectivity{session: s, own: own, usual: usual}
	if r := under.relay; r != nil {
		s.spawn(func() { s.read(r.rtp.readFrom, s.onRelayed) })
		s.spawn(func() { s.read(r.rtcp.readFrom, s.onRTCPPort) })
	}
	var err error
	s.ice.checks, err = s.ice.prepare()
	return err
}

// onRelayed takes a datagram from the relay's port.
func (s *Session) onRelayed(b []byte, from netip.AddrPort, now time.Time) {
	if isSTUN(b) {
		s.check(b, from, true)
		return
	}
	s.onRTP(b, from, now)
}

// check hands a STUN message to ICE; false when there is none.
func (s *Session) check(b []byte, from netip.AddrPort, relayed bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ice == nil || s.ice.checks == nil {
		return false
	}
	c := s.ice.checks
	if relayed {
		c.relay.feed(b, from)
	} else {
		c.direct.feed(b, from)
	}
	return true
}

// RestartICE makes other credentials for a further ICE session on the same candidates (RFC 8445 §9). The media goes on by the pair that
// was chosen before until there is another.
func (s *Session) RestartICE() (*sdp.ICE, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.ice
	if c == nil || s.closed {
		return nil, ErrClosed
	}
	c.own.Ufrag, c.own.Pwd = rand.Text()[:8], rand.Text()
	fresh, err := c.prepare()
	if err != nil {
		return nil, err
	}
	c.retire()
	c.checks, c.remote = fresh, nil
	own := c.own
	return &own, nil
}

// connect takes over what a negotiation says of ICE. It is called under the session's lock.
func (s *Session) connect(n sdp.Negotiated) error {
	c := s.ice
	switch {
	case c == nil:
		s.latch.signal(n.Remote)
		return nil
	case n.ICE == nil: // the other side does not speak it: the default address is what counts
		c.retire()
		s.ice = nil
		s.gone = append(s.gone, c.retired...)
		if p, ok := s.transport.(*byPair); ok {
			p.relayed.Store(c.usual == ViaTURN)
		}
		s.latch.pinned = false
		s.latch.signal(n.Remote)
		s.tellPath(c.usual, nil)
		return nil
	case !c.remote.Same(n.ICE):
		if err := c.checks.begin(n.ICE, n.Controlling); err != nil {
			return err
		}
		c.remote = n.ICE
	}
	s.latch.pinned = true
	s.latch.signal(c.to)
	return nil
}

// chosen is told of the pair in use.
func (s *Session) chosen(c *checking, local, remote ice.Candidate) {
	addr, err := netip.ParseAddr(remote.Address())
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.ice == nil || s.ice.checks != c {
		return
	}
	to := netip.AddrPortFrom(addr.Unmap(), uint16(remote.Port()))
	s.ice.to = to
	if p, ok := s.transport.(*byPair); ok {
		p.relayed.Store(local.Type() == ice.CandidateTypeRelay && p.relay != nil)
	}
	s.latch.pinned = true
	s.latch.signal(to)
	if s.association != nil {
		s.association.aim(to)
	}
	s.tellPath(fmt.Sprintf("%s %s/%s", viaICE, local.Type(), remote.Type()), nil)
}

// lost is told that there is no pair, or none any more.
func (s *Session) lost(c *checking) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.ice == nil || s.ice.checks != c {
		return
	}
	why := fmt.Errorf("%w: no pair of candidates works", ErrNoPath)
	if s.ice.to.IsValid() {
		why = fmt.Errorf("%w: %s does not confirm any more that it wants our audio (RFC 7675)", ErrNoPath, s.ice.to)
		s.ice.to = netip.AddrPort{} // "MUST cease transmission" (§5.1), until a restart finds another
		s.latch.signal(s.ice.to)
	}
	s.tellPath("", why)
}

// tellPath tells whoever asked; it is called under the lock.
func (s *Session) tellPath(via string, err error) {
	if s.onPath != nil {
		s.onPath(via, err)
	}
}

// retire ends the checks; what they hold is freed with the session.
func (c *connectivity) retire() {
	if c.checks != nil {
		_ = c.checks.agent.Close()
		c.retired = append(c.retired, c.checks)
		c.checks = nil
	}
}

// checking is one ICE session: an agent that sees nothing but the STUN messages of our ports.
type checking struct {
	agent         *ice.Agent
	direct, relay *strait
}

// prepare makes an agent with our candidates. A server-reflexive one is only told to the peer: checks leave from its base, the socket
// (RFC 8445 §6.1.2.4).
func (c *connectivity) prepare() (*checking, error) {
	s, under := c.session, c.session.transport.(*byPair)
	network := ice.NetworkTypeUDP4
	if s.LocalRTP().Addr().Is6() {
		network = ice.NetworkTypeUDP6
	}
	logs := logging.NewDefaultLoggerFactory()
	logs.Writer = io.Discard
	agent, err := ice.NewAgentWithOptions(
		ice.WithLocalCredentials(c.own.Ufrag, c.own.Pwd), ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithNetworkTypes([]ice.NetworkType{network}), ice.WithLoggerFactory(logs), ice.WithCheckInterval(checkEvery),
		ice.WithKeepaliveInterval(consentAsk), ice.WithDisconnectedTimeout(consentLate), ice.WithFailedTimeout(consentOver),
		ice.WithSrflxAcceptanceMinWait(waitSrflx), ice.WithPrflxAcceptanceMinWait(waitPrflx), ice.WithRelayAcceptanceMinWait(waitRelay),
	)
	if err != nil {
		return nil, fmt.Errorf("ICE: %w", err)
	}
	k := &checking{agent: agent, direct: newStrait(under.transport.writeRTP, s.LocalRTP())}
	host, err := ice.NewCandidateHost(&ice.CandidateHostConfig{Network: "udp", Address: s.LocalRTP().Addr().String(), Port: int(s.LocalRTP().Port()), Component: 1, Foundation: "1"})
	if err == nil {
		err = agent.AddVirtualCandidate(host, k.direct)
	}
	if under.relay != nil && err == nil {
		at := under.relay.rtp.at
		k.relay = newStrait(under.relay.writeRTP, at)
		var relay *ice.CandidateRelay
		relay, err = ice.NewCandidateRelay(&ice.CandidateRelayConfig{
			Network: "udp", Address: at.Addr().String(), Port: int(at.Port()), Component: 1, Foundation: "3",
			RelAddr: s.LocalRTP().Addr().String(), RelPort: int(s.LocalRTP().Port()),
		})
		if err == nil {
			err = agent.AddVirtualCandidate(relay, k.relay)
		}
	}
	if err == nil {
		err = errors.Join(
			agent.OnSelectedCandidatePairChange(func(local, remote ice.Candidate) { s.chosen(k, local, remote) }),
			agent.OnConnectionStateChange(func(state ice.ConnectionState) {
				if state == ice.ConnectionStateFailed {
					s.lost(k)
				}
			}))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ICE: %w", err), agent.Close())
	}
	return k, nil
}

// begin checks the pairs with the peer's candidates.
func (k *checking) begin(theirs *sdp.ICE, controlling bool) error {
	if err := k.agent.SetRemoteICELite(theirs.Lite); err != nil {
		return fmt.Errorf("ICE: %w", err)
	}
	for _, c := range theirs.Candidates {
		if remote := remoteCandidate(c); remote != nil {
			if err := k.agent.AddRemoteCandidate(remote); err != nil {
				return fmt.Errorf("ICE: %w", err)
			}
		}
	}
	start := k.agent.StartAccept
	if controlling {
		start = k.agent.StartDial
	}
	if _, err := start(theirs.Ufrag, theirs.Pwd); err != nil {
		return fmt.Errorf("ICE: %w", err)
	}
	return nil
}

// remoteCandidate is what the agent calls a candidate; nil for one it cannot use.
func remoteCandidate(c sdp.Candidate) ice.Candidate {
	addr, port := c.Addr.Addr().String(), int(c.Addr.Port())
	related, relatedPort := "0.0.0.0", 0
	if c.Related.IsValid() {
		related, relatedPort = c.Related.Addr().String(), int(c.Related.Port())
	}
	var remote ice.Candidate
	var err error
	switch c.Type {
	case typeHost:
		remote, err = ice.NewCandidateHost(&ice.CandidateHostConfig{Network: "udp", Address: addr, Port: port, Component: 1, Priority: c.Priority, Foundation: c.Foundation})
	case typeRelay:
		remote, err = ice.NewCandidateRelay(&ice.CandidateRelayConfig{Network: "udp", Address: addr, Port: port, Component: 1, Priority: c.Priority, Foundation: c.Foundation, RelAddr: related, RelPort: relatedPort})
	case typeSrflx:
		remote, err = ice.NewCandidateServerReflexive(&ice.CandidateServerReflexiveConfig{Network: "udp", Address: addr, Port: port, Component: 1, Priority: c.Priority, Foundation: c.Foundation, RelAddr: related, RelPort: relatedPort})
	default:
		remote, err = ice.NewCandidatePeerReflexive(&ice.CandidatePeerReflexiveConfig{Network: "udp", Address: addr, Port: port, Component: 1, Priority: c.Priority, Foundation: c.Foundation, RelAddr: related, RelPort: relatedPort})
	}
	if err != nil {
		return nil
	}
	return remote
}

// strait is the net.PacketConn of a candidate: it passes STUN messages, which the session's reader feeds, and nothing else.
type strait struct {
	write  func([]byte, netip.AddrPort) error
	local  net.Addr
	queue  chan message
	closed chan struct{}
	once   sync.Once
}

type message struct {
	b    []byte
	from netip.AddrPort
}

// mostChecks wait to be read; more are as good as lost, and sent again.
const mostChecks = 64

func newStrait(write func([]byte, netip.AddrPort) error, local netip.AddrPort) *strait {
	return &strait{write: write, local: net.UDPAddrFromAddrPort(local), queue: make(chan message, mostChecks), closed: make(chan struct{})}
}

func (p *strait) feed(b []byte, from netip.AddrPort) {
	if p == nil {
		return
	}
	select {
	case p.queue <- message{append([]byte(nil), b...), from}:
	default:
	}
}

// ReadFrom implements net.PacketConn.
func (p *strait) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case m := <-p.queue:
		return copy(b, m.b), net.UDPAddrFromAddrPort(m.from), nil
	case <-p.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo implements net.PacketConn.
func (p *strait) WriteTo(b []byte, to net.Addr) (int, error) {
	udp, ok := to.(*net.UDPAddr)
	if !ok {
		return 0, fmt.Errorf("no address of UDP: %v", to)
	}
	at := udp.AddrPort()
	if err := p.write(b, netip.AddrPortFrom(at.Addr().Unmap(), at.Port())); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close implements net.PacketConn.
func (p *strait) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// LocalAddr implements net.PacketConn.
func (p *strait) LocalAddr() net.Addr { return p.local }

// SetDeadline implements net.PacketConn; nobody waits here for long.
func (p *strait) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.PacketConn.
func (p *strait) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.PacketConn.
func (p *strait) SetWriteDeadline(time.Time) error { return nil }
