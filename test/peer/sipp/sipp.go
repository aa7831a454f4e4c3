// Package sipp runs Debian's sipp for tests: a peer whose every message a test
// writes itself. A scenario is the script of one call; what came of it is read
// from sipp's own counters.
package sipp

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// Config of one run.
type Config struct {
	// Dir holds scenario, log and counters; it must exist.
	Dir string
	// Scenario is XML; see Caller and Callee.
	Scenario string
	// Remote is where requests go; invalid for a callee.
	Remote netip.AddrPort
	// Transport is "udp" or "tcp"; "" = udp.
	Transport string
	// Port it listens at, with a dozen free after it; 0 = any.
	Port uint16
	// Local is the loopback address it speaks from; invalid = 127.0.0.1.
	Local netip.Addr
	// Service is the user that is called ([service] in the scenario).
	Service string
	// Calls to make or take before it ends; 0 = 1. Rate a second; 0 = 10.
	Calls, Rate int
	// Echo returns RTP to where it came from.
	Echo bool
	// Quiet keeps no messages: for load.
	Quiet bool
	// Streams is how many calls at once send RTP; 0 = a few.
	Streams int
	// Timeout for the whole run; 0 = 30 s.
	Timeout time.Duration
}

// Program is a running sipp.
type Program struct {
	*process.Process
	dir  string
	addr netip.AddrPort
}

// Result of a run.
type Result struct {
	Successful, Failed int
	// Retransmissions of its own: what it sent was not answered in time.
	Retransmissions int
	// Messages is every message sent and received.
	Messages string
}

// Start runs a scenario.
func Start(c Config) (*Program, error) {
	port := c.Port
	if port == 0 {
		var err error
		if port, err = ports(c); err != nil {
			return nil, err
		}
	}
	media := port + 2
	if !c.Local.IsValid() {
		c.Local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	p := &Program{dir: c.Dir, addr: netip.AddrPortFrom(c.Local, port)}
	scenario := filepath.Join(c.Dir, "scenario.xml")
	if err := os.WriteFile(scenario, []byte(c.Scenario), 0o600); err != nil {
		return nil, err
	}
	timeout := cmp.Or(c.Timeout, 30*time.Second)
	args := []string{
		"-sf", scenario, "-i", c.Local.String(), "-p", strconv.Itoa(int(port)), "-mi", c.Local.String(), "-mp", strconv.Itoa(int(media)),
		"-m", strconv.Itoa(cmp.Or(c.Calls, 1)), "-r", strconv.Itoa(cmp.Or(c.Rate, 10)), "-nostdin",
		"-aa", // say 200 to OPTIONS and the like, which no scenario expects
		"-timeout", strconv.Itoa(int(timeout.Seconds())), "-timeout_error", "-recv_timeout", strconv.Itoa(int(timeout.Milliseconds())),
		"-trace_err", "-error_file", p.file("errors"),
		"-trace_stat", "-stf", p.file("counters"), "-fd", "1",
	}
	if c.Transport == "tcp" {
		args = append(args, "-t", "t1")
	}
	if c.Service != "" {
		args = append(args, "-s", c.Service)
	}
	if !c.Quiet {
		args = append(args, "-trace_msg", "-message_file", p.file("messages"))
	}
	if c.Streams > 0 {
		args = append(args, "-rtp_threadtasks", "100", "-l", strconv.Itoa(c.Streams))
	}
	if c.Echo {
		args = append(args, "-rtp_echo")
	}
	if c.Remote.IsValid() {
		args = append(args, c.Remote.String())
	}
	var err error
	p.Process, err = process.Start(process.Config{
		Program: "sipp", Package: "sip-tester", Args: args, Dir: c.Dir, LogFile: p.file("log"), Env: []string{"TERM=dumb"},
	})
	return p, err
}

// mediaPorts is how far [auto_media_port] goes up with the calls before it begins again.
const mediaPorts = 10_000

// ports finds some in a row, low enough that no call of many gets a number that is no port.
func ports(c Config) (first uint16, err error) {
	for range 100 {
		first, err = process.FreePorts(2 + max(8, 4*c.Streams+4))
		if err != nil || int(first)+min(4*c.Calls, mediaPorts)+8 < 1<<16 {
			return first, err
		}
	}
	return 0, errors.New("no free ports that leave room for those of so many calls")
}

func (p *Program) file(name string) string { return filepath.Join(p.dir, name) }

// Address it listens at.
func (p *Program) Address() netip.AddrPort { return p.addr }

// Wait waits for the end and tells what came of the calls. Calls that failed
// are no error.
func (p *Program) Wait(ctx context.Context) (Result, error) {
	code, err := p.Process.Wait(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("sipp: %w", err)
	}
	r, err := p.result()
	if code != 0 && code != 1 { // 1: at least one call failed
		err = errors.Join(err, fmt.Errorf("sipp ended with %d:\n%s", code, p.problems()))
	}
	return r, err
}

// result reads the last row of sipp's counters.
func (p *Program) result() (Result, error) {
	messages, _ := os.ReadFile(p.file("messages"))
	r := Result{Messages: string(messages)}
	f, err := os.Open(p.file("counters"))
	if err != nil {
		return r, fmt.Errorf("sipp left no counters: %w\n%s", err, p.problems())
	}
	defer f.Close()
	reader := csv.NewReader(f)
	reader.Comma, reader.FieldsPerRecord, reader.LazyQuotes = ';', -1, true
	rows, err := reader.ReadAll()
	if err != nil || len(rows) < 2 {
		return r, fmt.Errorf("sipp's counters: %d rows, %w", len(rows), err)
	}
	last := rows[len(rows)-1]
	for i, column := range rows[0] {
		if i >= len(last) {
			break
		}
		switch column {
		case "SuccessfulCall(C)":
			r.Successful, err = strconv.Atoi(last[i])
		case "FailedCall(C)":
			r.Failed, err = strconv.Atoi(last[i])
		case "Retransmissions(C)":
			r.Retransmissions, err = strconv.Atoi(last[i])
		}
		if err != nil {
			return r, fmt.Errorf("sipp's counters: %s: %w", column, err)
		}
	}
	return r, nil
}

// problems is what sipp complained about.
func (p *Program) problems() string {
	said, _ := os.ReadFile(p.file("errors"))
	return strings.TrimSpace(string(said) + "\n" + p.Tail(1500))
}

// Close ends it when it still runs.
func (p *Program) Close() error { return p.Kill() }

// ForTest starts a sipp that lives no longer than the test.
func ForTest(tb process.TB, c Config) *Program {
	tb.Helper()
	if c.Dir == "" {
		c.Dir = tb.TempDir()
	}
	p, err := Start(c)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	process.EndWith(tb, "sipp", p.Close, func() string {
		r, _ := p.result()
		return fmt.Sprintf("%d successful, %d failed\n%s\nmessages end with:\n%s", r.Successful, r.Failed, p.problems(), r.Messages[max(0, len(r.Messages)-6000):])
	})
	return p
}

// Dir is where it keeps scenario, messages and what it complained about.
func (p *Program) Dir() string { return p.dir }
