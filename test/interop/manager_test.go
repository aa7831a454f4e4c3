package interop

import (
	"context"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// TestTheManagersReaderReadsTheAgent puts the operator's half and the agent's half
// of the report together: credentials made by one, served by the other, and
// rotated while both run.
func TestTheManagersReaderReadsTheAgent(t *testing.T) {
	t.Parallel()
	_, host := registrar(t, kamailio.Config{}, "alice")
	made, err := reports.Credentials(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"alice.xml": accountXML("alice", "secret-alice", host)}
	for name, content := range made {
		files[name] = string(content)
	}
	a := startAgent(t, options{files: files, args: []string{"--report", "127.0.0.1:0"}})
	address := regexp.MustCompile(`msg=listening .*\breport=(\S+)`).FindStringSubmatch(a.Log())[1]

	reader := reports.New(reports.Options{Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- reader.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("reader: %v", err)
		}
	})
	agent := types.NamespacedName{Namespace: "n", Name: "pod-0"}
	watch := func(credentials map[string][]byte, version string) {
		reader.Watch(agent, reports.Target{
			Address: address, Certificate: credentials[delivery.ReportCertFile],
			Token: string(credentials[delivery.ReportTokenFile]), Version: version,
		})
	}
	await := func(says string, state delivery.State) {
		t.Helper()
		eventually(t, says, func() (bool, string) {
			l, known := reader.Line(agent, "alice")
			said, _ := reader.Agent(agent)
			return known && l.State == state && said.Connected && said.Ready, pretty(said) + pretty(l)
		})
	}
	watch(made, "1")
	await("the reader knows the line as registered", delivery.Registered)
	a.put("alice.xml", accountXML("alice", "wrong", host))
	await("the reader hears of the wrong password", delivery.Unauthorized)

	rotated, err := reports.Credentials(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range rotated {
		a.put(name, string(content))
	}
	watch(rotated, "2")
	a.put("alice.xml", accountXML("alice", "secret-alice", host))
	await("the reader is back with the new credentials", delivery.Registered)
	outcome(t, "manager", "reader follows the line, over a rotation of certificate and token")
}
