package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// testLayout is a checkout whose path is longer than a socket's may be.
func testLayout(t *testing.T) layout {
	t.Helper()
	l := layout{filepath.Join(t.TempDir(), strings.Repeat("a-long-way-down/", 8))}
	if err := os.MkdirAll(l.state(), 0o755); err != nil {
		t.Fatal(err)
	}
	return l
}

// testBox serves a control socket as a box does that has just started.
func testBox(t *testing.T) (layout, *daemon) {
	t.Helper()
	l := testLayout(t)
	listener, err := l.listenControl()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	d := &daemon{layout: l, changed: make(chan struct{})}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go d.serve(conn.(*net.UnixConn))
		}
	}()
	return l, d
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestExecPassesExitCodes(t *testing.T) {
	l, _ := testBox(t)
	for name, c := range map[string]struct {
		args []string
		code int
		err  string
	}{
		"success":                     {[]string{"true"}, 0, ""},
		"a code of its own":           {[]string{"sh", "-c", "exit 42"}, 42, ""},
		"the end by a signal":         {[]string{"sh", "-c", "kill -KILL $$"}, 128 + 9, ""},
		"a command that is not there": {[]string{"no-such-command"}, 127, "no-such-command: command not found"},
		"a file that is no program":   {[]string{"/etc/passwd"}, 126, "permission denied"},
	} {
		code, err := l.exec(execRequest(l, c.args), os.Stdin, os.Stdout, os.Stderr)
		if code != c.code || !strings.Contains(text(err), c.err) || (err == nil) != (c.err == "") {
			t.Errorf("%s: %d, %v; want %d, %q", name, code, err, c.code, c.err)
		}
	}
}

func TestExecRunsOnTheCallersFilesInTheCallersPlace(t *testing.T) {
	l, _ := testBox(t)
	t.Setenv("SOMETHING", "else")
	in, inWriter := pipe(t)
	out, outWriter := pipe(t)
	if _, err := inWriter.WriteString("from outside"); err != nil {
		t.Fatal(err)
	}
	inWriter.Close()
	code, err := l.exec(execRequest(l, []string{"sh", "-c", `cat; echo " $SOMETHING $KUBECONFIG $PWD"`}), in, outWriter, os.Stderr)
	if err != nil || code != 0 {
		t.Fatal(code, err)
	}
	outWriter.Close()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := "from outside else " + l.kubeconfig() + " " + here + "\n"
	if got, _ := io.ReadAll(out); string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestExecHandsOnSignals(t *testing.T) {
	l, _ := testBox(t)
	out, outWriter := pipe(t)
	ended := make(chan int)
	go func() {
		script := `trap 'echo caught; exit 5' USR1; echo ready; while :; do sleep 0.01; done`
		code, _ := l.exec(execRequest(l, []string{"sh", "-c", script}), os.Stdin, outWriter, os.Stderr)
		ended <- code
	}()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if line, err := lines.ReadString('\n'); line != "caught\n" {
		t.Error(line, err)
	}
	if code := <-ended; code != 5 {
		t.Errorf("exit code %d", code)
	}
}

func TestACommandEndsWhenItsCallerHangsUp(t *testing.T) {
	l, _ := testBox(t)
	out, outWriter := pipe(t)
	c, err := l.call(execRequest(l, []string{"sh", "-c", "echo ready; sleep 1000"}), os.Stdin, outWriter, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	outWriter.Close()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err)
	}
	c.conn.Close()
	// The pipe ends with the last process that has it, the sleep included.
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Error(rest, err)
	}
}

func TestProgressIsShownUntilTheBootIsOver(t *testing.T) {
	l, d := testBox(t)
	d.say("first")
	c, err := l.call(request{Op: "wait"})
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	_, err = c.finish(func(line string) {
		shown = append(shown, line[strings.LastIndex(line, " ")+1:])
		switch len(shown) {
		case 1:
			d.say("second")
		case 2:
			d.update(func() { d.over, d.failure = true, errUsage })
		}
	})
	if err == nil || err.Error() != errUsage.Error() || !slices.Equal(shown, []string{"first", "second"}) {
		t.Errorf("shown %q, then %v", shown, err)
	}
	if s, err := l.boxStatus(); err != nil || s.Booted || s.Failure != errUsage.Error() {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestABoxThatIsNotThereSaysSo(t *testing.T) {
	l := testLayout(t)
	if code, err := l.exec(execRequest(l, []string{"true"}), os.Stdin, os.Stdout, os.Stderr); !errors.Is(err, errNotUp) || code == 0 {
		t.Errorf("exec: %d, %v", code, err)
	}
	_, d := testBox(t)
	if _, err := d.steerRegistrar(t.Context(), []string{"dump"}); err == nil {
		t.Error("a registrar before its start has a table")
	}
	if err := d.layout.registrar([]string{"stop"}); err == nil || !strings.Contains(err.Error(), "not been started") {
		t.Errorf("registrar: %v", err)
	}
}

func TestALackOfDiskIsSaidInPlainWords(t *testing.T) {
	err := checkDisk(filepath.Join(t.TempDir(), "not", "there", "yet"), 1<<60, "running the cluster")
	if err == nil || !strings.HasPrefix(err.Error(), "running the cluster needs 1073741824 GiB, but the disk of ") {
		t.Errorf("%v", err)
	}
}
