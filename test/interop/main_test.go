// Package interop runs the agent, the real program, against the real peers its
// users have: kamailio as registrar and proxy, sipp and baresip as the other end.
package interop

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/softphone-operator/softphone-operator/hack/image/archive"
	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/echo"
)

// program is the agent built for this run.
var program string

// pages of figures that a run of these tests writes.
var pages = []*drill.Page{&registrationPage, &densityPage, &callPage, &audioPage, &natPage, &codecPage, &protectionPage}

// echoAt makes a yardstick of this program: see package echo.
var echoAt = flag.String("echo-at", "", "answer calls at this address and do nothing else")

func TestMain(m *testing.M) {
	flag.Parse()
	if *echoAt != "" {
		at, err := netip.ParseAddrPort(*echoAt)
		if err == nil {
			err = echo.Serve(at)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := drill.Check(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	dir, err := os.MkdirTemp("", "interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "agent")
	agent := archive.Program{Package: "./cmd/agent", Libopus: true} // as it is in its image
	if err := agent.Compile(context.Background(), "../..", program, "test"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	outcomes.print()
	for _, p := range pages {
		if err := p.Write(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// outcomes is the table printed at the end: what was tried, with whom, and what
// came of it.
var outcomes table

type table struct {
	mu   sync.Mutex
	rows []row
}

type row struct{ test, peer, outcome, result string }

// outcome notes what a test has shown. It is called in the end; the row says
// FAILED when the test did.
func outcome(t testing.TB, peer, format string, args ...any) {
	t.Helper()
	said := fmt.Sprintf(format, args...)
	if *inside { // the table is the other run's
		fmt.Printf("OUTCOME %s: %s\n", peer, said)
	}
	t.Cleanup(func() {
		r := row{test: strings.TrimPrefix(t.Name(), "Test"), peer: peer, outcome: said, result: "ok"}
		if t.Failed() {
			r.result = "FAILED"
		}
		outcomes.mu.Lock()
		defer outcomes.mu.Unlock()
		outcomes.rows = append(outcomes.rows, r)
	})
}

func (o *table) print() {
	if len(o.rows) == 0 {
		return
	}
	slices.SortStableFunc(o.rows, func(a, b row) int { return strings.Compare(a.peer, b.peer) })
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nPEER\tTEST\tOUTCOME\tRESULT")
	for _, r := range o.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.peer, r.test, r.outcome, r.result)
	}
	_ = w.Flush()
}

// ms rounds a duration for the table.
func ms(d time.Duration) string { return d.Round(time.Millisecond).String() }

// registrationPage is what the drills measure of lines that stay registered.
var registrationPage = drill.Page{
	File: "registration.md", Title: "Lines that stay registered",
	Intro: "One agent, kamailio as the registrar and everything between them share the machine and its loopback interface. " +
		"Bindings last 20 s, so that every line learns of an outage while it lasts; the agent is allowed 100 REGISTER requests a second.",
}
