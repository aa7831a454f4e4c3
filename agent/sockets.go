package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// sockets are the SIP ports of an agent: the one all lines share that ask for none,
// one for each number that lines ask for (listeningPort), and one for each line
// that wants its own. All but the first come and go with their lines; one that
// cannot be bound is a problem of its lines and nobody else's.
type sockets struct {
	opts   Options
	log    *slog.Logger
	shared *socket
	// linger is how long a port stays open after its last line: messages of
	// transactions that are over may still come, and are to find their answer.
	linger time.Duration
	// broke is called when a port is lost that worked.
	broke func()
	work  sync.WaitGroup

	mu     sync.Mutex
	open   map[*socket]bool   // all but the shared one
	byPort map[uint16]*socket // those that were asked for by number
	trusts map[string]ua.Trust
	limit  int      // requests a second and source
	past   ua.Stats // counters of those that are closed
	closed bool
}

// socket is one port, UDP and TCP, and the lines that use it.
type socket struct {
	*ua.Endpoint
	owner *sockets
	users int         // of owner
	lapse *time.Timer // closes it; nil while it has users
	lost  chan struct{}
}

// portError says that a line's listeningPort cannot be had.
type portError struct {
	port  uint16
	cause error
}

func (e *portError) Error() string {
	return fmt.Sprintf("listening port %d cannot be opened: %v", e.port, e.cause)
}

func (e *portError) Unwrap() error { return e.cause }

func newSockets(shared *ua.Endpoint, o Options, log *slog.Logger) *sockets {
	s := &sockets{opts: o, log: log, linger: transactionLife, open: map[*socket]bool{}, byPort: map[uint16]*socket{}}
	s.shared = &socket{Endpoint: shared, owner: s, lost: make(chan struct{})}
	return s
}

// take gives the socket that a listeningPort asks for; release is owed for it.
func (s *sockets) take(listening string) (*socket, error) {
	port, err := strconv.ParseUint(listening, 10, 16)
	if listening != "" && err != nil {
		return nil, fmt.Errorf("listeningPort %q: %w", listening, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if listening == "" || port != 0 && int(port) == s.shared.Port() {
		return s.shared, nil
	}
	if port != 0 && s.byPort[uint16(port)] != nil {
		k := s.byPort[uint16(port)]
		k.users++
		if k.lapse != nil {
			k.lapse.Stop()
			k.lapse = nil
		}
		return k, nil
	}
	return s.listen(uint16(port))
}

// listen opens another socket; s is locked.
func (s *sockets) listen(port uint16) (*socket, error) {
	if s.closed {
		return nil, os.ErrClosed
	}
	bind := netip.AddrPortFrom(bindAddr(s.opts), port)
	endpoint, err := listenSIP(bind, s.opts, s.log)
	if err != nil {
		return nil, &portError{port, err}
	}
	endpoint.SetTrusts(s.trusts)
	endpoint.LimitSources(s.limit)
	k := &socket{Endpoint: endpoint, owner: s, users: 1, lost: make(chan struct{})}
	s.open[k] = true
	if port != 0 {
		s.byPort[port] = k
	}
	s.log.Info("SIP port opened", "port", endpoint.Port())
	s.work.Go(func() { s.serve(k, port) })
	return k, nil
}

// serve watches a socket. The lines of one that breaks start anew, on another.
func (s *sockets) serve(k *socket, port uint16) {
	err := k.Serve(context.Background())
	if err == nil {
		return // it was closed
	}
	s.log.Error("SIP port lost", "port", k.Port(), "error", err)
	s.lose(k, port)
}

func (s *sockets) lose(k *socket, port uint16) {
	close(k.lost)
	s.mu.Lock()
	s.drop(k, port)
	closed := s.closed
	s.mu.Unlock()
	if !closed && s.broke != nil {
		s.broke()
	}
}

// drop forgets a socket but for what it counted; s is locked.
func (s *sockets) drop(k *socket, port uint16) {
	if !s.open[k] {
		return
	}
	delete(s.open, k)
	if s.byPort[port] == k {
		delete(s.byPort, port)
	}
	gone := k.Stats()
	gone.Lines, gone.Open = 0, 0
	s.past = s.past.Plus(gone)
}

// broken tells whether the socket was lost.
func (k *socket) broken() bool {
	select {
	case <-k.lost:
		return true
	default:
		return false
	}
}

// release gives a socket back. The last line's closes it, a while later.
func (k *socket) release() {
	s := k.owner
	if k == s.shared {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.users--; k.users == 0 && s.open[k] {
		k.lapse = time.AfterFunc(s.linger, k.expire)
	}
}

func (k *socket) expire() {
	s := k.owner
	s.mu.Lock()
	if k.users > 0 || !s.open[k] {
		s.mu.Unlock()
		return
	}
	s.drop(k, uint16(k.Port()))
	s.work.Go(func() { k.shut("SIP port closed: no line uses it any more") })
	s.mu.Unlock()
}

func (k *socket) shut(why string) {
	if err := k.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		k.owner.log.Debug("closing a SIP port", "port", k.Port(), "error", err)
	}
	k.owner.log.Info(why, "port", k.Port())
}

// all gives every socket that is open, the shared one first.
func (s *sockets) all() []*socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.AppendSeq([]*socket{s.shared}, maps.Keys(s.open))
}

// close ends them all, the shared one included, and waits.
func (s *sockets) close() {
	all := s.all()
	s.mu.Lock()
	s.closed = true
	for k := range s.open {
		if k.lapse != nil {
			k.lapse.Stop()
		}
	}
	s.mu.Unlock()
	for _, k := range all {
		if err := k.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			s.log.Debug("closing a SIP port", "port", k.Port(), "error", err)
		}
	}
	s.work.Wait()
}

// setTrusts puts certificates in force on every port, those to come included.
func (s *sockets) setTrusts(trusts map[string]ua.Trust) {
	s.mu.Lock()
	s.trusts = trusts
	s.mu.Unlock()
	for _, k := range s.all() {
		k.SetTrusts(trusts)
	}
}

// limitSources bounds what strangers may ask of every port.
func (s *sockets) limitSources(perSecond int) {
	s.mu.Lock()
	changed := s.limit != perSecond
	s.limit = perSecond
	s.mu.Unlock()
	if !changed {
		return
	}
	for _, k := range s.all() {
		k.LimitSources(perSecond)
	}
}

// stats of all ports together, closed ones included.
func (s *sockets) stats() ua.Stats {
	s.mu.Lock()
	sum := s.past
	s.mu.Unlock()
	for _, k := range s.all() {
		sum = sum.Plus(k.Stats())
	}
	return sum
}
