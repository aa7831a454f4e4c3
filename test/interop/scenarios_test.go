package interop

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/process"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// The lines of the scenarios by when they answer: at once, after a second of ringing,
// or never by themselves.
var (
	atOnce = autoAnswer
	rings1 = answersAfter(1)
	rings  = ""
)

// script is one call with sipp by a script of scenarios/: call-*, where sipp calls a line
// of the agent, straight to its port; answer-*, where the line calls sipp.
type script struct {
	name string
	line string                   // nodes of the line's account
	user func(*softphone, string) // what the user of the line does in its call, by id
	more string                   // of POST /calls, JSON
	want string                   // how the call ends in the line's records; "" = there is none
	with sipp.Config              // Transport, Local, Timeout
}

// hangsUp when the call is in a state.
func hangsUp(state string) func(*softphone, string) {
	return func(a *softphone, id string) {
		a.awaitCall(id, "is "+state, func(r record) bool { return r.State == state })
		a.request("DELETE", "/calls/"+id, "")
	}
}

// givesUp at once.
func givesUp(a *softphone, id string) { a.request("DELETE", "/calls/"+id, "") }

// givesUpUnanswered gives up when the INVITE is on its way and nothing has come back.
func givesUpUnanswered(a *softphone, id string) {
	eventually(a.t, "the INVITE is sent", func() (bool, string) {
		_, ladder := a.request("GET", "/calls/"+id+"/ladder", "")
		return strings.Contains(string(ladder), "INVITE"), string(ladder)
	})
	givesUp(a, id)
}

// holds when it is up.
func holds(a *softphone, id string) {
	a.awaitCall(id, "is up", established)
	a.request("POST", "/calls/"+id+"/hold", "")
}

// holdsAndResumes, each when the step before is done, and hangs up.
func holdsAndResumes(a *softphone, id string) {
	holds(a, id)
	a.awaitCall(id, "is held", func(r record) bool { return r.Hold != "" })
	a.request("POST", "/calls/"+id+"/resume", "")
	a.awaitCall(id, "goes on", func(r record) bool { return r.Hold == "" })
	givesUp(a, id)
}

// triesToHold is told no, and hangs up.
func triesToHold(a *softphone, id string) {
	holds(a, id)
	givesUp(a, id)
}

// holdsOnly hangs up once it holds.
func holdsOnly(a *softphone, id string) {
	holds(a, id)
	a.awaitCall(id, "is held", func(r record) bool { return r.Hold != "" })
	givesUp(a, id)
}

const aSecond = `,"seconds":1`

var scripts = []script{
	{name: "call-basic", line: atOnce, want: "200 remote"},
	{name: "call-late-offer", line: atOnce, want: "200 remote"},
	{name: "call-late-ack", line: atOnce, want: "200 remote"},
	{name: "call-lost-ack", line: atOnce, want: "200 timeout", with: sipp.Config{Timeout: patience}},
	{name: "call-invite-twice", line: rings1, want: "200 remote"},
	{name: "call-merged", line: rings1, want: "200 remote"},
	{name: "call-cancel", line: rings, want: "487 remote"},
	{name: "call-cancel-at-once", line: rings, want: "487 remote"},
	{name: "call-cancel-crosses-200", line: atOnce, want: "200 remote"},
	{name: "call-cancel-unknown", line: rings},
	{name: "call-early-bye", line: rings, want: "487 remote"},
	{name: "call-bye-twice", line: atOnce, want: "200 remote"},
	{name: "call-bye-crosses", line: atOnce, user: hangsUp("established"), want: "200 local"},
	{name: "call-hold", line: atOnce, want: "200 remote"},
	{name: "call-hold-inactive", line: atOnce, want: "200 remote"},
	{name: "call-hold-zero", line: atOnce, want: "200 remote"},
	{name: "call-reinvite-late", line: atOnce, want: "200 remote"},
	{name: "call-reinvite-codec", line: atOnce, want: "200 remote"},
	{name: "call-reinvite-refused", line: atOnce, want: "200 remote"},
	{name: "call-reinvite-early", line: rings1, want: "200 remote"},
	{name: "call-glare", line: atOnce, user: holds, want: "200 remote"},
	{name: "call-update", line: atOnce, want: "200 remote"},
	{name: "call-update-early", line: rings1, want: "200 remote"},
	{name: "call-session-timer", line: atOnce, want: "200 remote"},
	{name: "call-wrong-cseq", line: atOnce, want: "200 remote"},
	{name: "call-stray", line: rings},
	{name: "call-info-digits", line: atOnce, want: "200 remote"},
	{name: "call-options", line: atOnce, want: "200 remote"},
	{name: "call-methods", line: rings},
	{name: "call-bad-requests", line: rings},
	{name: "call-no-common-codec", line: atOnce, want: "488 policy"},
	{name: "call-last-hop", line: atOnce, want: "200 remote"},
	{name: "call-large", line: atOnce, want: "200 remote"},
	{name: "call-compact", line: atOnce, want: "200 remote"},
	{name: "call-folded", line: atOnce, want: "200 remote"},
	{name: "call-multipart", line: atOnce, want: "200 remote"},
	{name: "call-many-hops", line: atOnce, user: hangsUp("established"), want: "200 local"},
	{name: "call-refused-by-user", line: rings, user: hangsUp("ringing"), want: "486 local"},
	{name: "call-no-answer", line: rings, want: "480 timeout"},
	{name: "call-forwarded", line: "<forwardingEnabled>1</forwardingEnabled><forwardingNumber>+15550100</forwardingNumber>", want: "302 policy"},
	{name: "call-tel", line: atOnce},
	{name: "call-over-tcp", line: atOnce, want: "200 remote", with: sipp.Config{Transport: "tcp"}},
	{name: "call-over-ipv6", line: atOnce, want: "200 remote", with: sipp.Config{Local: netip.IPv6Loopback()}},

	{name: "answer-basic", more: aSecond, want: "200 local"},
	{name: "answer-queue", more: aSecond, want: "200 local"},
	{name: "answer-early-media", more: aSecond, want: "200 local"},
	{name: "answer-callee-hangs-up", want: "200 remote"},
	{name: "answer-two-hundreds", more: aSecond, want: "200 local"},
	{name: "answer-fork", more: aSecond, want: "200 local"},
	{name: "answer-cancelled", user: hangsUp("ringing"), want: "487 local"},
	// Small enough for UDP: one that waits for a connection is not sent any more.
	{name: "answer-cancelled-early", line: "<codecOrder>0</codecOrder>", user: givesUpUnanswered, want: "487 local"},
	{name: "answer-cancel-crosses-200", user: hangsUp("ringing"), want: "200 local"},
	{name: "answer-no-answer-in-200", want: "200 policy"},
	{name: "answer-codec-nobody-offered", want: "200 policy"},
	{name: "answer-refused-302", want: "302 remote"},
	{name: "answer-refused-404", want: "404 remote"},
	{name: "answer-refused-408", want: "408 remote"},
	{name: "answer-refused-480", want: "480 remote"},
	{name: "answer-refused-486", want: "486 remote"},
	{name: "answer-refused-488", want: "488 remote"},
	{name: "answer-refused-500", want: "500 remote"},
	{name: "answer-refused-503", want: "503 remote"},
	{name: "answer-refused-603", want: "603 remote"},
	{name: "answer-challenge-401", more: aSecond, want: "200 local"},
	{name: "answer-challenge-407", more: aSecond, want: "200 local"},
	{name: "answer-hold-by-us", user: holdsAndResumes, want: "200 local"},
	{name: "answer-hold-refused", user: triesToHold, want: "200 local"},
	{name: "answer-hold-glare", user: holdsOnly, want: "200 local"},
	{name: "answer-held-by-callee", more: `,"seconds":3`, want: "200 local"},
	{name: "answer-strict-router", more: aSecond, want: "200 local"},
}

// purpose is what a script says of itself, in the comment it begins with.
func purpose(t *testing.T, text string) string {
	t.Helper()
	_, rest, opened := strings.Cut(text, "<!-- ")
	says, _, closed := strings.Cut(rest, " -->")
	if !opened || !closed {
		t.Fatal("no comment says what it is for")
	}
	return strings.Join(strings.Fields(says), " ")
}

// stage is an agent with a line for every script.
type stage struct {
	*softphone
	ports map[string]uint16 // of sipp, where it is called
}

func newStage(t *testing.T) *stage {
	t.Helper()
	var four, six []string
	for _, s := range scripts {
		if s.with.Local.Is6() {
			six = append(six, s.name)
		} else if !s.answers() {
			four = append(four, s.name)
		}
	}
	_, host4 := registrar(t, kamailio.Config{}, four...)
	_, host6 := registrar(t, kamailio.Config{Listen: netip.AddrPortFrom(netip.IPv6Loopback(), 0)}, six...)
	st := &stage{ports: make(map[string]uint16)}
	files := map[string]string{"agent.json": `{"version":1,"noAnswerSeconds":8}`}
	for _, s := range scripts {
		host, more := host4, s.line
		st.reserve(t, s.name)
		switch {
		case s.with.Local.Is6():
			host = host6
		case s.answers():
			host = fmt.Sprintf("127.0.0.1:%d", st.ports[s.name])
			more += "<icm>off</icm><requiresRegistrationForOutgoingCalls>0</requiresRegistrationForOutgoingCalls>"
		}
		files[s.name+".xml"] = accountXML(s.name, "secret-"+s.name, host, more)
	}
	st.reserve(t, "the agent")
	port := st.ports["the agent"]
	st.softphone = startAgent(t, options{files: files, sip: port, args: []string{"--sip", fmt.Sprintf("[::]:%d", port)}})
	for _, s := range scripts {
		if !s.answers() {
			st.awaitLine(s.name, "registered")
		}
	}
	return st
}

// reserve ports for one of them, apart from the others'.
func (st *stage) reserve(t *testing.T, name string) {
	t.Helper()
	const each = 12
	for {
		port, err := process.FreePorts(each)
		must(t, err)
		taken := false
		for _, other := range st.ports {
			taken = taken || port < other+each && other < port+each
		}
		if !taken {
			st.ports[name] = port
			return
		}
	}
}

// answers tells whether it is sipp that is called.
func (s script) answers() bool { return strings.HasPrefix(s.name, "answer-") }

// play is a script while it runs.
type play struct {
	script
	purpose string
	sipp    *sipp.Program
	id      string // of the call, where the line makes it
}

// begin starts sipp, and the call when it is ours to make.
func (st *stage) begin(t *testing.T, s script) *play {
	t.Helper()
	text := scripted(t, s.name)
	c := s.with
	c.Dir, c.Scenario, c.Port, c.Service = t.TempDir(), text, st.ports[s.name], s.name
	if !s.answers() {
		to := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if c.Local.Is6() {
			to = netip.IPv6Loopback()
		}
		c.Remote = netip.AddrPortFrom(to, st.sip)
	}
	p, err := sipp.Start(c)
	must(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return &play{script: s, purpose: purpose(t, text), sipp: p}
}

// end waits for the script's end and for the call's, and tells what came of it.
func (st *stage) end(t *testing.T, p *play) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := p.sipp.Wait(ctx)
	if err != nil || r.Successful != 1 || r.Failed != 0 {
		said, _ := os.ReadFile(filepath.Join(p.sipp.Dir(), "errors"))
		t.Errorf("%s\n%d successful, %d failed, %v\n%s\n%s", p.purpose, r.Successful, r.Failed, err, said, r.Messages)
		return "failed"
	}
	if p.want == "" {
		for _, c := range st.status().Calls {
			if c.Line == p.name {
				t.Errorf("a call is recorded: %s", pretty(c))
			}
		}
		return "no call"
	}
	var c record
	eventually(t, "the call ended", func() (bool, string) {
		var all []record
		for _, one := range st.status().Calls {
			if one.Line == p.name {
				all = append(all, one)
			}
		}
		// Refusals beside it are calls of their own.
		i := slices.IndexFunc(all, func(r record) bool { return ended(r) && fmt.Sprintf("%d %s", r.End.Code, r.End.By) == p.want })
		if i >= 0 {
			c = all[i]
		}
		return i >= 0, pretty(all)
	})
	return fmt.Sprintf("%d by %s: %s", c.End.Code, c.End.By, c.End.Reason)
}

// TestScenarios plays every script, all at once: they wait more than they work.
func TestScenarios(t *testing.T) {
	st := newStage(t)
	began := time.Now()
	plays := make([]*play, 0, len(scripts))
	for _, first := range []bool{true, false} { // those whose ports are known already go first
		for _, s := range scripts {
			if s.answers() == first {
				plays = append(plays, st.begin(t, s))
			}
		}
	}
	for _, p := range plays {
		if p.answers() {
			p.id = st.dial(fmt.Sprintf(`{"line":%q,"to":"sipp"%s}`, p.name, p.more))
			if p.user != nil && p.name == "answer-cancelled-early" {
				p.user(st.softphone, p.id)
			}
		}
	}
	for _, p := range plays {
		if p.user == nil || p.name == "answer-cancelled-early" {
			continue
		}
		if p.id == "" {
			p.id = st.awaitIncoming(p.name, "is there", func(r record) bool { return r.State != "ended" }).ID
		}
		p.user(st.softphone, p.id)
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nSCENARIO\tOUTCOME\tPURPOSE")
	for _, p := range plays {
		said := "failed"
		t.Run(p.name, func(t *testing.T) { said = st.end(t, p) })
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.name, said, p.purpose)
	}
	_ = w.Flush()
	t.Log(table.String())
	if n := st.metric("softphone_panics_total"); n != 0 {
		t.Errorf("%d panics", n)
	}
	outcome(t, "sipp", "%d scenarios in %s, each with its purpose: see -v", len(scripts), time.Since(began).Round(time.Second))
}
