package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// lineCollector makes the series of lines when they are asked for. A thousand
// idle lines then cost a map entry each instead of a handful of metric objects.
type lineCollector struct {
	registered, state, lines, attempts, expiry *prometheus.Desc

	mu     sync.Mutex
	byName map[string]*lineCounts
}

// lineCounts is what is known of one line.
type lineCounts struct {
	state        delivery.State
	attempts     []attempts
	certificates []delivery.Certificate
}

// attempts that ended with one code; a line meets few codes in its life.
type attempts struct {
	code  int
	count uint64
}

func newLineCollector() *lineCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &lineCollector{
		registered: desc("softphone_registered", "1 while the account is registered.", "account"),
		state:      desc("softphone_registration_state", "1, with the state the account is in.", "account", "state"),
		lines:      desc("softphone_lines", "Lines of this agent by state.", "state"),
		attempts: desc("softphone_registration_attempts_total",
			"REGISTER exchanges that ended, by final SIP code; none = no answer.", "account", "code"),
		expiry: desc("softphone_certificate_expiry_timestamp_seconds",
			"When a certificate ends that the account's TLS connection was made with.", "account", "role"),
		byName: map[string]*lineCounts{},
	}
}

// Describe implements prometheus.Collector.
func (c *lineCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.registered, c.state, c.lines, c.attempts, c.expiry} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *lineCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := map[delivery.State]int{}
	for name, l := range c.byName {
		for _, a := range l.attempts {
			out <- prometheus.MustNewConstMetric(c.attempts, prometheus.CounterValue, float64(a.count), name, codeLabel(a.code))
		}
		if l.state == "" {
			continue
		}
		states[l.state]++
		for _, end := range l.certificates {
			out <- prometheus.MustNewConstMetric(c.expiry, prometheus.GaugeValue, float64(end.NotAfter.Unix()), name, string(end.Role))
		}
		out <- prometheus.MustNewConstMetric(c.registered, prometheus.GaugeValue, bool01(l.state == delivery.Registered), name)
		out <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, 1, name, string(l.state))
	}
	for _, s := range delivery.States {
		out <- prometheus.MustNewConstMetric(c.lines, prometheus.GaugeValue, float64(states[s]), string(s))
	}
}

// line gives the counts of a line; c.mu is held.
func (c *lineCollector) line(name string) *lineCounts {
	l := c.byName[name]
	if l == nil {
		l = &lineCounts{}
		c.byName[name] = l
	}
	return l
}

func (c *lineCollector) setState(name string, s delivery.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line(name).state = s
}

// setCertificates takes at most one of a role.
func (c *lineCollector) setCertificates(name string, all []delivery.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.line(name).certificates = all
}

// attempted counts a code; those that SIP does not know count as no answer.
func (c *lineCollector) attempted(name string, code int) {
	if code < 100 || code > 699 {
		code = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.line(name)
	for i := range l.attempts {
		if l.attempts[i].code == code {
			l.attempts[i].count++
			return
		}
	}
	l.attempts = append(l.attempts, attempts{code: code, count: 1})
}

func (c *lineCollector) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byName, name)
}
