// Package process runs a peer's program for a test: in its own process group,
// its output in a file, ended with the test whatever happens.
package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Config of a program to run.
type Config struct {
	// Program is looked up in PATH; Package is the Debian package that has it.
	Program, Package string
	Args             []string
	// Dir is the working directory, LogFile gets standard output and error.
	Dir, LogFile string
	Env          []string // beside the test's own
	// Orphaned is the signal the kernel sends the program when the test dies
	// first; 0 = SIGKILL. A program with children of its own needs one it can
	// pass on.
	Orphaned syscall.Signal
}

// Process is a running program.
type Process struct {
	// Pid of the program, and of its process group.
	Pid     int
	logFile string
	done    chan struct{}
	state   *os.ProcessState // valid after done
}

// Start runs the program. The kernel ends it when the test dies first.
func Start(c Config) (*Process, error) {
	program, err := exec.LookPath(c.Program)
	if err != nil {
		program, err = exec.LookPath(filepath.Join("/usr/sbin", c.Program)) // servers are there, not in everybody's PATH
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not installed (Debian package %s)", c.Program, c.Package)
	}
	log, err := os.OpenFile(c.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, c.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.Dir, log, log
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: cmp.Or(c.Orphaned, syscall.SIGKILL)}
	p := &Process{done: make(chan struct{}), logFile: c.LogFile}
	started := make(chan error)
	go func() {
		// Pdeathsig fires when the starting thread ends: keep it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.Pid = cmd.Process.Pid
		started <- nil
		_ = cmd.Wait() // the state says the same, and more
		p.state = cmd.ProcessState
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Program, err)
	}
	return p, nil
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exited tells whether the program has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// End says how the program ended; valid after Done.
func (p *Process) End() string { return p.state.String() }

// Wait waits for the end and gives the exit code; -1 when a signal ended it.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.state.ExitCode(), nil
	case <-ctx.Done():
		return -1, fmt.Errorf("still running: %w", ctx.Err())
	}
}

// Signal sends a signal to the program alone.
func (p *Process) Signal(s syscall.Signal) error { return ignoreGone(syscall.Kill(p.Pid, s)) }

// SignalGroup sends a signal to the program and its children.
func (p *Process) SignalGroup(s syscall.Signal) error { return ignoreGone(syscall.Kill(-p.Pid, s)) }

// Stop asks the program to end, and after a while makes it.
func (p *Process) Stop(grace time.Duration) error {
	err := p.Signal(syscall.SIGTERM)
	limit := time.NewTimer(grace)
	defer limit.Stop()
	select {
	case <-p.done:
		return err
	case <-limit.C:
	}
	return errors.Join(err, p.Kill())
}

// Kill ends the whole process group at once.
func (p *Process) Kill() error {
	err := p.SignalGroup(syscall.SIGKILL)
	<-p.done
	return err
}

func ignoreGone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// Log is what the program has written so far.
func (p *Process) Log() string {
	raw, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// Tail is the end of Log.
func (p *Process) Tail(bytes int) string {
	log := p.Log()
	return log[max(0, len(log)-bytes):]
}

// TB is the part of testing.TB that peers use.
type TB interface {
	Helper()
	TempDir() string
	Context() context.Context
	Cleanup(func())
	Failed() bool
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
}

// EndWith ends a peer with the test. When the test has failed, what the peer said
// is shown.
func EndWith(tb TB, name string, end func() error, said func() string) {
	tb.Helper()
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("%s: %s", name, said()) // before its files go
		}
		if err := end(); err != nil {
			tb.Logf("end %s: %v", name, err)
		}
	})
}

// Ports that are handed out lie below those the kernel takes for sockets that name none. What is free now stays so until the program that
// is to have it has opened it, and while it is away to come back: nobody else gets a port for so long, or as long as others are left.
const (
	firstPort = 16_384
	lastPort  = 32_000
	reserved  = 3 * time.Minute
)

var handedOut struct {
	sync.Mutex
	ports map[uint16]time.Time
}

// FreePorts finds n ports in a row that are free for UDP and for TCP on the
// loopback address; the first is even.
func FreePorts(n int) (uint16, error) {
	handedOut.Lock()
	defer handedOut.Unlock()
	if handedOut.ports == nil {
		handedOut.ports = make(map[uint16]time.Time)
	}
	now := time.Now()
	for _, before := range []time.Time{{}, now.Add(-reserved)} {
		for range 400 {
			first := uint16(firstPort+rand.IntN(lastPort-firstPort-n)) &^ 1
			if handedOutBy(before, first, n) && allFree(first, n) {
				for i := range n {
					handedOut.ports[first+uint16(i)] = now
				}
				return first, nil
			}
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row", n)
}

// handedOutBy reports whether nobody was given one of the ports after a moment.
func handedOutBy(then time.Time, first uint16, n int) bool {
	for i := range n {
		if handedOut.ports[first+uint16(i)].After(then) {
			return false
		}
	}
	return true
}

func allFree(first uint16, n int) bool {
	for i := range n {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), first+uint16(i))
		udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return false
		}
		tcp, tcpErr := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
		if err := udp.Close(); err != nil || tcpErr != nil {
			return false
		}
		if err := tcp.Close(); err != nil {
			return false
		}
	}
	return true
}
