package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

const rulesDir = "../../config/prometheus"

// promtool runs Debian's promtool, which must find nothing wrong.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestTheAlertRulesAreSound(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", filepath.Join(rulesDir, "softphone.rules.yaml"))
	promtool(t, "", "test", "rules", filepath.Join(rulesDir, "softphone.rules.test.yaml"))
	read := func(name string, into any) {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(rulesDir, name))
		if err == nil {
			err = yaml.Unmarshal(content, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var plain map[string]any
	var wrapped struct{ Spec map[string]any }
	read("softphone.rules.yaml", &plain)
	read("prometheusrule.yaml", &wrapped)
	if !reflect.DeepEqual(plain, wrapped.Spec) {
		t.Error("prometheusrule.yaml has other rules than softphone.rules.yaml")
	}
}

// prometheus runs the real one, with the rules that are shipped, on one agent.
type prometheus struct {
	t   *testing.T
	url string
}

func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join(rulesDir, "softphone.rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: softphone-agents
    static_configs: [{targets: [%q], labels: {namespace: interop, pod: agent}}]
`, rules, strings.TrimPrefix(target, "http://"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	port, err := process.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	listen := fmt.Sprintf("127.0.0.1:%d", port)
	p, err := process.Start(process.Config{
		Program: "prometheus", Package: "prometheus", LogFile: filepath.Join(dir, "log"), Dir: dir,
		Args: []string{"--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", listen},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(5 * time.Second); err != nil {
			t.Logf("end prometheus: %v", err)
		}
		if t.Failed() {
			t.Logf("prometheus says:\n%s", p.Tail(3000))
		}
	})
	return &prometheus{t: t, url: "http://" + listen}
}

// ask queries the HTTP API; false while it does not answer yet.
func (p *prometheus) ask(path string, into any) bool {
	p.t.Helper()
	res, err := http.Get(p.url + path)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return err == nil && res.StatusCode == http.StatusOK && json.NewDecoder(bytes.NewReader(body)).Decode(into) == nil
}

// firing gives the labels of the alerts of a name that fire.
func (p *prometheus) firing(name string) []map[string]string {
	p.t.Helper()
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	p.ask("/api/v1/alerts", &answer)
	var all []map[string]string
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" && a.Labels["alertname"] == name {
			all = append(all, a.Labels)
		}
	}
	return all
}

// value gives the only sample of a query.
func (p *prometheus) value(query string) (string, map[string]string) {
	p.t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if !p.ask("/api/v1/query?query="+query, &answer) || len(answer.Data.Result) != 1 {
		return "", nil
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1]), answer.Data.Result[0].Metric
}

// TestARealPrometheusAlerts lets a check fail and pass again under the eyes of a
// Prometheus: the alert fires and resolves.
func TestARealPrometheusAlerts(t *testing.T) {
	_, host := registrar(t, kamailio.Config{}, "alice", "bob")
	const expected = `"answerWithinMs":{"fail":5000}`
	bob := accountXML("bob", "secret-bob", host, autoAnswer)
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "bob.xml": bob,
		"nightly.check.json": checkJSON("alice", "sip:bob@"+host, expected, `"account":"bob"`),
		"agent.json":         `{"version":1,"metricLabels":["carrier"],"labels":{"alice":{"carrier":"acme"}}}`,
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	p := startPrometheus(t, a.url)
	lookEvery(t, 200*time.Millisecond, "the scraped check passes", func() (bool, string) {
		v, labels := p.value(`softphone_check_success{check="nightly"}`)
		return v == "1" && labels["account"] == "alice" && labels["carrier"] == "acme", fmt.Sprint(v, labels)
	})
	code, metrics := a.request("GET", "/metrics", "")
	if code != 200 {
		t.Fatalf("metrics: %d", code)
	}
	promtool(t, string(metrics), "check", "metrics")
	if alerts := p.firing("SoftphoneCheckFailing"); len(alerts) != 0 {
		t.Errorf("alerts without a cause: %v", alerts)
	}

	a.remove("bob.xml")
	began := time.Now()
	lookEvery(t, 100*time.Millisecond, "the alert fires", func() (bool, string) {
		alerts := p.firing("SoftphoneCheckFailing")
		return len(alerts) == 1 && alerts[0]["check"] == "nightly" && alerts[0]["namespace"] == "interop" && alerts[0]["severity"] == "critical", fmt.Sprint(alerts)
	})
	fired := time.Since(began)
	a.put("bob.xml", bob)
	began = time.Now()
	lookEvery(t, 100*time.Millisecond, "the alert resolves", func() (bool, string) {
		alerts := p.firing("SoftphoneCheckFailing")
		passes, _ := p.value("softphone_check_success")
		return len(alerts) == 0 && passes == "1", fmt.Sprint(passes, alerts)
	})
	outcome(t, "prometheus", "alert fires %s after the called line went away, resolves %s after its return; promtool check metrics, check rules, test rules clean", ms(fired), ms(time.Since(began)))
}
