package kamailio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is a running kamailio with its workers, which are one process
// group.
type process struct {
	pid  int
	done chan struct{} // closed when it has exited
	err  error         // why it exited; valid after done
}

// launch starts kamailio in a process group of its own. The kernel ends it
// when this program dies without having stopped it.
func launch(config, dir, logFile string) (*process, error) {
	program, err := exec.LookPath("kamailio")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/kamailio"); err != nil {
			return nil, errors.New("kamailio is not installed (Debian packages kamailio, kamailio-tls-modules)")
		}
	}
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// A leftover FIFO of a killed instance would take requests nobody reads.
	if err := os.Remove(filepath.Join(dir, fifoName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	cmd := exec.Command(program, "-DD", "-E", "-m", "64", "-M", "32", "-f", config, "-Y", dir)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}

	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// Pdeathsig fires when the starting thread ends, so this goroutine
		// keeps its thread for as long as kamailio runs.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		_ = cmd.Wait() // the state says the same, and more
		p.err = fmt.Errorf("kamailio ended: %s", cmd.ProcessState)
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start kamailio: %w", err)
	}
	return p, nil
}

// exited tells whether the process is gone.
func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop kills the whole group. Not asked first: it keeps nothing worth saving,
// and it forgets a SIGTERM that arrives together with a SIGCHLD.
func (p *process) stop() error {
	err := syscall.Kill(-p.pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	<-p.done
	return err
}

func (p *process) pause() error  { return syscall.Kill(-p.pid, syscall.SIGSTOP) }
func (p *process) resume() error { return syscall.Kill(-p.pid, syscall.SIGCONT) }

// ping sends one OPTIONS request over UDP and waits up to 100 ms for its
// answer.
func ping(ctx context.Context, to netip.AddrPort) error {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", to.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	from := conn.LocalAddr()
	request := strings.Join([]string{
		"OPTIONS sip:" + to.String() + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bK-ping;rport", from),
		"Max-Forwards: 1",
		fmt.Sprintf("From: <sip:ping@%s>;tag=ping", from),
		"To: <sip:" + to.String() + ">",
		fmt.Sprintf("Call-ID: ping@%s", from),
		"CSeq: 1 OPTIONS",
		"Content-Length: 0", "", ""}, "\r\n")
	if err := conn.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		return err
	}
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	if err != nil {
		return err
	}
	if status, _, _ := strings.Cut(string(answer[:n]), "\r\n"); !strings.HasPrefix(status, "SIP/2.0 200") {
		return fmt.Errorf("OPTIONS answered by %q", status)
	}
	return nil
}

// tail returns the last lines of a log, for error messages.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
