package reports_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"

	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var agentKey = types.NamespacedName{Namespace: "voip", Name: "default-0"}

// fakeAgent serves the events it is given to every reader that shows the token.
type fakeAgent struct {
	*httptest.Server
	files   map[string][]byte
	streams chan chan delivery.Event
	readers atomic.Int32
}

func newFakeAgent(t *testing.T) *fakeAgent {
	t.Helper()
	files, err := reports.Credentials(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeAgent{files: files, streams: make(chan chan delivery.Event, 8)}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	cert, err := tls.X509KeyPair(files[delivery.ReportCertFile], files[delivery.ReportKeyFile])
	if err != nil {
		t.Fatal(err)
	}
	f.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAgent) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+string(f.files[delivery.ReportTokenFile]) || r.URL.Path != delivery.ReportPath || r.URL.Query().Get("watch") != "1" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	f.readers.Add(1)
	defer f.readers.Add(-1)
	var events chan delivery.Event
	select {
	case events = <-f.streams:
	case <-r.Context().Done():
		return
	}
	for {
		select {
		case e, open := <-events:
			if !open {
				return
			}
			_ = json.NewEncoder(w).Encode(e)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (f *fakeAgent) target() reports.Target {
	return reports.Target{
		Address: strings.TrimPrefix(f.URL, "https://"), Certificate: f.files[delivery.ReportCertFile],
		Token: string(f.files[delivery.ReportTokenFile]), Version: "1",
	}
}

// stream gives the next reader a stream that begins with a snapshot of lines.
func (f *fakeAgent) stream(lines ...delivery.LineReport) chan delivery.Event {
	events := make(chan delivery.Event, 16)
	events <- delivery.Event{Type: delivery.EventSnapshot, Report: &delivery.Report{Agent: delivery.AgentReport{Name: "default-0", Ready: true}, Lines: lines}}
	f.streams <- events
	return events
}

// reading starts a Reader whose news arrive on the channels.
func reading(t *testing.T, o reports.Options) (r *reports.Reader, agents chan types.NamespacedName, lines chan string) {
	t.Helper()
	agents, lines = make(chan types.NamespacedName, 64), make(chan string, 64)
	o.AgentChanged = func(a types.NamespacedName) { agents <- a }
	o.LineChanged = func(_ types.NamespacedName, l string) { lines <- l }
	o.RetryMin = time.Millisecond
	r = reports.New(o)
	done := make(chan struct{})
	go func() { _ = r.Start(t.Context()); close(done) }()
	t.Cleanup(func() { <-done })
	return r, agents, lines
}

func next[T any](t *testing.T, c chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was told")
		panic("unreachable")
	}
}

func TestTransitionsAreTold(t *testing.T) {
	f := newFakeAgent(t)
	r, agents, lines := reading(t, reports.Options{})
	events := f.stream(delivery.LineReport{Name: "alice", State: delivery.Registering})
	r.Watch(agentKey, f.target())
	next(t, agents)
	if got := next(t, lines); got != "alice" {
		t.Fatalf("told of %s", got)
	}
	first, _ := r.Line(agentKey, "alice")
	events <- delivery.Event{Type: delivery.EventPing}
	events <- delivery.Event{Type: delivery.EventLine, Line: &delivery.LineReport{Name: "alice", State: delivery.Registering, ActiveCalls: 3}}
	events <- delivery.Event{Type: delivery.EventLine, Line: &delivery.LineReport{Name: "alice", State: delivery.Registered, Slot: 1}}
	next(t, lines)
	l, ok := r.Line(agentKey, "alice")
	if !ok || l.State != delivery.Registered || !l.Since.After(first.Since) {
		t.Errorf("got %+v", l)
	}
	events <- delivery.Event{Type: delivery.EventAgent, Agent: &delivery.AgentReport{Name: "default-0", Ready: true, Rejected: []delivery.Rejected{{File: "bob.xml", Reason: "no"}, {File: "agent.json", Reason: "no"}}}}
	if got := next(t, lines); got != "bob" {
		t.Errorf("told of %s, but bob's file was refused", got)
	}
	events <- delivery.Event{Type: delivery.EventAgent, Agent: &delivery.AgentReport{Name: "default-0", Ready: true}}
	if got := next(t, lines); got != "bob" {
		t.Errorf("told of %s, but bob's file is fine again", got)
	}
	events <- delivery.Event{Type: delivery.EventGone, Name: "alice"}
	next(t, lines)
	if _, ok := r.Line(agentKey, "alice"); ok {
		t.Error("a line that is gone is still there")
	}
	if len(lines) > 0 {
		t.Error("more was told than changed")
	}
	if a, _ := r.Agent(agentKey); !a.Connected || !a.Ready {
		t.Errorf("got %+v", a)
	}
}

func TestBrokenStreamIsDialledAgain(t *testing.T) {
	f := newFakeAgent(t)
	r, agents, lines := reading(t, reports.Options{})
	events := f.stream(delivery.LineReport{Name: "alice", State: delivery.Registered}, delivery.LineReport{Name: "bob", State: delivery.Registered})
	r.Watch(agentKey, f.target())
	next(t, agents)
	next(t, lines)
	next(t, lines)
	close(events)
	next(t, agents)
	if a, _ := r.Agent(agentKey); a.Connected || a.Failure == "" {
		t.Errorf("a broken stream passes for connected: %+v", a)
	}
	if l, ok := r.Line(agentKey, "alice"); !ok || l.State != delivery.Registered {
		t.Error("what was known is lost with the stream")
	}
	f.stream(delivery.LineReport{Name: "alice", State: delivery.Registered})
	next(t, agents)
	if got := next(t, lines); got != "bob" {
		t.Errorf("told of %s, but bob went away meanwhile", got)
	}
}

func TestSilentStreamIsDead(t *testing.T) {
	f := newFakeAgent(t)
	r, agents, _ := reading(t, reports.Options{Silence: 50 * time.Millisecond})
	f.stream()
	r.Watch(agentKey, f.target())
	next(t, agents)
	next(t, agents)
	if a, _ := r.Agent(agentKey); a.Connected || !strings.Contains(a.Failure, "silent for 50ms") {
		t.Errorf("got %+v", a)
	}
}

func TestOnlyTheRightAgentIsBelieved(t *testing.T) {
	right, wrong := newFakeAgent(t), newFakeAgent(t)
	failure := func(target reports.Target) string {
		r, _, _ := reading(t, reports.Options{})
		r.Watch(agentKey, target)
		deadline := time.Now().Add(10 * time.Second)
		for time.Now().Before(deadline) {
			if a, _ := r.Agent(agentKey); a.Failure != "" || a.Connected {
				return a.Failure
			}
			time.Sleep(time.Millisecond)
		}
		return "nothing happened"
	}
	stolen := right.target()
	stolen.Address = wrong.target().Address
	if got := failure(stolen); !strings.Contains(got, "certificate") {
		t.Errorf("another certificate: %q", got)
	}
	guess := right.target()
	guess.Token = "guess"
	if got := failure(guess); !strings.Contains(got, "401") {
		t.Errorf("a wrong token: %q", got)
	}
	if strings.Contains(failure(guess), right.target().Token) {
		t.Error("a failure shows the token")
	}
}

func TestForgottenAgentsHaveNoStream(t *testing.T) {
	f := newFakeAgent(t)
	r, agents, _ := reading(t, reports.Options{})
	f.stream()
	r.Watch(agentKey, f.target())
	next(t, agents)
	r.Watch(agentKey, f.target()) // the same again is nothing
	if address, version := r.Current(agentKey); address != f.target().Address || version != "1" {
		t.Errorf("got %s %s", address, version)
	}
	r.Forget(agentKey)
	if _, ok := r.Agent(agentKey); ok {
		t.Error("a forgotten agent is known")
	}
	for f.readers.Load() > 0 {
		time.Sleep(time.Millisecond) // the end of the stream is the event; the test's timeout bounds it
	}
}

func TestCredentialsAreRenewedInTime(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	files, err := reports.Credentials(now)
	if err != nil {
		t.Fatal(err)
	}
	renew := reports.RenewAt(files)
	if !renew.After(now.Add(200*24*time.Hour)) || !renew.Before(now.Add(300*24*time.Hour)) {
		t.Errorf("renewed at %s", renew)
	}
	delete(files, delivery.ReportTokenFile)
	if !reports.RenewAt(files).IsZero() {
		t.Error("credentials without a token pass for whole")
	}
	other, _ := reports.Credentials(now)
	if string(other[delivery.ReportTokenFile]) == string(files[delivery.ReportTokenFile]) || len(other[delivery.ReportTokenFile]) != 64 {
		t.Error("tokens are not random")
	}
}
