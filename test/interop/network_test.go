package interop

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inside is set for a test that runs itself once more, in a network of its own.
var inside = flag.Bool("inside", false, "the test runs in a network namespace that was made for it")

// ownAddress is that of a host in such a network which is no loopback address: phones keep those to themselves.
const ownAddress = "10.77.9.1"

// inOwnNetwork runs the test once more, in a network namespace of its own in which nothing is but a loopback interface and one with
// ownAddress. It gives true in there, and false when that run is over.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	in := inNetworkOf(t)
	if in {
		for _, args := range []string{"link set lo up", "link add phone type veth peer name wall", "addr add " + ownAddress + "/24 dev phone", "link set phone up", "link set wall up"} {
			run(t, "ip", strings.Fields(args)...)
		}
	}
	return in
}

// inNetworkOf runs the test once more, in a network namespace of its own in which there is nothing; flags are that run's beside the
// usual ones. It gives true in there, and false when that run is over.
func inNetworkOf(t *testing.T, flags ...string) bool {
	t.Helper()
	if *inside {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	defer cancel()
	args := append([]string{"-test.run", "^" + t.Name() + "$", "-test.v", "-inside"}, flags...)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGTERM) }, 5*time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		t.Errorf("in its own network: %v\n%s", err, said.String())
	}
	for line := range strings.Lines(said.String()) {
		told := strings.TrimRight(line, "\n")
		if said, ok := strings.CutPrefix(told, "OUTCOME "); ok {
			peer, what, _ := strings.Cut(said, ": ")
			outcome(t, peer, "%s", what)
		}
		if said, ok := strings.CutPrefix(told, rowMark); ok {
			what, figures, _ := strings.Cut(said, ": ")
			natPage.Measured(t, what, "%s", figures)
		}
	}
	return false
}
