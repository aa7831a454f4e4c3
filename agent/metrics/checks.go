package metrics

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// checkCollector makes the series of checks when they are asked for. They carry
// labels of the account that calls, those that the fleet allows; since the list
// may change while the agent runs, the descriptions cannot be told beforehand.
type checkCollector struct {
	mu     sync.Mutex
	names  []string                     // of the accounts' labels
	labels map[string]map[string]string // their values, by account and name
	checks map[string]checkState
}

type checkState struct {
	report      delivery.CheckReport
	interval    time.Duration
	lastSuccess time.Time
}

func newCheckCollector() *checkCollector { return &checkCollector{checks: map[string]checkState{}} }

// AccountLabels are the labels of accounts that metrics may carry, and their
// values by account and label.
func (m *Metrics) AccountLabels(names []string, values map[string]map[string]string) {
	m.checks.mu.Lock()
	defer m.checks.mu.Unlock()
	m.checks.names, m.checks.labels = slices.Sorted(slices.Values(names)), values
}

// Check shows the state of a check that runs at an interval.
func (m *Metrics) Check(r delivery.CheckReport, interval time.Duration) {
	m.checks.mu.Lock()
	defer m.checks.mu.Unlock()
	s := checkState{report: r, interval: interval, lastSuccess: m.checks.checks[r.Name].lastSuccess}
	for _, run := range r.Runs {
		if (run.Result == check.Pass || run.Result == check.Warn) && run.StartedAt.After(s.lastSuccess) {
			s.lastSuccess = run.StartedAt
		}
	}
	m.checks.checks[r.Name] = s
}

// ForgetCheck drops every series of a check.
func (m *Metrics) ForgetCheck(name string) {
	m.checks.mu.Lock()
	defer m.checks.mu.Unlock()
	delete(m.checks.checks, name)
}

// Describe implements prometheus.Collector; it says nothing: see checkCollector.
func (c *checkCollector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *checkCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append(labels, c.names...), nil)
	}
	gauges := checkGauges(desc)
	runs := desc("softphone_check_runs_total", "Runs of the check by verdict.", "check", "account", "verdict")
	info := desc("softphone_account_labels", "Always 1; the labels of an account that the fleet lets metrics carry.", "account")
	for _, name := range slices.Sorted(maps.Keys(c.checks)) {
		s := c.checks[name]
		labels := append([]string{name, s.report.Line}, c.values(s.report.Line)...)
		for _, g := range gauges {
			if v, known := g.value(s); known {
				out <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, v, labels...)
			}
		}
		counts := s.report.Counts
		for _, n := range []struct {
			verdict check.Result
			count   int
		}{{check.Pass, counts.Pass}, {check.Warn, counts.Warn}, {check.Fail, counts.Fail}, {check.Inconclusive, counts.Inconclusive}} {
			out <- prometheus.MustNewConstMetric(runs, prometheus.CounterValue, float64(n.count),
				append([]string{name, s.report.Line, string(n.verdict)}, c.values(s.report.Line)...)...)
		}
	}
	if len(c.names) > 0 {
		for _, account := range slices.Sorted(maps.Keys(c.labels)) {
			out <- prometheus.MustNewConstMetric(info, prometheus.GaugeValue, 1, append([]string{account}, c.values(account)...)...)
		}
	}
}

// values of an account's labels, in the order of the names; "" = it has none.
func (c *checkCollector) values(account string) []string {
	values := make([]string, len(c.names))
	for i, n := range c.names {
		values[i] = c.labels[account][n]
	}
	return values
}

// checkGauge is one number of a check; it is absent until it is known.
type checkGauge struct {
	desc  *prometheus.Desc
	value func(checkState) (float64, bool)
}

func checkGauges(desc func(name, help string, labels ...string) *prometheus.Desc) []checkGauge {
	gauge := func(name, help string, value func(checkState) (float64, bool)) checkGauge {
		return checkGauge{desc(name, help, "check", "account"), value}
	}
	last := func(name, help string, of func(delivery.CheckRun) *float64, per float64) checkGauge {
		return gauge(name, help, func(s checkState) (float64, bool) {
			if len(s.report.Runs) == 0 || of(s.report.Runs[0]) == nil {
				return 0, false
			}
			return *of(s.report.Runs[0]) / per, true
		})
	}
	unix := func(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
	return []checkGauge{
		gauge("softphone_check_success", "1 while the check passes within its limits, 0 while it fails; absent while that is unknown.", func(s checkState) (float64, bool) {
			return bool01(s.report.Passing == check.IsPassing), s.report.Passing == check.IsPassing || s.report.Passing == check.NotPassing
		}),
		gauge("softphone_check_interval_seconds", "Time between two runs.", func(s checkState) (float64, bool) { return s.interval.Seconds(), !s.report.NextAt.IsZero() }),
		gauge("softphone_check_last_run_timestamp_seconds", "When the last run began.", func(s checkState) (float64, bool) {
			if len(s.report.Runs) == 0 {
				return 0, false
			}
			return unix(s.report.Runs[0].StartedAt), true
		}),
		gauge("softphone_check_last_success_timestamp_seconds", "When the last run that passed began.", func(s checkState) (float64, bool) {
			return unix(s.lastSuccess), !s.lastSuccess.IsZero()
		}),
		last("softphone_check_duration_seconds", "How long the last run took.", func(r delivery.CheckRun) *float64 { return &r.Seconds }, 1),
		last("softphone_check_setup_seconds", "From INVITE to answer in the last run.", func(r delivery.CheckRun) *float64 { return r.SetupMs }, 1000),
		last("softphone_check_ring_seconds", "From INVITE to ringing in the last run.", func(r delivery.CheckRun) *float64 { return r.RingMs }, 1000),
		last("softphone_check_first_packet_seconds", "From the answer to the first audio packet in the last run.", func(r delivery.CheckRun) *float64 { return r.FirstPacketMs }, 1000),
		last("softphone_check_mos", "E-model MOS (ITU-T G.107) in the last run; absent when nothing was measured.", func(r delivery.CheckRun) *float64 { return r.MOS }, 1),
		last("softphone_check_loss_ratio", "Part of the packets lost on the way here in the last run.", func(r delivery.CheckRun) *float64 { return r.LossPercent }, 100),
		last("softphone_check_jitter_seconds", "Interarrival jitter in the last run.", func(r delivery.CheckRun) *float64 { return r.JitterMs }, 1000),
		last("softphone_check_mouth_to_ear_seconds", "How long sound took one way in the last run, the mean of both ways.", func(r delivery.CheckRun) *float64 { return r.MouthToEarMs }, 1000),
		last("softphone_check_segmental_snr_decibels", "How far what differed between what was sent and what came back was below it in the last run; 0 to 35.", func(r delivery.CheckRun) *float64 { return r.SegmentalSNRDB }, 1),
		last("softphone_check_spectral_distance_decibels", "Log-spectral distance of what was sent and what came back in the last run.", func(r delivery.CheckRun) *float64 { return r.SpectralDistanceDB }, 1),
	}
}
