// Package ua is the SIP user agent of an agent process: the sockets all its
// lines share, the way out (source port = Contact port, digest, server
// location) and the way in (which line a request is for, and what strangers
// hear). It exists so that a line is told apart by its unguessable Contact
// user alone, and so that nothing the network sends can take the process down.
//
// The parser is sipgo's, the transactions are here: those of our own requests
// (clienttx.go) and those of others' (servertx.go). Dialogs and registrations are
// built on this package by others.
package ua

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/emiago/sipgo/sip"
)

// Config of an Endpoint.
type Config struct {
	// Bind address, for UDP and TCP alike; port 0 = any.
	Bind netip.AddrPort
	// UserAgent is sent in User-Agent and Server headers; "" = softphone-agent.
	UserAgent string
	// Allow lists the methods that lines handle; empty = DefaultAllow. A Line
	// that is Capable overrides it.
	Allow []sip.RequestMethod
	// Locator of servers, shared by endpoints; nil = one of its own that asks the
	// system's name servers.
	Locator *Locator
	// Tap is shown what goes over the wire; nil = nobody.
	Tap Tap
	// Log for what the endpoint has to say; nil = discard.
	Log *slog.Logger
}

// DefaultAllow are the methods a call line handles.
var DefaultAllow = []sip.RequestMethod{sip.INVITE, sip.ACK, sip.CANCEL, sip.BYE, sip.OPTIONS, sip.INFO}

// Endpoint is one shared port, UDP and TCP, with everything above it. All methods may
// be called from any goroutine.
type Endpoint struct {
	cfg      Config
	log      *slog.Logger
	conn     *conn
	local    netip.AddrPort // as bound
	branches string         // how the branches of our requests begin
	client   *uac           // the transactions of our requests
	server   *uas           // of those of others
	lines    directory
	probes   probes
	streams  *streams
	large    large
	sources  sources
	facing   facing
	count    counters

	closing   atomic.Bool
	readErr   error         // why the reader ended; read after readDone
	readDone  chan struct{} // closed when the reader has ended
	closeOnce sync.Once

	closeLocator func()
}

// Stats counts what an endpoint has seen; all but Lines only grow.
type Stats struct {
	Received    uint64 // datagrams
	Keepalives  uint64 // datagrams of nothing but line ends or zeros
	Dropped     uint64 // datagrams of strangers, never answered
	Malformed   uint64 // requests refused as not being what RFC 3261 asks for
	Stray       uint64 // responses no transaction waits for
	Unreachable uint64 // ICMP errors
	Panics      uint64 // panics caught at a line's boundary or in the reader
	Limited     uint64 // requests of sources that send too many, never answered
	Overflow    uint64 // requests lost because too much waited for its line
	TurnedAway  uint64 // connections of strangers that were closed unheard
	Lines       int    // bound now
	Open        int    // transactions of others' requests remembered now
}

type counters struct {
	received, keepalives, dropped, malformed, stray, unreachable, panics atomic.Uint64
	limited, overflow, turnedAway                                        atomic.Uint64
}

// hush has sipgo's parser say nothing past the loggers that it is not given.
var hush = sync.OnceFunc(func() { sip.SetDefaultLogger(slog.New(slog.DiscardHandler)) })

// receiveBuffer is what may wait at the UDP socket while its reader is busy, bytes.
const receiveBuffer = 1 << 20

// maxDatagram is the most UDP over IPv4 carries.
const maxDatagram = 65507

// Listen opens the socket and starts reading; requests of bound lines are
// served from now on. Close it.
func Listen(cfg Config) (*Endpoint, error) {
	hush()
	cfg = cfg.defaults()
	own := func() {}
	if cfg.Locator == nil {
		cfg.Locator = NewLocator(nil, cfg.Log)
		own = cfg.Locator.Close
	}
	socket, listener, err := bindPort(cfg.Bind)
	if err != nil {
		return nil, fmt.Errorf("listen for SIP: %w", err)
	}
	e := &Endpoint{
		cfg: cfg, log: cfg.Log, closeLocator: own, readDone: make(chan struct{}),
		local:    socket.LocalAddr().(*net.UDPAddr).AddrPort(),
		branches: sip.RFC3261BranchMagicCookie + randomText(8),
	}
	e.server = &uas{endpoint: e, parser: sip.NewParser(), t1: sip.T1, t2: sip.T2, t4: sip.T4}
	e.server.handover.seed, e.server.handover.guard = maphash.MakeSeed(), e.Guard
	e.client = &uac{endpoint: e, parser: sip.NewParser(), write: e.writeRequest, t1: sip.T1, t2: sip.T2, t4: sip.T4}
	e.conn = newConn(socket, e.probes.receive, e.admit, e.unreachable)
	e.streams = openStreams(e, listener)
	go e.read()
	return e, nil
}

func (c Config) defaults() Config {
	if c.UserAgent == "" {
		c.UserAgent = "softphone-agent"
	}
	if len(c.Allow) == 0 {
		c.Allow = DefaultAllow
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if !c.Bind.Addr().IsValid() {
		c.Bind = netip.AddrPortFrom(netip.IPv4Unspecified(), c.Bind.Port())
	}
	return c
}

// bindPort binds UDP and TCP to one port. A port that was to be any is tried again
// when TCP has it already.
func bindPort(at netip.AddrPort) (*net.UDPConn, net.Listener, error) {
	for attempt := 1; ; attempt++ {
		udp, err := net.ListenUDP(network("udp", at.Addr()), net.UDPAddrFromAddrPort(at))
		if err != nil {
			return nil, nil, err
		}
		port := udp.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		tcp, err := net.Listen(network("tcp", at.Addr()), netip.AddrPortFrom(at.Addr(), port).String())
		if err == nil {
			_ = udp.SetReadBuffer(receiveBuffer) // as much of it as the system allows
			return udp, tcp, nil
		}
		err = errors.Join(err, udp.Close())
		if at.Port() != 0 || attempt == 20 {
			return nil, nil, err
		}
	}
}

// network keeps an IPv4 socket an IPv4 socket, so that its addresses are
// written as such; "::" serves both families.
func network(protocol string, a netip.Addr) string {
	if a.Is4() {
		return protocol + "4"
	}
	return protocol
}

// read takes datagrams until the socket closes. A panic over one of them costs that one,
// not the process.
func (e *Endpoint) read() {
	defer close(e.readDone)
	buffer := make([]byte, maxDatagram)
	for panicked := true; panicked; {
		panicked = e.Guard("reader", func() {
			for {
				raw, from, v, err := e.conn.next(buffer)
				switch {
				case err != nil:
					e.readErr = err
					return
				case v == takeResponse:
					e.client.receive(raw, from, nil)
				case v == takeRequest:
					e.server.receive(raw, from, nil)
				}
			}
		})
	}
}

// Serve blocks until ctx ends or the socket fails, and closes the endpoint.
// The error is nil when ctx ended.
func (e *Endpoint) Serve(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return e.Close()
	case <-e.readDone:
		if e.closing.Load() {
			return nil
		}
		return errors.Join(fmt.Errorf("SIP socket: %w", e.readErr), e.Close())
	}
}

// Close ends all transactions and the socket, and waits for the reader.
func (e *Endpoint) Close() error {
	var err error
	e.closeOnce.Do(func() {
		e.closing.Store(true)
		e.client.close()
		e.server.close()
		e.probes.close()
		err = errors.Join(e.streams.close(), e.conn.Close())
		e.closeLocator()
	})
	<-e.readDone
	return err
}

// Port the socket is bound to, the port of every Contact and Via.
func (e *Endpoint) Port() int { return int(e.local.Port()) }

// Plus adds the counts of another endpoint.
func (s Stats) Plus(o Stats) Stats {
	return Stats{
		Received: s.Received + o.Received, Keepalives: s.Keepalives + o.Keepalives, Dropped: s.Dropped + o.Dropped,
		Malformed: s.Malformed + o.Malformed, Stray: s.Stray + o.Stray, Unreachable: s.Unreachable + o.Unreachable,
		Panics: s.Panics + o.Panics, Limited: s.Limited + o.Limited, Overflow: s.Overflow + o.Overflow,
		TurnedAway: s.TurnedAway + o.TurnedAway, Lines: s.Lines + o.Lines, Open: s.Open + o.Open,
	}
}

// Stats of the endpoint since Listen.
func (e *Endpoint) Stats() Stats {
	return Stats{
		Received: e.count.received.Load(), Keepalives: e.count.keepalives.Load(), Dropped: e.count.dropped.Load(),
		Malformed: e.count.malformed.Load(), Stray: e.count.stray.Load(), Unreachable: e.count.unreachable.Load(),
		Panics: e.count.panics.Load(), Limited: e.count.limited.Load(), Overflow: e.count.overflow.Load(),
		TurnedAway: e.count.turnedAway.Load(), Lines: e.lines.len(), Open: e.server.len(),
	}
}
