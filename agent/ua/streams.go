package ua

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// Bounds of what connections cost.
const (
	// dialTimeout bounds a connection's making, TLS included.
	dialTimeout = 10 * time.Second
	// mostAccepted connections of others than lines' servers.
	mostAccepted = 256
	// mostAcceptedFrom is how many of them one address may hold.
	mostAcceptedFrom = 32
	// firstWordTimeout is how long one that was accepted may say nothing.
	firstWordTimeout = 10 * time.Second
)

// streams owns every connection of an endpoint: those it dials, one for each
// server and domain, shared by the lines; and those made to its port, which is
// open to TCP as to UDP (RFC 3261 §18.2.1: "if a server is listening on a given
// port for UDP, it MUST listen for TCP on it, too").
type streams struct {
	endpoint *Endpoint
	listener net.Listener
	life     context.Context // ends when the endpoint closes
	stop     context.CancelFunc
	work     sync.WaitGroup

	retiredLife time.Duration // tests are shorter

	mu       sync.Mutex
	trusts   trusts
	serial   uint64
	dialled  map[Candidate]*dialing
	sources  map[string]*stream // all that are open
	accepted int
	// acceptedFrom counts them by address.
	acceptedFrom map[netip.Addr]int
}

// dialing is a connection or the making of one.
type dialing struct {
	done chan struct{} // closed when s or err is there
	s    *stream
	err  error
}

// openStreams serves connections to l and those dialled later.
func openStreams(e *Endpoint, l net.Listener) *streams {
	t := &streams{
		endpoint: e, listener: l, retiredLife: retiredLife,
		dialled: make(map[Candidate]*dialing), sources: make(map[string]*stream), acceptedFrom: make(map[netip.Addr]int),
	}
	t.life, t.stop = context.WithCancel(context.Background())
	t.work.Go(t.accept)
	return t
}

// close ends all connections and waits.
func (t *streams) close() error {
	t.stop()
	err := t.listener.Close()
	t.mu.Lock()
	open := make([]*stream, 0, len(t.sources))
	for _, s := range t.sources {
		open = append(open, s)
	}
	t.mu.Unlock()
	for _, s := range open {
		s.end(net.ErrClosed)
	}
	t.work.Wait()
	return err
}

// key of the connection to a candidate: lines share one when server, domain and
// certificates are the same.
func key(to Candidate) Candidate {
	to.Rank, to.Via = 0, netip.AddrPort{}
	if to.Transport != TLS {
		to.Name, to.Trust = "", ""
	}
	return to
}

// get gives the connection to a candidate, making one if there is none.
func (t *streams) get(ctx context.Context, to Candidate) (*stream, error) {
	t.mu.Lock()
	to = key(to)
	d := t.dialled[to]
	if d == nil && t.life.Err() == nil {
		d = &dialing{done: make(chan struct{})}
		t.dialled[to] = d
		t.work.Go(func() { t.dial(to, d) })
	}
	t.mu.Unlock()
	if d == nil {
		return nil, net.ErrClosed
	}
	select {
	case <-d.done:
		return d.s, d.err
	case <-ctx.Done():
		return nil, fmt.Errorf("connect to %s: %w", to, ctx.Err())
	}
}

func (t *streams) dial(to Candidate, d *dialing) {
	defer func() {
		close(d.done)
		if d.s == nil {
			return
		}
		t.mu.Lock()
		d.s.retire(!t.trusts.inForce(to.Trust)) // they may have been replaced meanwhile
		t.mu.Unlock()
		if d.s.err() != nil {
			t.forget(d.s) // it ended before it was done
		}
	}()
	ctx, cancel := context.WithTimeout(t.life, dialTimeout)
	defer cancel()
	conn, server, err := t.connect(ctx, to)
	if err == nil {
		d.s, err = t.serve(conn, to, server)
	}
	if err != nil {
		if ctx.Err() != nil && t.life.Err() == nil && !errors.Is(err, ErrCertificate) {
			err = fmt.Errorf("%w: %s", ErrTimeout, err.Error()) // it took too long, whatever it was doing
		}
		d.err = fmt.Errorf("connect to %s: %w", to, err)
		t.mu.Lock()
		if t.dialled[to] == d {
			delete(t.dialled, to)
		}
		t.mu.Unlock()
	}
}

// connect makes a connection, for TLS one whose server has shown who it is.
func (t *streams) connect(ctx context.Context, to Candidate) (conn net.Conn, server delivery.Certificate, err error) {
	trust, err := t.trusted(to)
	if err != nil {
		return nil, server, err
	}
	dialer := net.Dialer{}
	if a := t.endpoint.local.Addr(); !a.IsUnspecified() {
		dialer.LocalAddr = &net.TCPAddr{IP: a.AsSlice()}
	}
	conn, err = dialer.DialContext(ctx, "tcp", to.Addr.String())
	if err != nil {
		return nil, server, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if to.Transport != TLS {
		return conn, server, nil
	}
	secured := tls.Client(conn, trust.config(to.Name, &server))
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, server, handshakeError(err)
	}
	return secured, server, nil
}

// serve reads a connection that was dialled.
func (t *streams) serve(conn net.Conn, to Candidate, server delivery.Certificate) (*stream, error) {
	s := t.wrap(conn, to.Addr)
	s.to, s.server = to, server
	if to.Transport == TLS {
		t.endpoint.log.Info("connected", "server", to.String(), "domain", to.Name, "certificateExpires", server.NotAfter)
	}
	if t.life.Err() != nil {
		s.end(net.ErrClosed) // close did not see it
		return nil, net.ErrClosed
	}
	t.work.Go(s.read)
	return s, nil
}

// wrap makes a stream of a connection and gives it the name of its peer. Where two
// lead to the same (two domains of one server), a zone tells the second apart.
func (t *streams) wrap(conn net.Conn, peer netip.AddrPort) *stream {
	peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	s := &stream{Conn: conn, owner: t, peer: peer, frames: framer{r: conn}, used: time.Now()}
	if ours, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		a := ours.AddrPort()
		s.local = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.serial++
	name := peer.String()
	if t.sources[name] != nil {
		a := netip.AddrFrom16(peer.Addr().As16()).WithZone(fmt.Sprint(t.serial))
		name = netip.AddrPortFrom(a, peer.Port()).String()
	}
	s.source = name
	t.sources[name] = s
	s.lapse = time.AfterFunc(idleLife, s.expire)
	return s
}

// forget a connection that has ended.
func (t *streams) forget(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sources, s.source)
	for key, d := range t.dialled {
		select {
		case <-d.done:
			if d.s == s {
				delete(t.dialled, key)
			}
		default:
		}
	}
}

// existing gives the connection to a candidate; nil when there is none.
func (t *streams) existing(to Candidate) *stream {
	t.mu.Lock()
	d := t.dialled[key(to)]
	t.mu.Unlock()
	if d == nil {
		return nil
	}
	select {
	case <-d.done:
		return d.s
	default:
		return nil
	}
}
