// Package metrics counts what lines and calls do, for Prometheus.
//
// The labels are bounded by what somebody configured: an account's name, a
// server's address, a state, a direction, a SIP code. Never a number, a Call-ID or an error's text;
// those belong to logs and to /statusz. The series of a line that leaves go
// with it.
package metrics

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Metrics of one agent. All methods may be called from any goroutine.
type Metrics struct {
	registry *prometheus.Registry
	refresh  func()

	lines         *lineCollector
	checks        *checkCollector
	events        *eventCollector
	rejectedFiles prometheus.Gauge
	snapshotAt    prometheus.Gauge

	calls          *prometheus.CounterVec
	transfers      *prometheus.CounterVec
	activeCalls    *prometheus.GaugeVec
	setup          *prometheus.HistogramVec
	packets        *prometheus.CounterVec
	lost           *prometheus.CounterVec
	discarded      *prometheus.CounterVec
	jitter, mos    *prometheus.GaugeVec
	quality        []figure
	callMOS        prometheus.Histogram
	callJitterSecs prometheus.Histogram
	registering    prometheus.Histogram

	mu      sync.Mutex
	running map[string]counted // by call id
}

// Options of Metrics.
type Options struct {
	// Name and Version of the agent.
	Name, Version string
	// Endpoint gives the SIP endpoint's counters; nil = none.
	Endpoint func() ua.Stats
	// Captured counts the messages a capture server was sent, and those it was not; nil = none.
	Captured func() (sent, dropped uint64)
	// Servers gives those that lines use, the same first each time; nil = none.
	Servers func() []Server
	// Refresh is called before every scrape; it passes running calls to
	// Call, so that their packets count while they run. nil = nothing.
	Refresh func()
}

// New makes the metrics of an agent without lines.
func New(o Options) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), refresh: o.Refresh, lines: newLineCollector(), checks: newCheckCollector(), events: newEventCollector(), running: map[string]counted{}}
	m.registry.MustRegister(m.lines, m.checks, m.events, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge(m, "softphone_agent_info", "Always 1; the labels tell which agent this is.", "name", "version").WithLabelValues(o.Name, o.Version).Set(1)
	m.rejectedFiles = gauge(m, "softphone_rejected_files", "Delivered files that are not in force.").WithLabelValues()
	m.snapshotAt = gauge(m, "softphone_snapshot_timestamp_seconds", "When the snapshot in force was taken over.").WithLabelValues()
	m.callMetrics()
	if o.Endpoint != nil {
		m.endpointMetrics(o.Endpoint)
	}
	if o.Captured != nil {
		m.captureMetrics(o.Captured)
	}
	if o.Servers != nil {
		m.registry.MustRegister(newServerCollector(o.Servers))
	}
	return m
}

func (m *Metrics) callMetrics() {
	m.calls = counter(m, "softphone_calls_total", "Calls that ended, by outcome and final SIP code.", "account", "direction", "outcome", "code")
	m.transfers = counter(m, "softphone_transfers_total", "Calls that ended and were sent elsewhere, by who asked for it.", "account", "by", "state")
	m.activeCalls = gauge(m, "softphone_calls_active", "Calls going on.", "account", "direction")
	m.setup = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "softphone_call_setup_seconds", Help: "From INVITE to answer.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40},
	}, []string{"direction"})
	m.packets = counter(m, "softphone_rtp_packets_total", "RTP packets.", "account", "direction")
	m.lost = counter(m, "softphone_rtp_packets_lost_total", "RTP packets that never arrived.", "account")
	m.discarded = counter(m, "softphone_rtp_packets_discarded_total", "RTP packets that arrived and were not played.", "account")
	m.quality = qualityFigures(m)
	m.jitter = gauge(m, "softphone_rtp_jitter_seconds", "Interarrival jitter last measured.", "account")
	m.mos = gauge(m, "softphone_mos", "E-model MOS last measured (ITU-T G.107); absent until measured.", "account")
	m.callMOS = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "softphone_call_mos", Help: "E-model MOS of calls that ended.", Buckets: []float64{1.5, 2, 2.5, 3, 3.5, 3.8, 4, 4.2, 4.4},
	})
	m.callJitterSecs = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "softphone_call_jitter_seconds", Help: "Interarrival jitter of calls that ended.",
		Buckets: []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .2},
	})
	m.registering = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "softphone_registration_duration_seconds", Help: "From the state registering to the state registered.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 32, 64},
	})
	m.registry.MustRegister(m.registering, m.setup, m.callMOS, m.callJitterSecs)
}

func (m *Metrics) endpointMetrics(stats func() ua.Stats) {
	for _, c := range []struct {
		name, help string
		value      func(ua.Stats) uint64
	}{
		{"softphone_sip_datagrams_total", "SIP datagrams received.", func(s ua.Stats) uint64 { return s.Received }},
		{"softphone_sip_dropped_total", "SIP datagrams of strangers, never answered.", func(s ua.Stats) uint64 { return s.Dropped }},
		{"softphone_sip_malformed_total", "SIP messages that could not be read.", func(s ua.Stats) uint64 { return s.Malformed }},
		{"softphone_sip_limited_total", "SIP requests of sources that send too many, never answered.", func(s ua.Stats) uint64 { return s.Limited }},
		{"softphone_sip_overflow_total", "SIP requests lost because too much waited already.", func(s ua.Stats) uint64 { return s.Overflow }},
		{"softphone_sip_connections_turned_away_total", "Connections of strangers that were closed unheard.", func(s ua.Stats) uint64 { return s.TurnedAway }},
		{"softphone_sip_unreachable_total", "ICMP errors for what was sent.", func(s ua.Stats) uint64 { return s.Unreachable }},
		{"softphone_panics_total", "Panics caught at a line's boundary; each is a defect.", func(s ua.Stats) uint64 { return s.Panics }},
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: c.name, Help: c.help},
			func() float64 { return float64(c.value(stats())) }))
	}
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "softphone_sip_server_transactions", Help: "SIP requests that are remembered in case they come again.",
	}, func() float64 { return float64(stats().Open) }))
}

func (m *Metrics) captureMetrics(counts func() (sent, dropped uint64)) {
	m.registry.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "softphone_hep_messages_total", Help: "SIP messages sent to the capture server."},
			func() float64 { sent, _ := counts(); return float64(sent) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "softphone_hep_dropped_total", Help: "SIP messages the capture server was not sent."},
			func() float64 { _, dropped := counts(); return float64(dropped) }),
	)
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	h := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.refresh != nil {
			m.refresh()
		}
		h.ServeHTTP(w, r)
	})
}

// Snapshot counts a snapshot taken over.
func (m *Metrics) Snapshot(rejectedFiles int, at time.Time) {
	m.rejectedFiles.Set(float64(rejectedFiles))
	m.snapshotAt.Set(float64(at.UnixMilli()) / 1000)
}

// Line shows the registration state of a line.
func (m *Metrics) Line(account string, state delivery.State) { m.lines.setState(account, state) }

// Certificates shows when the certificates of a line end.
func (m *Metrics) Certificates(account string, all []delivery.Certificate) {
	m.lines.setCertificates(account, all)
}

// RegistrationAttempt counts an attempt that ended with a final code; 0 = no answer.
func (m *Metrics) RegistrationAttempt(account string, code int) { m.lines.attempted(account, code) }

// RegistrationTook counts a registration that came to be after so long.
func (m *Metrics) RegistrationTook(d time.Duration) { m.registering.Observe(d.Seconds()) }

// Forget drops every series of a line.
func (m *Metrics) Forget(account string) {
	m.lines.forget(account)
	m.events.forget(account)
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, c := range m.running {
		if c.account == account {
			delete(m.running, id)
		}
	}
	of := prometheus.Labels{"account": account}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.calls, m.transfers, m.activeCalls, m.packets, m.lost, m.discarded, m.jitter, m.mos,
	} {
		v.DeletePartialMatch(of)
	}
	for _, f := range m.quality {
		f.gauge.DeletePartialMatch(of)
	}
}

func gauge(m *Metrics, name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func counter(m *Metrics, name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

// codeLabel keeps the label within what SIP knows.
func codeLabel(code int) string {
	if code < 100 || code > 699 {
		return "none"
	}
	return strconv.Itoa(code)
}

func bool01(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
