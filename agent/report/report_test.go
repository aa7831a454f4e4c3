package report

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secretsDir makes a directory with certificate, key and token.
func secretsDir(t *testing.T) (dir string, replace func(token string) []byte) {
	t.Helper()
	dir = t.TempDir()
	replace = func(token string) []byte {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		keyDER, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{
			delivery.ReportCertFile:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			delivery.ReportKeyFile:   pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
			delivery.ReportTokenFile: []byte(token + "\n"),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return der
	}
	return dir, replace
}

func serve(t *testing.T, o Options) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- NewServer(o).Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "https://" + l.Addr().String() + delivery.ReportPath
}

// client trusts exactly one certificate, as the manager does.
func client(t *testing.T, pinned []byte) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) != 1 || string(raw[0]) != string(pinned) {
				return fmt.Errorf("another certificate")
			}
			return nil
		},
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func get(t *testing.T, c *http.Client, url, token string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// stream gives the events of a watch.
func stream(t *testing.T, res *http.Response) func() delivery.Event {
	t.Helper()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("watch: %s", res.Status)
	}
	lines := bufio.NewScanner(res.Body)
	return func() delivery.Event {
		t.Helper()
		var e delivery.Event
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
}

func TestStreamBeginsWholeAndGoesOnWithTransitions(t *testing.T) {
	dir, replace := secretsDir(t)
	pinned := replace("letmein")
	hub := NewHub()
	hub.SetAgent(delivery.AgentReport{Name: "agent-0", SnapshotHash: "1"})
	hub.SetLine(&delivery.LineReport{Name: "alice", State: delivery.Registered})
	url := serve(t, Options{Hub: hub, Dir: dir})
	next := stream(t, get(t, client(t, pinned), url+"?watch=1", "letmein"))

	first := next()
	if first.Type != delivery.EventSnapshot || first.Report.Agent.Name != "agent-0" || len(first.Report.Lines) != 1 {
		t.Fatalf("the first event is %+v", first)
	}
	hub.SetLine(&delivery.LineReport{Name: "alice", State: delivery.Unauthorized, LastCode: 403})
	if e := next(); e.Type != delivery.EventLine || e.Line.LastCode != 403 {
		t.Errorf("after a transition: %+v", e)
	}
	hub.SetLine(&delivery.LineReport{Name: "alice", State: delivery.Unauthorized, LastCode: 403}) // no transition
	hub.SetAgent(delivery.AgentReport{Name: "agent-0", SnapshotHash: "2"})
	if e := next(); e.Type != delivery.EventAgent || e.Agent.SnapshotHash != "2" {
		t.Errorf("after a new snapshot: %+v", e)
	}
	hub.RemoveLine("alice")
	if e := next(); e.Type != delivery.EventGone || e.Name != "alice" {
		t.Errorf("after a removal: %+v", e)
	}
}

func TestSilenceIsBrokenByPings(t *testing.T) {
	dir, replace := secretsDir(t)
	pinned := replace("t")
	url := serve(t, Options{Hub: NewHub(), Dir: dir, Ping: 10 * time.Millisecond})
	next := stream(t, get(t, client(t, pinned), url+"?watch=1", "t"))
	next()
	for range 3 {
		if e := next(); e.Type != delivery.EventPing {
			t.Fatalf("got %+v, want a ping", e)
		}
	}
}

func TestManyReadersHearTheSame(t *testing.T) {
	dir, replace := secretsDir(t)
	pinned := replace("t")
	hub := NewHub()
	url := serve(t, Options{Hub: hub, Dir: dir})
	var readers []func() delivery.Event
	for range 5 {
		next := stream(t, get(t, client(t, pinned), url+"?watch=1", "t"))
		next()
		readers = append(readers, next)
	}
	hub.SetLine(&delivery.LineReport{Name: "alice", State: delivery.Registering})
	for i, next := range readers {
		if e := next(); e.Line == nil || e.Line.Name != "alice" {
			t.Errorf("reader %d heard %+v", i, e)
		}
	}
}

func TestNobodyWithoutTheToken(t *testing.T) {
	dir, replace := secretsDir(t)
	pinned := replace("right")
	url := serve(t, Options{Hub: NewHub(), Dir: dir})
	c := client(t, pinned)
	for says, token := range map[string]string{"no token": "", "a wrong one": "wrong", "a prefix": "righ", "too long": "right1"} {
		if res := get(t, c, url, token); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", says, res.Status)
		}
	}
	if res := get(t, c, url, "right"); res.StatusCode != http.StatusOK {
		t.Errorf("the right one: %s", res.Status)
	}
	if err := os.WriteFile(filepath.Join(dir, delivery.ReportTokenFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if res := get(t, c, url, ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an empty token file: %s", res.Status)
	}
}

func TestCertificateAndTokenAreReloaded(t *testing.T) {
	dir, replace := secretsDir(t)
	replace("old")
	url := serve(t, Options{Hub: NewHub(), Dir: dir})
	pinned := replace("new")
	if res := get(t, client(t, pinned), url, "new"); res.StatusCode != http.StatusOK {
		t.Errorf("after the rotation: %s", res.Status)
	}
	// Half a rotation by hand: the last good pair serves on.
	if err := os.WriteFile(filepath.Join(dir, delivery.ReportKeyFile), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if res := get(t, client(t, pinned), url, "new"); res.StatusCode != http.StatusOK {
		t.Errorf("with half a key file: %s", res.Status)
	}
}

// TestSlowReaderFindsTheNewest changes lines far oftener than a reader takes.
func TestSlowReaderFindsTheNewest(t *testing.T) {
	hub := NewHub()
	sub := hub.Subscribe()
	defer sub.Close()
	sub.Take()
	for i := range 1000 {
		hub.SetLine(&delivery.LineReport{Name: "alice", LastCode: i})
		hub.SetLine(&delivery.LineReport{Name: "bob", LastCode: i})
	}
	hub.RemoveLine("bob")
	events := sub.Take()
	if len(events) != 2 || events[0].Line.LastCode != 999 || events[1].Type != delivery.EventGone {
		t.Errorf("got %+v", events)
	}
}

// TestCallsAreNoTransitions holds what wakes a reader.
func TestCallsAreNoTransitions(t *testing.T) {
	for _, c := range []struct {
		says        string
		before, now delivery.LineReport
		wakes       bool
	}{
		{"the same again", delivery.LineReport{Name: "a"}, delivery.LineReport{Name: "a"}, false},
		{"a call began", delivery.LineReport{Name: "a"}, delivery.LineReport{Name: "a", ActiveCalls: 1}, false},
		{"a call ended on a draining line", delivery.LineReport{Name: "a", ActiveCalls: 1, DrainState: delivery.Draining},
			delivery.LineReport{Name: "a", DrainState: delivery.Draining}, true},
		{"another state", delivery.LineReport{Name: "a"}, delivery.LineReport{Name: "a", State: delivery.Error}, true},
		{"another hash", delivery.LineReport{Name: "a"}, delivery.LineReport{Name: "a", ConfigHash: "1"}, true},
	} {
		hub := NewHub()
		hub.SetLine(&c.before)
		sub := hub.Subscribe()
		<-sub.Changed()
		sub.Take()
		hub.SetLine(&c.now)
		select {
		case <-sub.Changed():
			if !c.wakes {
				t.Errorf("%s: woke the reader", c.says)
			}
		default:
			if c.wakes {
				t.Errorf("%s: did not wake the reader", c.says)
			}
		}
		if got, _ := hub.Line("a"); !reflect.DeepEqual(got, c.now) {
			t.Errorf("%s: the hub holds %+v", c.says, got)
		}
	}
}

// TestReaderThatDoesNotReadHoldsNobodyUp opens a stream and leaves it unread
// while lines change without end.
func TestReaderThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	dir, replace := secretsDir(t)
	pinned := replace("t")
	hub := NewHub()
	url := serve(t, Options{Hub: hub, Dir: dir})
	next := stream(t, get(t, client(t, pinned), url+"?watch=1", "t"))
	next()
	began := time.Now()
	reason := string(make([]byte, 1000))
	for i := range 20_000 {
		hub.SetLine(&delivery.LineReport{Name: "a", LastCode: i, LastReason: reason})
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("20,000 changes took %v with a reader that does not read", took)
	}
}

func TestChecksTravelBesideTheLines(t *testing.T) {
	hub := NewHub()
	hub.SetCheck(delivery.CheckReport{Name: "nightly", Line: "alice"})
	s := hub.Subscribe()
	defer s.Close()
	if first := s.Take(); len(first) != 1 || len(first[0].Report.Checks) != 1 || first[0].Report.Checks[0].Line != "alice" {
		t.Fatalf("got %+v", first)
	}
	<-s.Changed()
	hub.SetCheck(delivery.CheckReport{Name: "nightly", Line: "alice"})
	if got := s.Take(); len(got) != 0 {
		t.Errorf("an equal state is an event: %+v", got)
	}
	hub.SetCheck(delivery.CheckReport{Name: "nightly", Line: "alice", RunAt: "now"})
	<-s.Changed()
	if got := s.Take(); len(got) != 1 || got[0].Type != delivery.EventCheck || got[0].Check.RunAt != "now" {
		t.Errorf("got %+v", got)
	}
	hub.RemoveCheck("nightly")
	hub.RemoveCheck("nightly")
	<-s.Changed()
	if got := s.Take(); len(got) != 1 || got[0].Type != delivery.EventNoCheck || got[0].Name != "nightly" {
		t.Errorf("got %+v", got)
	}
}
