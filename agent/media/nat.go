package media

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pion/stun/v4"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// How NAT is dealt with, as natTraversal names it.
const (
	NATOff        = "off"        // the local address is announced
	NATAuto       = "auto"       // what STUN found; behind a symmetric NAT a relay, where there is one
	NATSTUNOnly   = "stunOnly"   // what STUN found
	NATTURNAlways = "turnAlways" // a relay, or no call
	NATICE        = "ice"        // all of that, and what works is found out with the other side
)

// NAT is what a session may use to be reached from elsewhere.
type NAT struct {
	Mode               string
	STUN               []netip.AddrPort // servers, the preferred first
	TURN               []Relay          // in the order to try
	Username, Password string           // of TURN
	IgnoreSymmetric    bool             // announce what STUN found behind a symmetric NAT, too (ignoreSymmetricNat)
	Order              []string         // of ICE's default candidate: relay, srflx, host (iceDefaultCandidateOrder)
}

// needed says whether anybody has to be asked.
func (n NAT) needed() bool {
	switch n.Mode {
	case NATICE:
		return true
	case NATAuto, NATSTUNOnly:
		return len(n.STUN) > 0
	}
	return n.Mode == NATTURNAlways
}

// Reach is where a session can be reached, for its description.
type Reach struct {
	RTP, RTCP netip.AddrPort
	Via       string // plain, stun, turn or ice
	ICE       *sdp.ICE
	Why       string // for people: what was found out; "" where nobody was asked
	Behind    Behind // what STUN found
}

// Behind is what a session is behind, as far as STUN could tell.
type Behind string

// What there is.
const (
	BehindUnknown   Behind = "" // nobody was asked, or nobody answered
	BehindNothing   Behind = "nothing"
	BehindNAT       Behind = "NAT"           // the same mapping for every destination
	BehindSymmetric Behind = "symmetric NAT" // one for each: what STUN found is good for nobody else
)

// Ways of being reached.
const (
	ViaPlain = "plain"
	ViaSTUN  = "stun"
	ViaTURN  = "turn"
)

// ErrNoRelay says that the session must be relayed, and cannot be.
var ErrNoRelay = errors.New("no relay")

// Reach finds out where the session can be reached; it may take a second or two. It is called before Start, once, and fails only
// where nothing but a relay will do (ErrNoRelay).
func (s *Session) Reach(ctx context.Context, n NAT) (Reach, error) {
	local := s.LocalRTP()
	plain := Reach{RTP: local, RTCP: netip.AddrPortFrom(local.Addr(), local.Port()+1), Via: ViaPlain}
	switch {
	case !n.needed():
		return plain, nil
	case n.Mode == NATTURNAlways:
		return s.relay(ctx, n)
	case n.Mode == NATICE:
		return s.gather(ctx, n)
	}
	found, err := s.mapped(ctx, n.STUN)
	if err != nil {
		plain.Why = fmt.Sprintf("%v: the local address is announced", err)
		return plain, nil
	}
	public := Reach{RTP: found.rtp, RTCP: found.rtcp, Via: ViaSTUN, Why: fmt.Sprintf("STUN sees us at %s", found.rtp), Behind: BehindNAT}
	if found.symmetric {
		public.Behind, plain.Behind = BehindSymmetric, BehindSymmetric
	}
	switch {
	case found.rtp == local:
		plain.Behind = BehindNothing
		plain.Why = "STUN sees us at our own address: there is no NAT"
		return plain, nil
	case !found.symmetric || n.IgnoreSymmetric:
		return public, nil
	case n.Mode != NATSTUNOnly && n.Username != "":
		r, err := s.relay(ctx, n)
		if err == nil {
			r.Why, r.Behind = "behind a symmetric NAT; "+r.Why, BehindSymmetric
			return r, nil
		}
		plain.Why = fmt.Sprintf("behind a symmetric NAT and %v: the local address is announced", err)
		return plain, nil
	}
	plain.Why = "behind a symmetric NAT: the local address is announced"
	return plain, nil
}

// mapping is what STUN says of our ports.
type mapping struct {
	rtp, rtcp netip.AddrPort
	symmetric bool // another server sees another address
}

// mapped asks the servers, in turn, until one answers, and then another one, if there is one, whether it sees the same.
func (s *Session) mapped(ctx context.Context, servers []netip.AddrPort) (mapping, error) {
	var m mapping
	for i, server := range servers {
		rtp, other, err := s.ask(ctx, server, s.transport.writeRTP)
		if err != nil {
			if i+1 < len(servers) && ctx.Err() == nil {
				continue
			}
			return m, err
		}
		m.rtp = rtp
		if m.rtcp, _, err = s.ask(ctx, server, s.transport.writeRTCP); err != nil {
			m.rtcp = netip.AddrPortFrom(rtp.Addr(), rtp.Port()+1)
		}
		for _, second := range append(slices.Clone(servers[i+1:]), other) {
			if !second.IsValid() || second == server {
				continue
			}
			if seen, _, err := s.ask(ctx, second, s.transport.writeRTP); err == nil {
				m.symmetric = seen != rtp
				break
			}
		}
		return m, nil
	}
	return m, errors.New("there is no STUN server")
}

// Times of a STUN transaction (RFC 8489 §6.2.1), of which a call cannot wait for all seven.
const (
	stunRetry    = 250 * time.Millisecond
	stunSendings = 3
)

// ask is one Binding transaction from one of our ports: our address as a server sees it, and its other address, if it has one
// (RFC 5780 §7.4).
func (s *Session) ask(ctx context.Context, server netip.AddrPort, write func([]byte, netip.AddrPort) error) (seen, other netip.AddrPort, err error) {
	req, err := stun.Build(stun.TransactionID, stun.BindingRequest)
	if err != nil {
		return seen, other, err
	}
	answer := s.questions.add(req.TransactionID)
	defer s.questions.remove(req.TransactionID)
	wait := stunRetry
	for range stunSendings {
		if err := write(req.Raw, server); err != nil {
			return seen, other, fmt.Errorf("STUN server %s: %w", server, err)
		}
		timer := time.NewTimer(wait)
		select {
		case res := <-answer:
			timer.Stop()
			return readMapping(server, res)
		case <-ctx.Done():
			timer.Stop()
			return seen, other, fmt.Errorf("STUN server %s: %w", server, ctx.Err())
		case <-s.stop:
			timer.Stop()
			return seen, other, ErrClosed
		case <-timer.C:
		}
		wait *= 2
	}
	return seen, other, fmt.Errorf("STUN server %s does not answer", server)
}

func readMapping(server netip.AddrPort, res *stun.Message) (seen, other netip.AddrPort, err error) {
	if res.Type != stun.BindingSuccess {
		return seen, other, fmt.Errorf("STUN server %s refuses", server)
	}
	var mixed stun.XORMappedAddress
	var clear stun.MappedAddress
	switch {
	case mixed.GetFrom(res) == nil:
		seen = addrPort(mixed.IP, mixed.Port)
	case clear.GetFrom(res) == nil:
		seen = addrPort(clear.IP, clear.Port)
	default:
		return seen, other, fmt.Errorf("STUN server %s does not say where it sees us", server)
	}
	var o stun.OtherAddress
	if o.GetFrom(res) == nil {
		other = addrPort(o.IP, o.Port)
	}
	return seen, other, nil
}

func addrPort(ip []byte, port int) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port))
}

// questions are STUN transactions under way.
type questions struct {
	mu   sync.Mutex
	open map[[stun.TransactionIDSize]byte]chan *stun.Message
}

func (q *questions) add(id [stun.TransactionIDSize]byte) <-chan *stun.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open == nil {
		q.open = make(map[[stun.TransactionIDSize]byte]chan *stun.Message)
	}
	answer := make(chan *stun.Message, 1)
	q.open[id] = answer
	return answer
}

func (q *questions) remove(id [stun.TransactionIDSize]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.open, id)
}

// take hands an answer to who asked; false when nobody did.
func (q *questions) take(b []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.open) == 0 {
		return false
	}
	m := &stun.Message{Raw: slices.Clone(b)}
	if m.Decode() != nil {
		return false
	}
	answer, ok := q.open[m.TransactionID]
	if ok {
		select {
		case answer <- m:
		default: // a repetition
		}
	}
	return ok
}

// isSTUN tells STUN from RTP and DTLS on the same port (RFC 7983 §7).
func isSTUN(b []byte) bool { return len(b) > 0 && b[0] <= 3 && stun.IsMessage(b) }

// onSTUN takes a STUN message off a port.
func (s *Session) onSTUN(b []byte, from netip.AddrPort) {
	if !s.questions.take(b) && (!from.IsValid() || !s.check(b, from, false)) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.refused++
	}
}
