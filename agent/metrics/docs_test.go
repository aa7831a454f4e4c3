package metrics

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/subscription"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

const page = "../../docs/metrics.md"

// everything is the metrics of an agent that has lived through all of them.
func everything() *Metrics {
	m := New(Options{
		Name: "agent-0", Version: "v1", Endpoint: func() ua.Stats { return ua.Stats{} }, Captured: func() (uint64, uint64) { return 0, 0 },
		Servers: func() []Server {
			return []Server{{Name: "192.0.2.1:5060/udp", Known: true, Up: true, RTT: time.Millisecond}}
		},
	})
	m.Line("alice", delivery.Registered)
	m.RegistrationAttempt("alice", 200)
	m.Certificates("alice", []delivery.Certificate{{Role: delivery.ServerCertificate, NotAfter: time.Unix(1, 0)}})
	m.Events("alice", &subscription.Status{
		MWI:     &subscription.MWI{Messages: &delivery.Messages{Waiting: true}, Subscription: &subscription.Standing{State: subscription.Active}},
		Watched: []subscription.Watched{{URI: "bob", State: subscription.Early}},
	})
	m.SubscriptionAttempt("alice", subscription.DialogEvent, 200)
	m.Notified("alice", subscription.DialogEvent)
	m.TextMessage("alice", "in", 200)
	m.Snapshot(0, time.Unix(1, 0))
	m.Check(checkReport(time.Unix(1, 0)), time.Minute)
	m.AccountLabels([]string{"site"}, map[string]map[string]string{"alice": {"site": "north"}})
	m.Call(call.Record{
		ID: "1", Line: "alice", Direction: call.In, State: call.Ended, AnsweredAt: time.Now(), SetupMs: ptr(int64(1)),
		RTP: call.RTP{Sent: 1, Received: 1, Lost: 1, JitterMs: ptr(1.0)}, MOS: ptr(4.0), Quality: quality(), Transfer: &call.TransferStatus{By: call.Local, State: call.Succeeded}, End: &call.End{Code: 200},
	})
	return m
}

// quality is that of a call of which everything was measured in one direction, and less in the other.
func quality() *call.Quality {
	discarded := uint64(3)
	return &call.Quality{
		Received: &call.Arrival{
			Packets: 1000, Discarded: &discarded, LossPercent: ptr(2.0), DiscardPercent: ptr(0.5), BurstPercent: ptr(25.0), BurstMs: ptr(400.0),
			GapPercent: ptr(1.0), GapMs: ptr(9000.0), JitterMs: ptr(4.0), RTTMs: ptr(80.0), DelayMs: ptr(110.0), R: ptr(87.0), MOSCQ: ptr(4.2),
		},
		Sent: &call.Arrival{Packets: 1000, LossPercent: ptr(0.0), JitterMs: ptr(1.0)},
	}
}

// registered gives "type labels" of every metric of ours.
func registered(t *testing.T, m *Metrics) map[string]string {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "softphone_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			if l.GetName() == "site" { // the fleet's, told apart
				continue
			}
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		all[f.GetName()] = strings.ToLower(f.GetType().String()) + " " + strings.Join(labels, " ")
	}
	return all
}

// documented gives the same of the page's tables.
func documented(t *testing.T, text string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(softphone_\\w+)` \\| (\\w+) \\| ([^|]*)\\| (.+) \\|$").FindAllStringSubmatch(text, -1) {
		labels := strings.FieldsFunc(row[3], func(c rune) bool { return c == ',' || c == ' ' })
		slices.Sort(labels)
		all[row[1]] = row[2] + " " + strings.Join(labels, " ")
	}
	return all
}

// TestThePageTellsEveryMetric holds docs/metrics.md against the registry, both ways.
func TestThePageTellsEveryMetric(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	is, says := registered(t, everything()), documented(t, string(text))
	if len(is) < 20 {
		t.Fatalf("only %d metrics are registered", len(is))
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if says[name] != is[name] {
			t.Errorf("%s is a %q, the page says %q", name, is[name], says[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(says)) {
		if is[name] == "" {
			t.Errorf("the page tells of %s, which no agent has", name)
		}
	}
	for _, name := range regexp.MustCompile(`softphone_\w+`).FindAllString(string(text), -1) {
		if is[name] == "" {
			t.Errorf("the page names %s, which no agent has", name)
		}
	}
	for _, s := range delivery.States {
		if !strings.Contains(string(text), string(s)) {
			t.Errorf("the page does not name the state %s", s)
		}
	}
	for _, s := range subscription.States {
		if !strings.Contains(string(text), string(s)) {
			t.Errorf("the page does not name the subscription state %s", s)
		}
	}
	for _, s := range subscription.DialogStates {
		if !strings.Contains(string(text), string(s)) {
			t.Errorf("the page does not name the state %s of somebody who is watched", s)
		}
	}
	for _, o := range []Outcome{Answered, Canceled, Redirected, Busy, NoAnswer, Refused, Failed} {
		if !strings.Contains(string(text), string(o)) {
			t.Errorf("the page does not name the outcome %s", o)
		}
	}
}
