package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Server is what is known of one server that lines use.
type Server struct {
	// Name as host:port/transport.
	Name string
	// Known: OPTIONS were answered, or not; Up and RTT say nothing before.
	Known, Up bool
	// RTT of the last answer; 0 = there was none.
	RTT time.Duration
	// Failures are OPTIONS without an answer.
	Failures uint64
	// Waiting REGISTER requests, and lines Held back because others were refused.
	Waiting, Held int
}

// mostServers have series: what lines are pointed at is somebody's input, too.
const mostServers = 64

// serverCollector asks for the servers when it is scraped.
type serverCollector struct {
	servers                          func() []Server
	up, rtt, failures, waiting, held *prometheus.Desc
}

func newServerCollector(servers func() []Server) *serverCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, []string{"server"}, nil)
	}
	return &serverCollector{
		servers:  servers,
		up:       desc("softphone_server_up", "1 if the server answered the last OPTIONS; absent until it was asked."),
		rtt:      desc("softphone_server_rtt_seconds", "From the last OPTIONS that was answered to the answer."),
		failures: desc("softphone_server_failures_total", "OPTIONS without an answer."),
		waiting:  desc("softphone_server_waiting_requests", "REGISTER requests that wait for their turn."),
		held:     desc("softphone_server_held_lines", "Lines that wait because the server refused too many others."),
	}
}

// Describe implements prometheus.Collector.
func (c *serverCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.rtt, c.failures, c.waiting, c.held} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *serverCollector) Collect(out chan<- prometheus.Metric) {
	all := c.servers()
	for _, s := range all[:min(len(all), mostServers)] {
		gauge := func(d *prometheus.Desc, value float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, s.Name)
		}
		if s.Known {
			gauge(c.up, bool01(s.Up))
		}
		if s.RTT > 0 {
			gauge(c.rtt, s.RTT.Seconds())
		}
		gauge(c.waiting, float64(s.Waiting))
		gauge(c.held, float64(s.Held))
		out <- prometheus.MustNewConstMetric(c.failures, prometheus.CounterValue, float64(s.Failures), s.Name)
	}
}
