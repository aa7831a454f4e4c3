package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// register is one REGISTER a registrar got.
type register struct {
	user, contact, regID string
	removes              bool
}

// registrar answers every REGISTER with 200; it remembers what it was asked.
type registrar struct {
	t    *testing.T
	conn *net.UDPConn

	mu    sync.Mutex
	asked []register
	heard map[string]bool // Via headers: a repeated datagram is no other request
}

func newRegistrar(t *testing.T) *registrar {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &registrar{t: t, conn: conn, heard: map[string]bool{}}
	done := make(chan struct{})
	go func() { defer close(done); r.serve() }()
	t.Cleanup(func() { conn.Close(); <-done })
	return r
}

func (r *registrar) host() string { return r.conn.LocalAddr().String() }

var (
	contactOf = regexp.MustCompile(`(?m)^Contact: *<(sip:([^@>]+)@[^>]*)>(.*?)\r$`)
	userOf    = regexp.MustCompile(`(?m)^To: .*<sip:([^@]+)@`)
	viaOf     = regexp.MustCompile(`(?m)^Via: .*$`)
	regIDOf   = regexp.MustCompile(`reg-id=(\d)`)
)

func (r *registrar) serve() {
	buf := make([]byte, 65536)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		msg := string(buf[:n])
		if !strings.HasPrefix(msg, "REGISTER ") {
			continue
		}
		contact, user, regID := contactOf.FindStringSubmatch(msg), userOf.FindStringSubmatch(msg), regIDOf.FindStringSubmatch(msg)
		if contact == nil || user == nil {
			r.t.Errorf("a REGISTER nobody understands:\n%s", msg)
			continue
		}
		ask := register{user: user[1], contact: contact[2], removes: strings.Contains(msg, "Expires: 0\r") || strings.Contains(contact[3], "expires=0")}
		if regID != nil {
			ask.regID = regID[1]
		}
		r.mu.Lock()
		if via := viaOf.FindString(msg); !r.heard[via] {
			r.heard[via] = true
			r.asked = append(r.asked, ask)
		}
		r.mu.Unlock()
		var answer strings.Builder
		answer.WriteString("SIP/2.0 200 OK\r\n")
		for line := range strings.SplitSeq(msg, "\r\n") {
			name, _, _ := strings.Cut(line, ":")
			switch name {
			case "Via", "From", "Call-ID", "CSeq":
				answer.WriteString(line + "\r\n")
			case "To":
				answer.WriteString(line + ";tag=r\r\n")
			}
		}
		if !ask.removes {
			answer.WriteString("Contact: <" + contact[1] + ">;expires=600\r\n")
		}
		answer.WriteString("Content-Length: 0\r\n\r\n")
		if _, err := r.conn.WriteToUDPAddrPort([]byte(answer.String()), from); err != nil {
			return
		}
	}
}

func (r *registrar) all() []register {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]register(nil), r.asked...)
}

// patience is how long to wait for what should come soon; a busy machine is slow.
const patience = time.Minute

// rig is a running agent in this process.
type rig struct {
	*supervisor
	t    *testing.T
	dir  string
	stop func()
	log  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, files map[string]string) *rig {
	t.Helper()
	return startWith(t, 200*time.Millisecond, files)
}

// startWith tells how long calls may be on their way to a binding that was removed.
func startWith(t *testing.T, inFlight time.Duration, files map[string]string) *rig {
	t.Helper()
	g := &rig{t: t, dir: t.TempDir(), log: &lockedBuffer{}}
	for name, content := range files {
		g.put(name, content)
	}
	s, err := open(Options{
		Accounts: g.dir, State: t.TempDir(), Name: t.Name(), SIP: netip.MustParseAddrPort("127.0.0.1:0"),
		Log: slog.New(slog.NewTextHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	g.supervisor = s
	s.env.inFlight = inFlight
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the agent ended with %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", g.log)
		}
	})
	t.Cleanup(g.stop)
	return g
}

func (g *rig) put(name, content string) {
	g.t.Helper()
	path := filepath.Join(g.dir, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		g.t.Fatal(err)
	}
}

// await waits for the report to satisfy a condition.
func (g *rig) await(says string, holds func(lines map[string]delivery.LineReport) bool) {
	g.t.Helper()
	sub := g.hub.Subscribe()
	defer sub.Close()
	limit := time.After(patience)
	for {
		lines := map[string]delivery.LineReport{}
		for _, l := range g.hub.Report().Lines {
			lines[l.Name] = l
		}
		if holds(lines) {
			return
		}
		select {
		case <-sub.Changed():
		case <-limit:
			g.t.Fatalf("waited in vain until %s; the lines are %+v\n%s", says, lines, g.log)
		}
	}
}

func (g *rig) awaitState(line string, want delivery.State) delivery.LineReport {
	g.t.Helper()
	var l delivery.LineReport
	g.await(fmt.Sprintf("%s is %s", line, want), func(lines map[string]delivery.LineReport) bool {
		l = lines[line]
		return l.State == want
	})
	return l
}

func lineXML(user, host string, more ...string) string {
	return fmt.Sprintf("<account><username>%s</username><password>hunter2</password><host>%s</host>%s</account>", user, host, strings.Join(more, ""))
}

// TestEditsAndWhatTheRegistrarHears walks a line through edits; each must ask the
// registrar exactly what its effect says.
func TestEditsAndWhatTheRegistrarHears(t *testing.T) {
	r := newRegistrar(t)
	g := start(t, map[string]string{"alice.xml": lineXML("alice", r.host())})
	first := g.awaitState("alice", delivery.Registered)
	asked := r.all()
	if len(asked) != 1 || asked[0].removes || asked[0].regID != "1" {
		t.Fatalf("at the start the registrar was asked %+v", asked)
	}
	runs := func(hash string) func(map[string]delivery.LineReport) bool {
		return func(lines map[string]delivery.LineReport) bool {
			l := lines["alice"]
			return l.ConfigHash != hash && l.State == delivery.Registered
		}
	}

	g.put("alice.xml", lineXML("alice", r.host(), "<autoAnswerEnabled>1</autoAnswerEnabled>"))
	g.await("the live change is in force", runs(first.ConfigHash))
	if n := len(r.all()); n != 1 {
		t.Errorf("a live change made the registrar hear %d requests", n)
	}

	hash := g.awaitState("alice", delivery.Registered).ConfigHash
	g.put("alice.xml", lineXML("alice", r.host(), "<expires>300</expires>"))
	g.await("the new expiry is in force", runs(hash))
	eventually(t, func() bool { return len(r.all()) >= 2 }) // a refresh is no event
	if again := r.all()[1]; again.contact != asked[0].contact || again.removes {
		t.Errorf("a new expiry made the registrar hear %+v", again)
	}

	g.put("agent.json", `{"lines":{"alice":{"slot":2}}}`)
	g.await("the other slot is registered", func(lines map[string]delivery.LineReport) bool {
		return lines["alice"].Slot == 2 && lines["alice"].State == delivery.Registered
	})
	tail := r.all()[2:]
	if len(tail) != 2 || !tail[0].removes || tail[0].contact != asked[0].contact || tail[1].removes || tail[1].contact == asked[0].contact || tail[1].regID != "2" {
		t.Errorf("the flip of the slot made the registrar hear %+v", tail)
	}

	if err := os.Remove(filepath.Join(g.dir, "alice.xml")); err != nil {
		t.Fatal(err)
	}
	g.await("the line is gone", func(lines map[string]delivery.LineReport) bool { _, there := lines["alice"]; return !there })
	if last := r.all()[len(r.all())-1]; !last.removes || last.contact != tail[1].contact {
		t.Errorf("the removal made the registrar hear %+v", last)
	}

	g.put("alice.xml", lineXML("alice", r.host()))
	g.awaitState("alice", delivery.Registered)
	if strings.Contains(g.log.String(), "hunter2") {
		t.Error("the password is in the log")
	}
}

func TestALineDrainsWhileCallsMayBeOnTheirWay(t *testing.T) {
	r := newRegistrar(t)
	g := startWith(t, time.Hour, map[string]string{"alice.xml": lineXML("alice", r.host())})
	g.awaitState("alice", delivery.Registered)
	g.put("agent.json", `{"lines":{"alice":{"state":"draining"}}}`)
	if l := g.awaitState("alice", delivery.Disabled); l.DrainState != delivery.Draining {
		t.Errorf("calls may still be on their way: %+v", l)
	}
	g.put("agent.json", `{"lines":{"alice":{"state":"active"}}}`)
	if l := g.awaitState("alice", delivery.Registered); l.DrainState != "" {
		t.Errorf("an active line says %+v", l)
	}
}

func TestADrainingLineEndsGone(t *testing.T) {
	r := newRegistrar(t)
	g := startWith(t, 50*time.Millisecond, map[string]string{"alice.xml": lineXML("alice", r.host())})
	g.awaitState("alice", delivery.Registered)
	g.put("agent.json", `{"lines":{"alice":{"state":"draining"}}}`)
	g.await("nothing can be on its way any more", func(lines map[string]delivery.LineReport) bool {
		return lines["alice"].State == delivery.Disabled && lines["alice"].DrainState == delivery.Gone
	})
	g.put("agent.json", `{"lines":{"alice":{"state":"active"}}}`)
	if l := g.awaitState("alice", delivery.Registered); l.DrainState != "" {
		t.Errorf("an active line says %+v", l)
	}
}

func TestASuspendedLineTakesNoCallsForLong(t *testing.T) {
	r := newRegistrar(t)
	g := startWith(t, 0, map[string]string{"alice.xml": lineXML("alice", r.host())})
	g.awaitState("alice", delivery.Registered)
	calls := g.allLines()[0].current.Load().calls
	g.put("agent.json", `{"lines":{"alice":{"suspended":true}}}`)
	if l := g.awaitState("alice", delivery.Disabled); l.DrainState != "" {
		t.Errorf("a suspended line stays where it is: %+v", l)
	}
	if _, err := calls.Dial(t.Context(), call.Dial{To: "bob"}); !errors.Is(err, call.ErrDraining) {
		t.Errorf("a suspended line's calls are open: %v", err)
	}
	g.put("agent.json", `{"drainSeconds":1}`) // nobody answers the call below
	g.awaitState("alice", delivery.Registered)
	if _, err := calls.Dial(t.Context(), call.Dial{To: "bob"}); err != nil {
		t.Errorf("the line was resumed: %v", err)
	}
}

// TestTheTokenGuardsEveryListener: a loopback --listen serves calls as well.
func TestTheTokenGuardsEveryListener(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := &lockedBuffer{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Options{
			Accounts: t.TempDir(), SIP: netip.MustParseAddrPort("127.0.0.1:0"), Listen: "127.0.0.1:0", ControlTokenFile: token,
			Log: slog.New(slog.NewTextHandler(said, nil)),
		})
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	}()
	listening := regexp.MustCompile(`\blisten=(\S+)`)
	eventually(t, func() bool { return listening.MatchString(said.String()) })
	address := listening.FindStringSubmatch(said.String())[1]
	for path, want := range map[string]int{"/healthz": 200, "/statusz": 401, "/calls": 401} {
		res, err := http.Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s without the token: %d, want %d", path, res.StatusCode, want)
		}
	}
}

func TestStopUnregistersEveryLine(t *testing.T) {
	r := newRegistrar(t)
	files := map[string]string{}
	for i := range 50 {
		files[fmt.Sprintf("l%d.xml", i)] = lineXML(fmt.Sprintf("l%d", i), r.host())
	}
	g := start(t, files)
	g.await("all are registered", func(lines map[string]delivery.LineReport) bool {
		n := 0
		for _, l := range lines {
			if l.State == delivery.Registered {
				n++
			}
		}
		return n == len(files)
	})
	g.stop()
	removed := map[string]bool{}
	for _, ask := range r.all() {
		if ask.removes {
			removed[ask.user] = true
		}
	}
	if len(removed) != len(files) {
		t.Errorf("%d of %d lines were un-registered", len(removed), len(files))
	}
}

func TestQuickEditsEndInTheLast(t *testing.T) {
	r := newRegistrar(t)
	g := start(t, map[string]string{"alice.xml": lineXML("alice", r.host())})
	for i := range 40 {
		g.put("agent.json", fmt.Sprintf(`{"lines":{"alice":{"slot":%d,"suspended":%v}}}`, i%2+1, i%3 == 0))
		if i%5 == 0 {
			_ = os.Remove(filepath.Join(g.dir, "alice.xml"))
			g.put("alice.xml", lineXML("alice", r.host(), fmt.Sprintf("<expires>%d</expires>", 300+i)))
		}
	}
	last := lineXML("alice", r.host(), "<expires>299</expires>")
	g.put("alice.xml", last)
	g.put("agent.json", `{"lines":{"alice":{"slot":1}}}`)
	hash := delivery.NewHasher(nil).Line([]byte(last), delivery.Line{Slot: 1, State: delivery.Active})
	g.await("the last edit is in force", func(lines map[string]delivery.LineReport) bool {
		return lines["alice"].ConfigHash == hash && lines["alice"].State == delivery.Registered
	})
	// Whatever happened in between: what the registrar holds is one binding.
	held := map[string]bool{}
	for _, ask := range r.all() {
		if ask.removes {
			delete(held, ask.contact)
		} else {
			held[ask.contact] = true
		}
	}
	if len(held) != 1 {
		t.Errorf("the registrar holds %v", held)
	}
}

func TestBrokenAgentJSONAtTheStartRunsNothing(t *testing.T) {
	r := newRegistrar(t)
	g := start(t, map[string]string{"alice.xml": lineXML("alice", r.host()), "agent.json": "{"})
	eventually(t, func() bool { return len(g.hub.Report().Agent.Rejected) == 1 })
	if ready, missing := g.Ready(); ready || !strings.Contains(missing, "agent.json") {
		t.Errorf("ready %v, missing %q", ready, missing)
	}
	if len(g.hub.Report().Lines) != 0 {
		t.Error("a line runs that agent.json may forbid")
	}
	g.put("agent.json", "{}")
	g.awaitState("alice", delivery.Registered)
	eventually(t, func() bool { ready, missing := g.Ready(); return ready && missing == "" })
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	limit, tick := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("waited in vain")
		}
	}
}

func TestRunRefusesWhatCannotWork(t *testing.T) {
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for says, c := range map[string]struct {
		change func(*Options)
		want   string
	}{
		"no directory":                     {func(o *Options) { o.Accounts = "" }, "--accounts"},
		"a directory that is not there":    {func(o *Options) { o.Accounts += "/nowhere" }, "no such file"},
		"a file for a directory":           {func(o *Options) { o.Accounts = file }, "not a directory"},
		"an unknown network":               {func(o *Options) { o.Network = "5g" }, "wifi, cellular, none"},
		"a taken SIP port":                 {func(o *Options) { o.SIP = taken.LocalAddr().(*net.UDPAddr).AddrPort() }, "in use"},
		"control on the network, no token": {func(o *Options) { o.Control = "0.0.0.0:0" }, "--control-token-file"},
		"an address that is none":          {func(o *Options) { o.Listen = "nonsense" }, "health listener"},
		"a state directory that is a file": {func(o *Options) { o.State = file }, "state directory"},
	} {
		o := Options{Accounts: t.TempDir(), SIP: netip.MustParseAddrPort("127.0.0.1:0"), Log: slog.New(slog.DiscardHandler)}
		c.change(&o)
		if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something with %q", says, err, c.want)
		}
	}
}

func TestAttemptsAreCountedWhenTheyEnd(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		says        string
		before, now registration.Status
		ended       bool
	}{
		{"it begins", registration.Status{}, registration.Status{State: delivery.Registering}, false},
		{"registered", registration.Status{State: delivery.Registering}, registration.Status{State: delivery.Registered, ExpiresAt: now}, true},
		{"refreshed", registration.Status{ExpiresAt: now}, registration.Status{ExpiresAt: now.Add(1)}, true},
		{"refused", registration.Status{}, registration.Status{Retry: now}, true},
		{"refused again", registration.Status{Retry: now}, registration.Status{Retry: now.Add(1)}, true},
		{"the next attempt begins", registration.Status{Retry: now}, registration.Status{}, false},
		{"un-registered", registration.Status{ExpiresAt: now}, registration.Status{State: delivery.Disabled}, false},
	} {
		if ended := attemptOf(c.before).ended(c.now); ended != c.ended {
			t.Errorf("%s: ended = %v", c.says, ended)
		}
	}
}

func TestATrunkAndItsServer(t *testing.T) {
	gone := newRegistrar(t)
	gone.conn.Close() // nobody listens there
	agentJSON := func(row string) string {
		return `{"lines":{"desk":` + row + `},"registrar":{"qualifySeconds":1}}`
	}
	g := start(t, map[string]string{"desk.xml": lineXML("4711", gone.host()), "agent.json": agentJSON(`{"trunk":true}`)})
	l := g.awaitState("desk", delivery.Error)
	if l.Problem != delivery.ProblemUnreachable || !strings.HasPrefix(l.LastReason, "trunk: ") || l.Contact != "" || l.Server != gone.host()+"/udp" {
		t.Errorf("the report says %+v", l)
	}
	servers := g.Status().Servers
	if len(servers) != 1 || servers[0].Server != gone.host()+"/udp" || servers[0].Up == nil || *servers[0].Up || servers[0].Problem != delivery.ProblemUnreachable || servers[0].Failures == 0 {
		t.Errorf("statusz says %+v", servers)
	}
	g.put("agent.json", agentJSON(`{"trunk":true,"suspended":true}`))
	g.awaitState("desk", delivery.Disabled)
	if servers := g.Status().Servers; len(servers) != 0 {
		t.Errorf("nobody uses %+v", servers)
	}
	// It registers from now on, elsewhere.
	r := newRegistrar(t)
	g.put("desk.xml", lineXML("4711", r.host()))
	g.put("agent.json", agentJSON(`{}`))
	g.awaitState("desk", delivery.Registered)
	if asked := r.all(); len(asked) != 1 || asked[0].removes {
		t.Errorf("the registrar was asked %+v", asked)
	}
}

// TestRegistrarBoundsChangeUnderLines turns OPTIONS off and the pace down; the
// lines do not notice.
func TestRegistrarBoundsChangeUnderLines(t *testing.T) {
	r := newRegistrar(t)
	g := start(t, map[string]string{"alice.xml": lineXML("alice", r.host()), "agent.json": `{}`})
	g.awaitState("alice", delivery.Registered)
	g.put("agent.json", `{"registrar":{"requestsPerSecond":1,"qualifySeconds":0}}`)
	g.await("the new bounds are taken over", func(map[string]delivery.LineReport) bool { return g.env.qualifier.Off() })
	if d := g.env.gate.Spread(10); d < 10*time.Second {
		t.Errorf("ten requests take %s at one a second", d)
	}
	if asked := r.all(); len(asked) != 1 {
		t.Errorf("the registrar was asked %+v", asked)
	}
}
