package interop

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// credentials are the files of a report listener, the way the operator makes them.
func credentials(t *testing.T) (files map[string]string, pinned *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"agent"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if pinned, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		delivery.ReportCertFile:  string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		delivery.ReportKeyFile:   string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		delivery.ReportTokenFile: "let-me-in",
	}, pinned
}

// TestReportAsAManagerReadsIt watches an agent over TLS while a line goes from
// registered to unauthorized, and looks at what the open listener tells nobody.
func TestReportAsAManagerReadsIt(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice")
	files, pinned := credentials(t)
	files["alice.xml"] = accountXML("alice", "secret-alice", host)
	files["agent.json"] = `{"version":1,"name":"pod-0","hashKey":"a2V5"}`
	a := startAgent(t, options{files: files, args: []string{"--report", "127.0.0.1:0"}})
	a.awaitLine("alice", "registered")
	address := regexp.MustCompile(`msg=listening .*\breport=(\S+)`).FindStringSubmatch(a.Log())[1]

	roots := x509.NewCertPool()
	roots.AddCert(pinned)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "agent"}}
	t.Cleanup(transport.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+delivery.ReportPath+"?watch=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer let-me-in")
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	next := func() (e delivery.Event) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the stream ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	first := next()
	hasher := delivery.NewHasher([]byte("key"))
	row := delivery.Line{Slot: 1, State: delivery.Active}
	if first.Type != delivery.EventSnapshot || len(first.Report.Lines) != 1 || first.Report.Lines[0].State != delivery.Registered ||
		first.Report.Lines[0].ConfigHash != hasher.Line([]byte(files["alice.xml"]), row) || !first.Report.Agent.Ready {
		t.Errorf("the first event is %s", lines.Text())
	}
	want := hasher.Snapshot(map[string][]byte{"alice.xml": []byte(files["alice.xml"]), "agent.json": []byte(files["agent.json"])})
	if first.Report.Agent.SnapshotHash != want {
		t.Errorf("snapshot %s, the operator computes %s", first.Report.Agent.SnapshotHash, want)
	}

	began := time.Now()
	if err := r.SetPassword(t.Context(), "alice", "rotated"); err != nil {
		t.Fatal(err)
	}
	wrong := accountXML("alice", "mistyped", host)
	a.put("alice.xml", wrong)
	var took time.Duration
	for {
		e := next()
		if e.Type == delivery.EventLine && e.Line.ConfigHash == hasher.Line([]byte(wrong), row) && took == 0 {
			took = time.Since(began)
		}
		if e.Type == delivery.EventLine && e.Line.State == delivery.Unauthorized {
			if e.Line.Problem != delivery.ProblemUnauthorized {
				t.Errorf("the line says %+v", e.Line)
			}
			break
		}
	}
	outcome(t, "agent", "watch over TLS: edit reported after %s, unauthorized after %s", ms(took), ms(time.Since(began)))
}

// TestMetricsAreBounded makes calls and holds what a scrape shows.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	a, r := called(t, autoAnswer)
	finished(t, callAlice(t, r, sipp.Caller{Tone: toneFile(t, 1004), Hold: time.Second}))
	a.awaitIncoming("alice", "ended", ended)
	a.awaitCall(a.dial(`{"line":"alice","to":"+15550199"}`), "has ended", ended)
	code, body := a.request("GET", "/metrics", "")
	if code != 200 {
		t.Fatalf("metrics: %d", code)
	}
	series := 0
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "softphone_") {
			series++
		}
	}
	for _, want := range []string{
		`softphone_registered{account="alice"} 1`,
		`softphone_registration_attempts_total{account="alice",code="200"} 1`,
		`softphone_calls_total{account="alice",code="200",direction="in",outcome="answered"} 1`,
		`softphone_calls_total{account="alice",code="404",direction="out",outcome="refused"} 1`,
		`softphone_calls_active{account="alice",direction="in"} 0`,
		`softphone_call_setup_seconds_count{direction="in"} 1`,
		`softphone_panics_total 0`,
	} {
		if !strings.Contains(string(body), want+"\n") {
			t.Errorf("no series %s", want)
		}
	}
	if strings.Contains(string(body), "15550199") || strings.Contains(string(body), `"stranger`) {
		t.Errorf("a number is a label:\n%s", body)
	}
	outcome(t, "agent", "%d series after two calls of one line, no number among the labels", series)
}
