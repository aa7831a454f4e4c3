package ua

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// Bounds of a connection.
const (
	// writeTimeout: a peer that takes nothing for so long is gone.
	writeTimeout = 10 * time.Second
	// pongTimeout: "If a pong is not received within 10 seconds after sending a
	// ping …, then the client MUST treat the flow as failed" (RFC 5626 §4.4.1).
	pongTimeout = 10 * time.Second
	// idleLife of a connection that no line is registered over.
	idleLife = time.Hour
	// retiredLife of a connection made with other certificates than those in
	// force, once no line and no call uses it: 64·T1, what an INVITE may take.
	retiredLife = 32 * time.Second
)

var (
	errNoPong       = errors.New("no answer to a keepalive")
	errStranger     = errors.New("request for nobody here")
	errIdle         = errors.New("not used any more")
	errClosedByPeer = errors.New("closed by the other end")
	errRetired      = errors.New("made with certificates that were replaced")
)

// stream is one TCP or TLS connection. A message that cannot be parsed costs that
// message; only one whose end cannot be found costs the connection.
type stream struct {
	net.Conn
	owner  *streams
	to     Candidate      // it was dialled to; zero for one that was accepted
	peer   netip.AddrPort // as it is
	local  netip.AddrPort // our end
	source string         // where messages by it come from, as they say

	frames  framer
	welcome bool // something came that was for us

	mu       sync.Mutex
	attached map[*attachment]struct{}
	used     time.Time
	ended    bool
	cause    error       // of the end
	half     bool        // one CRLF of a ping came
	pongs    bool        // the other end answers pings: one came back before
	probes   []func()    // who waits for a pong
	promised bool        // the other end has to answer pings (RFC 5626)
	watch    *time.Timer // waits for a pong; nil = no ping is out
	lapse    *time.Timer // idle or retired
	retired  bool        // made with certificates that were replaced
	server   delivery.Certificate
}

// attachment is a line's interest in a connection.
type attachment struct{ lost func(error) }

// read takes messages until the connection ends.
func (s *stream) read() {
	for {
		if err := s.advance(); err != nil {
			s.end(err)
			return
		}
	}
}

// advance takes one unit off the connection.
func (s *stream) advance() (err error) {
	u, frame, err := s.frames.next()
	if err != nil {
		s.owner.endpoint.Guard("stream", func() { s.refuse(err) })
		return err
	}
	s.heard()
	if u != message {
		return s.blank(u)
	}
	s.owner.endpoint.Guard("stream", func() { err = s.take(frame) })
	return err
}

// refuse answers a request whose end cannot be found, the last of its connection:
// "respond with a 400 … and close the connection" (RFC 4475 §3.1.2.3).
func (s *stream) refuse(cause error) {
	head := s.frames.buf
	if !errors.Is(cause, errFraming) && !errors.Is(cause, errTooLarge) || isResponse(head) {
		return
	}
	e := s.owner.endpoint
	if e.admit(head, s.peer) == takeRequest || s.to.Addr.IsValid() {
		e.count.malformed.Add(1)
		e.server.refuseUnreadable(head[:min(len(head), mostHeaderBytes)], s.peer, s, cause)
	}
}

// take judges a message.
func (s *stream) take(frame []byte) error {
	e := s.owner.endpoint
	dialled := s.to.Addr.IsValid()
	switch v := e.admit(frame, s.peer); {
	case v == takeRequest, dialled && v == drop && !isResponse(frame):
		// What comes by a connection that we made comes from our server.
		s.welcome = true
		e.server.receive(frame, s.peer, s)
		return nil
	case v == takeResponse:
		s.welcome = true
		e.client.receive(frame, s.peer, s)
		return nil
	case dialled:
		return nil
	}
	return errStranger
}

// blank takes what is between messages. A ping is answered by a pong (RFC 5626
// §3.5.1); one whose two CRLFs came apart looks like two pongs.
func (s *stream) blank(u unit) error {
	s.owner.endpoint.count.keepalives.Add(1)
	s.mu.Lock()
	answer := u == ping
	if u == pong {
		if s.watch != nil {
			s.watch.Stop()
			defer told(s.probes)
			s.probes = nil
			if !s.pongs {
				s.owner.endpoint.log.Debug("the server answers keepalives", "server", s.RemoteAddr())
			}
			s.watch, s.pongs = nil, true
		} else {
			answer, s.half = s.half, !s.half
		}
	}
	s.mu.Unlock()
	if !answer {
		return nil
	}
	_, err := s.Write([]byte("\r\n"))
	return err
}

// Write sends a whole message. One that went in part would garble all that follow.
func (s *stream) Write(b []byte) (int, error) {
	if err := s.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	n, err := s.Conn.Write(b)
	if err != nil {
		s.end(err)
	}
	return n, err
}

// keepalive sends a ping and waits for life. Lines share a connection: while one
// ping is out, or something was just heard, another is not needed.
func (s *stream) keepalive() error {
	s.mu.Lock()
	if s.ended || s.watch != nil || time.Since(s.used) < time.Second {
		s.mu.Unlock()
		return nil
	}
	pinged := time.Now()
	s.watch = time.AfterFunc(pongTimeout, func() { s.missed(pinged) })
	s.mu.Unlock()
	_, err := s.Write([]byte("\r\n\r\n"))
	return err
}

// probe is keepalive where the other end has promised to answer, and tells when it
// has. The end of the connection tells those that are attached.
func (s *stream) probe(answered func()) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.promised = true
	s.probes = append(s.probes, answered)
	if s.watch != nil { // a ping is out
		s.mu.Unlock()
		return
	}
	pinged := time.Now()
	s.watch = time.AfterFunc(pongTimeout, func() { s.missed(pinged) })
	s.mu.Unlock()
	_, _ = s.Write([]byte("\r\n\r\n")) // what keeps it from going out ends the connection
}

func told(answered []func()) {
	for _, f := range answered {
		f()
	}
}

// missed: no pong came. Anything else that did shows life as well, and a server
// that never sent one does not know the pings of RFC 5626: its silence says nothing.
func (s *stream) missed(pinged time.Time) {
	s.mu.Lock()
	s.watch = nil
	silent := (s.pongs || s.promised) && s.used.Before(pinged)
	if !silent {
		defer told(s.probes)
		s.probes = nil
	}
	s.mu.Unlock()
	if silent {
		s.end(errNoPong)
	}
}

// heard: the other end lives.
func (s *stream) heard() {
	s.mu.Lock()
	s.used = time.Now()
	s.mu.Unlock()
}

// attach tells lost when the connection ends; at once, if it has.
func (s *stream) attach(lost func(error)) (detach func()) {
	a := &attachment{lost: lost}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		go lost(s.cause)
		return func() {}
	}
	if s.attached == nil {
		s.attached = make(map[*attachment]struct{})
	}
	s.attached[a] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.attached, a)
	}
}

// expire ends a connection that nobody needs, and looks again later at another.
func (s *stream) expire() {
	busy := s.owner.endpoint.lines.usesTrust(s.to.Trust)
	s.mu.Lock()
	life, why := idleLife, errIdle
	if s.retired {
		life, why = s.owner.retiredLife, errRetired
	}
	idle := time.Since(s.used)
	switch {
	case s.ended:
	case len(s.attached) > 0, s.retired && busy:
		s.lapse.Reset(life)
	case idle < life:
		s.lapse.Reset(life - idle)
	default:
		defer s.end(why)
	}
	s.mu.Unlock()
}

// retire has the connection end when no line is registered over it any more, and
// no call runs that began with its certificates; or takes that back.
func (s *stream) retire(retired bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired == retired || s.ended {
		return
	}
	s.retired = retired
	life := idleLife
	if retired {
		life = s.owner.retiredLife
	}
	s.lapse.Reset(life)
}

// end closes the connection and tells the lines that were registered over it.
func (s *stream) end(cause error) {
	if errors.Is(cause, io.EOF) {
		cause = errClosedByPeer
	}
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.cause = true, fmt.Errorf("connection to %s lost: %w", s.peer, handshakeError(cause))
	attached := s.attached
	s.attached = nil
	for _, t := range []*time.Timer{s.watch, s.lapse} {
		if t != nil {
			t.Stop()
		}
	}
	s.mu.Unlock()
	_ = s.Conn.Close() // whatever was wrong with it is known
	s.owner.forget(s)
	go func() { // whoever wrote last may hold a transaction
		s.owner.endpoint.client.lost(s)
		s.owner.endpoint.server.lost(s)
	}()
	for a := range attached {
		a.lost(s.cause)
	}
}

// err is why the connection ended; nil while it has not.
func (s *stream) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// network is the transport as Via writes it.
func (s *stream) network() string {
	if s.to.Transport == TLS {
		return "TLS"
	}
	return "TCP"
}

// explain gives the reason behind an error: that the connection ended, if it did.
func (s *stream) explain(err error) error {
	if s == nil || s.err() == nil {
		return err
	}
	return s.err()
}
