package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scrape gives the series of the softphone, as the exposition has them.
func scrape(t *testing.T, m *Metrics) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d %v %s", w.Code, err, body)
	}
	series := map[string]string{}
	for line := range strings.Lines(string(body)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, "softphone_") {
			series[name] = value
		}
	}
	return series
}

func expect(t *testing.T, got map[string]string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s = %q, want %q", name, got[name], value)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestLinesShowTheirState(t *testing.T) {
	m := New(Options{Name: "agent-0", Version: "v1", Endpoint: func() ua.Stats { return ua.Stats{Dropped: 7, Panics: 1} }})
	m.Line("alice", delivery.Registering)
	m.Line("alice", delivery.Registered)
	m.Line("bob", delivery.Unauthorized)
	m.RegistrationAttempt("alice", 200)
	m.RegistrationAttempt("bob", 403)
	m.RegistrationAttempt("bob", 0)
	m.Snapshot(2, time.Unix(1000, 0))
	expect(t, scrape(t, m), map[string]string{
		`softphone_registered{account="alice"}`:                             "1",
		`softphone_registered{account="bob"}`:                               "0",
		`softphone_registration_state{account="alice",state="registered"}`:  "1",
		`softphone_registration_state{account="alice",state="registering"}`: "",
		`softphone_lines{state="registered"}`:                               "1",
		`softphone_lines{state="registering"}`:                              "0",
		`softphone_lines{state="unauthorized"}`:                             "1",
		`softphone_registration_attempts_total{account="alice",code="200"}`: "1",
		`softphone_registration_attempts_total{account="bob",code="403"}`:   "1",
		`softphone_registration_attempts_total{account="bob",code="none"}`:  "1",
		`softphone_rejected_files`:                                          "2",
		`softphone_snapshot_timestamp_seconds`:                              "1000",
		`softphone_agent_info{name="agent-0",version="v1"}`:                 "1",
		`softphone_sip_dropped_total`:                                       "7",
		`softphone_panics_total`:                                            "1",
	})
	m.Forget("bob")
	for name := range scrape(t, m) {
		if strings.Contains(name, `"bob"`) {
			t.Errorf("%s is left of a line that is gone", name)
		}
	}
	expect(t, scrape(t, m), map[string]string{`softphone_lines{state="unauthorized"}`: "0"})
}

func TestServersAreTold(t *testing.T) {
	var servers []Server
	m := New(Options{Servers: func() []Server { return servers }})
	servers = []Server{
		{Name: "192.0.2.1:5060/udp", Known: true, Up: true, RTT: 12 * time.Millisecond, Waiting: 3},
		{Name: "192.0.2.2:5060/tcp", Known: true, RTT: 5 * time.Millisecond, Failures: 4, Held: 180},
		{Name: "192.0.2.3:5061/tls"},
	}
	got := scrape(t, m)
	expect(t, got, map[string]string{
		`softphone_server_up{server="192.0.2.1:5060/udp"}`:               "1",
		`softphone_server_rtt_seconds{server="192.0.2.1:5060/udp"}`:      "0.012",
		`softphone_server_waiting_requests{server="192.0.2.1:5060/udp"}`: "3",
		`softphone_server_up{server="192.0.2.2:5060/tcp"}`:               "0",
		`softphone_server_rtt_seconds{server="192.0.2.2:5060/tcp"}`:      "0.005",
		`softphone_server_failures_total{server="192.0.2.2:5060/tcp"}`:   "4",
		`softphone_server_held_lines{server="192.0.2.2:5060/tcp"}`:       "180",
		`softphone_server_failures_total{server="192.0.2.3:5061/tls"}`:   "0",
	})
	for _, name := range []string{`softphone_server_up{server="192.0.2.3:5061/tls"}`, `softphone_server_rtt_seconds{server="192.0.2.3:5061/tls"}`} {
		if v, there := got[name]; there {
			t.Errorf("%s is %s of a server that was never asked", name, v)
		}
	}
	servers = nil
	for i := range 2 * mostServers {
		servers = append(servers, Server{Name: fmt.Sprintf("192.0.2.%d:5060/udp", i), Known: true})
	}
	if n := len(scrape(t, m)); n > 5*mostServers+20 {
		t.Errorf("%d series for %d servers", n, len(servers))
	}
}

func TestACallCountsOnceAndItsPacketsAsTheyCome(t *testing.T) {
	record := call.Record{ID: "1", Line: "alice", Direction: call.In, State: call.Ringing, StartedAt: time.Now()}
	var running []call.Record
	var m *Metrics
	m = New(Options{Refresh: func() { m.Refresh(running) }})
	m.Call(record)
	expect(t, scrape(t, m), map[string]string{`softphone_calls_active{account="alice",direction="in"}`: "1"})

	record.State, record.AnsweredAt, record.SetupMs = call.Established, time.Now(), ptr(int64(1200))
	m.Call(record)
	record.RTP = call.RTP{Sent: 100, Received: 90, Lost: 10, JitterMs: ptr(4.0)}
	record.MOS = ptr(4.1)
	running = []call.Record{record, {ID: "never seen", Line: "x", RTP: call.RTP{Sent: 5}}}
	scrape(t, m)
	expect(t, scrape(t, m), map[string]string{ // scraping twice counts once
		`softphone_rtp_packets_total{account="alice",direction="sent"}`:     "100",
		`softphone_rtp_packets_total{account="alice",direction="received"}`: "90",
		`softphone_rtp_packets_lost_total{account="alice"}`:                 "10",
		`softphone_rtp_jitter_seconds{account="alice"}`:                     "0.004",
		`softphone_mos{account="alice"}`:                                    "4.1",
	})
	record.RTP.Sent, record.RTP.Lost = 150, 8 // two of the lost came late
	record.State, record.End = call.Ended, &call.End{Code: 200, By: call.Remote}
	m.Call(record)
	got := scrape(t, m) // the running record is old by now
	expect(t, got, map[string]string{
		`softphone_rtp_packets_total{account="alice",direction="sent"}`:                       "150",
		`softphone_rtp_packets_lost_total{account="alice"}`:                                   "10",
		`softphone_calls_active{account="alice",direction="in"}`:                              "0",
		`softphone_calls_total{account="alice",code="200",direction="in",outcome="answered"}`: "1",
		`softphone_call_setup_seconds_count{direction="in"}`:                                  "1",
		`softphone_call_setup_seconds_bucket{direction="in",le="2.5"}`:                        "1",
		`softphone_call_setup_seconds_bucket{direction="in",le="1"}`:                          "0",
		`softphone_call_mos_count`:                                                            "1",
		`softphone_call_jitter_seconds_bucket{le="0.005"}`:                                    "1",
	})
	for name := range got {
		if strings.Contains(name, `"x"`) {
			t.Errorf("%s: a call nobody announced was counted", name)
		}
	}
}

func TestBothDirectionsHaveTheirFigures(t *testing.T) {
	m := New(Options{})
	record := call.Record{ID: "1", Line: "alice", Direction: call.Out, State: call.Established, Quality: quality()}
	m.Call(record)
	m.Call(record)
	got := scrape(t, m)
	expect(t, got, map[string]string{
		`softphone_rtp_packets_discarded_total{account="alice"}`:                 "3",
		`softphone_audio_loss_ratio{account="alice",direction="received"}`:       "0.02",
		`softphone_audio_loss_ratio{account="alice",direction="sent"}`:           "0",
		`softphone_audio_discard_ratio{account="alice",direction="received"}`:    "0.005",
		`softphone_audio_burst_loss_ratio{account="alice",direction="received"}`: "0.25",
		`softphone_audio_burst_seconds{account="alice",direction="received"}`:    "0.4",
		`softphone_audio_gap_loss_ratio{account="alice",direction="received"}`:   "0.01",
		`softphone_audio_gap_seconds{account="alice",direction="received"}`:      "9",
		`softphone_audio_jitter_seconds{account="alice",direction="sent"}`:       "0.001",
		`softphone_audio_rtt_seconds{account="alice",direction="received"}`:      "0.08",
		`softphone_audio_delay_seconds{account="alice",direction="received"}`:    "0.11",
		`softphone_audio_r_factor{account="alice",direction="received"}`:         "87",
		`softphone_audio_mos{account="alice",direction="received"}`:              "4.2",
	})
	if v, there := got[`softphone_audio_mos{account="alice",direction="sent"}`]; there {
		t.Errorf("a MOS of %s that the other side never told", v)
	}
	m.Forget("alice")
	for name := range scrape(t, m) {
		if strings.Contains(name, "alice") {
			t.Errorf("%s is left of a line that is gone", name)
		}
	}
}

func TestTransfersAreCountedByWhoAskedForThem(t *testing.T) {
	m := New(Options{})
	for id, s := range map[string]call.TransferState{"1": call.Succeeded, "2": call.Failed, "3": call.Failed} {
		r := call.Record{ID: id, Line: "alice", Direction: call.Out, State: call.Established, Transfer: &call.TransferStatus{By: call.Local, State: call.Proceeding}}
		m.Call(r)
		r.State, r.End, r.Transfer = call.Ended, &call.End{Code: 200}, &call.TransferStatus{By: call.Local, State: s}
		m.Call(r)
	}
	expect(t, scrape(t, m), map[string]string{
		`softphone_transfers_total{account="alice",by="local",state="failed"}`:    "2",
		`softphone_transfers_total{account="alice",by="local",state="succeeded"}`: "1",
	})
}

func TestMOSIsAbsentUntilMeasured(t *testing.T) {
	m := New(Options{})
	m.Call(call.Record{ID: "1", Line: "alice", Direction: call.Out, State: call.Ended, End: &call.End{Code: 486}})
	got := scrape(t, m)
	if v, there := got[`softphone_mos{account="alice"}`]; there {
		t.Errorf("a MOS of %s that nobody measured", v)
	}
	expect(t, got, map[string]string{`softphone_call_mos_count`: "0"})
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		says     string
		answered bool
		end      *call.End
		want     Outcome
	}{
		{"answered, whatever came later", true, &call.End{Code: 200, By: call.Network}, Answered},
		{"given up", false, &call.End{Code: 487, By: call.Local}, Canceled},
		{"moved", false, &call.End{Code: 302, By: call.Policy}, Redirected},
		{"busy", false, &call.End{Code: 486}, Busy},
		{"busy everywhere", false, &call.End{Code: 600}, Busy},
		{"nobody there", false, &call.End{Code: 480, By: call.Timeout}, NoAnswer},
		{"no response", false, &call.End{Code: 408, By: call.Timeout}, NoAnswer},
		{"unknown number", false, &call.End{Code: 404}, Refused},
		{"declined", false, &call.End{Code: 603}, Refused},
		{"server down", false, &call.End{Code: 500}, Failed},
		{"no network", false, &call.End{Code: 503, By: call.Network}, Failed},
		{"no end known", false, nil, Failed},
	} {
		r := call.Record{End: c.end}
		if c.answered {
			r.AnsweredAt = time.Now()
		}
		if got := outcome(r); got != c.want {
			t.Errorf("%s: %s, want %s", c.says, got, c.want)
		}
	}
}
