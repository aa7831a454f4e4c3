package kamailio

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// Registrar is one instance. Its methods may be called from several
// goroutines.
type Registrar struct {
	dir     string // absolute
	ownDir  bool
	logFile string
	calls   atomic.Uint64

	mu   sync.Mutex // guards what follows, and start and stop against each other
	cfg  Config
	proc *process.Process // nil while stopped
}

// Start runs a registrar and returns once it answers SIP and control
// requests. ctx bounds the start, not the registrar's life: end it with Close.
func Start(ctx context.Context, c Config) (*Registrar, error) {
	for attempt := 1; ; attempt++ {
		r, err := start(ctx, c)
		// Between the choice of a free port and its use another process may
		// take it.
		if err == nil || attempt == 3 || c.Listen.Port() != 0 || !strings.Contains(err.Error(), addressInUse) {
			return r, err
		}
	}
}

// addressInUse is the C library's text for EADDRINUSE, in kamailio's log.
const addressInUse = "Address already in use"

func start(ctx context.Context, c Config) (*Registrar, error) {
	c.Subscribers = maps.Clone(c.Subscribers)
	if c.Subscribers == nil {
		c.Subscribers = map[string]string{}
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Registrar{cfg: c, dir: c.Dir}
	if r.dir == "" {
		r.ownDir = true
		if r.dir, err = os.MkdirTemp("", "kamailio-"); err != nil {
			return nil, err
		}
	}
	if r.dir, err = filepath.Abs(r.dir); err != nil {
		return nil, err
	}
	r.logFile = c.LogFile
	if r.logFile == "" {
		r.logFile = filepath.Join(r.dir, "kamailio.log")
	}
	if err := r.Restart(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// ForTest starts a registrar that lives as long as the test. When the test
// fails, the end of the registrar's log is shown.
func ForTest(tb process.TB, c Config) *Registrar {
	tb.Helper()
	r, err := Start(tb.Context(), c)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	process.EndWith(tb, "kamailio", r.Close, func() string { return "its log ends with:\n" + tail(r.logFile) })
	return r
}

// Addr is the address served over UDP and TCP.
func (r *Registrar) Addr() netip.AddrPort { return r.cfg.Listen }

// TLSAddr is the address served over TLS; invalid when there is none.
func (r *Registrar) TLSAddr() netip.AddrPort {
	if r.cfg.TLS == nil {
		return netip.AddrPort{}
	}
	return r.cfg.TLS.Listen
}

// LogFile is where kamailio logs to.
func (r *Registrar) LogFile() string { return r.logFile }

// Restart stops the registrar if it runs and starts it again on the same
// addresses. All bindings are lost, as a restart without a database does.
func (r *Registrar) Restart(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.stop(); err != nil {
		return err
	}
	config, err := r.cfg.write(r.dir)
	if err != nil {
		return err
	}
	if r.proc, err = launch(config, r.dir, r.logFile); err != nil {
		return err
	}
	if err := r.awaitReady(ctx); err != nil {
		return errors.Join(fmt.Errorf("kamailio did not come up: %w\n%s", err, tail(r.logFile)), r.end())
	}
	return nil
}

// Stop ends the registrar; its ports answer nothing then. Stopping twice is
// no error.
func (r *Registrar) Stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop()
}

func (r *Registrar) stop() error {
	if r.proc == nil {
		return nil
	}
	return errors.Join(r.end(), r.awaitFree())
}

// end ends the process, without a look at its ports: they may be another's. It
// is not asked first: it keeps nothing worth saving, and it forgets a SIGTERM
// that arrives together with a SIGCHLD.
func (r *Registrar) end() error {
	err := r.proc.Kill()
	r.proc = nil
	return err
}

// awaitFree returns once the kernel has ended the last worker, and with it
// closed the ports.
func (r *Registrar) awaitFree() error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(r.cfg.Listen))
		if err == nil {
			return udp.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kamailio: a worker outlived its end: %w", err)
		}
		time.Sleep(time.Millisecond)
	}
}

// Close stops the registrar and removes its directory if it made it.
func (r *Registrar) Close() error {
	err := r.Stop()
	if r.ownDir {
		err = errors.Join(err, os.RemoveAll(r.dir))
	}
	return err
}

// Running tells whether the registrar's process is there; a paused one is.
func (r *Registrar) Running() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proc != nil && !r.proc.Exited()
}

// Pause freezes the registrar: its ports stay open and answer nothing, as
// behind a dead network.
func (r *Registrar) Pause() error { return r.signal(syscall.SIGSTOP) }

// Resume ends a Pause. What arrived meanwhile is answered then.
func (r *Registrar) Resume() error { return r.signal(syscall.SIGCONT) }

func (r *Registrar) signal(s syscall.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc == nil {
		return errors.New("kamailio: not running")
	}
	return r.proc.SignalGroup(s)
}

// SetPassword adds a subscriber or changes the password of one, effective for
// the next request; it outlasts restarts.
func (r *Registrar) SetPassword(ctx context.Context, user, password string) error {
	if err := checkCredentials(user, password); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg.Subscribers[user] = password
	if r.proc == nil {
		return nil
	}
	return r.call(ctx, nil, "htable.sets", "subscriber", user, password)
}

// RemoveUser forgets a subscriber. Bindings stay until they expire.
func (r *Registrar) RemoveUser(ctx context.Context, user string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.cfg.Subscribers, user)
	if r.proc == nil {
		return nil
	}
	return r.call(ctx, nil, "htable.delete", "subscriber", user)
}

// Refuse answers every request of method with code, before authentication;
// code 0 ends that, and so does a restart.
func (r *Registrar) Refuse(ctx context.Context, method string, code int) error {
	if code == 0 {
		return r.call(ctx, nil, "htable.delete", "refuse", method)
	}
	return r.call(ctx, nil, "htable.seti", "refuse", method, code)
}

// RetryAfter adds that header to what Refuse answers, in whole seconds; a restart
// ends that.
func (r *Registrar) RetryAfter(ctx context.Context, after time.Duration) error {
	return r.call(ctx, nil, "htable.seti", "refuse", "retryAfter", int(after.Seconds()))
}

// ReloadTLS makes new connections with what the certificate files hold now;
// those there are stay. With OpenSSL 3, kamailio's first look at a good file fails
// now and then; one of the next does not.
func (r *Registrar) ReloadTLS(ctx context.Context) error {
	var err error
	for range 5 {
		if err = r.call(ctx, nil, "tls.reload"); err == nil || ctx.Err() != nil {
			break
		}
	}
	return err
}

// awaitReady returns once the registrar answers an OPTIONS request and a
// control request.
func (r *Registrar) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		network := "udp"
		if r.cfg.Capture {
			network = "tcp"
		}
		err := ping(ctx, network, r.cfg.Listen)
		if err == nil {
			err = r.call(ctx, nil, "core.version")
		}
		if err == nil {
			return nil
		}
		select {
		case <-r.proc.Done():
			return fmt.Errorf("kamailio ended: %s", r.proc.End())
		case <-ctx.Done():
			return err
		case <-retry.C:
		}
	}
}

// PID is the process id of kamailio's main process, or 0 while it does not
// run.
func (r *Registrar) PID() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.proc == nil || r.proc.Exited() {
		return 0
	}
	return r.proc.Pid
}
