// Package relay stands between an agent and its registrar. It passes SIP on as it
// is, over UDP and TCP alike, and knows exactly what went by and when, which
// neither end can be asked; and it breaks what a test wants broken: it goes away,
// so that the kernel says so to who asks, and it resets connections.
//
// It is known by one address to each side. Every client has a socket of its own
// towards the registrar, so that the answers, and requests in calls, find back.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// Relay passes messages on until it is closed.
type Relay struct {
	upstream netip.AddrPort
	addr     netip.AddrPort
	opaque   bool
	work     sync.WaitGroup
	mapping  atomic.Int64 // counts Rebind

	mu    sync.Mutex
	life  context.Context // of the time between Up and Down
	down  context.CancelFunc
	seen  []Message
	pairs map[*pair]struct{}
}

// Config of a relay.
type Config struct {
	// Upstream is the registrar's address.
	Upstream netip.AddrPort
	// Opaque passes TLS: connections only, and their messages stay unknown.
	Opaque bool
}

// Start makes a relay at a free port of the loopback address.
func Start(c Config) (*Relay, error) {
	port, err := process.FreePorts(1)
	if err != nil {
		return nil, err
	}
	r := &Relay{
		upstream: c.Upstream, opaque: c.Opaque, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port),
		pairs: map[*pair]struct{}{}, down: func() {},
	}
	return r, r.Up()
}

// Addr is where the registrar seems to be.
func (r *Relay) Addr() netip.AddrPort { return r.addr }

// Up begins to pass messages, at Start and after Down.
func (r *Relay) Up() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	life, cancel := context.WithCancel(context.Background())
	var sockets []io.Closer
	// The ports are free when down returns: Up may follow at once.
	down := func() {
		cancel()
		for _, s := range sockets {
			_ = s.Close()
		}
	}
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(r.addr))
	if err != nil {
		down()
		return fmt.Errorf("relay: %w", err)
	}
	sockets = append(sockets, tcp)
	if !r.opaque {
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(r.addr))
		if err != nil {
			down()
			return fmt.Errorf("relay: %w", err)
		}
		sockets = append(sockets, udp)
		if err := errors.Join(udp.SetReadBuffer(1<<20), stamp(udp)); err != nil {
			down()
			return fmt.Errorf("relay: %w", err)
		}
		r.work.Go(func() { r.passDatagrams(life, udp) })
	}
	r.life, r.down = life, down
	r.work.Go(func() { r.accept(life, tcp) })
	return nil
}

// Down closes port and connections: who sends there learns from the kernel that
// nobody listens, as when the registrar's process has died.
func (r *Relay) Down() {
	r.mu.Lock()
	r.down()
	r.mu.Unlock()
	r.Reset()
	r.work.Wait()
}

// Close ends the relay.
func (r *Relay) Close() { r.Down() }

// Rebind has the registrar see every client under another address from its next
// datagram on, and forgets those before, as a NAT that was started anew does.
func (r *Relay) Rebind() { r.mapping.Add(1) }

// Reset breaks every connection by RST and tells how many there were.
func (r *Relay) Reset() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.pairs)
	for p := range r.pairs {
		p.reset()
	}
	return n
}

// note keeps a message that went by.
func (r *Relay) note(raw []byte, at time.Time, up bool) {
	m, ok := Parse(raw)
	if !ok {
		return
	}
	m.At, m.Up = at, up
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, m)
}

// Seen gives every SIP message that went by since a moment, in order.
func (r *Relay) Seen(since time.Time) []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Message
	for _, m := range r.seen {
		if !m.At.Before(since) {
			all = append(all, m)
		}
	}
	return all
}

// ForTest starts a relay that lives as long as the test.
func ForTest(tb process.TB, c Config) *Relay {
	tb.Helper()
	r, err := Start(c)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	tb.Cleanup(r.Close)
	return r
}

// over tells errors that an end explains from others.
func over(life context.Context, err error) bool {
	return life.Err() != nil || errors.Is(err, net.ErrClosed)
}
