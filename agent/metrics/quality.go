package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// figure is one of how well audio arrives, and the gauge that shows it as it was measured last.
type figure struct {
	of    func(*call.Arrival) *float64
	scale float64 // what a unit of it is in that of the metric
	gauge *prometheus.GaugeVec
}

// qualityFigures makes the gauges of both directions: received as measured here, sent as the other side tells by RTCP.
func qualityFigures(m *Metrics) []figure {
	const percent, ms = 0.01, 0.001
	of := func(name, help string, scale float64, of func(*call.Arrival) *float64) figure {
		return figure{of, scale, gauge(m, "softphone_audio_"+name, help+" Last measured; absent until then.", "account", "direction")}
	}
	return []figure{
		of("loss_ratio", "Part of the RTP packets of a call that never arrived.", percent, func(a *call.Arrival) *float64 { return a.LossPercent }),
		of("discard_ratio", "Part of the RTP packets of a call that arrived and were not played.", percent, func(a *call.Arrival) *float64 { return a.DiscardPercent }),
		of("burst_loss_ratio", "Part of the RTP packets within bursts that was lost or discarded (RFC 3611).", percent, func(a *call.Arrival) *float64 { return a.BurstPercent }),
		of("burst_seconds", "Mean length of a burst (RFC 3611); 0 without any.", ms, func(a *call.Arrival) *float64 { return a.BurstMs }),
		of("gap_loss_ratio", "Part of the RTP packets between bursts that was lost or discarded (RFC 3611).", percent, func(a *call.Arrival) *float64 { return a.GapPercent }),
		of("gap_seconds", "Mean time between bursts (RFC 3611).", ms, func(a *call.Arrival) *float64 { return a.GapMs }),
		of("jitter_seconds", "Interarrival jitter (RFC 3550).", ms, func(a *call.Arrival) *float64 { return a.JitterMs }),
		of("rtt_seconds", "Round trip between the RTP interfaces.", ms, func(a *call.Arrival) *float64 { return a.RTTMs }),
		of("delay_seconds", "One way, mouth to ear: a packet, half the round trip and the jitter buffer.", ms, func(a *call.Arrival) *float64 { return a.DelayMs }),
		of("r_factor", "E-model R of the conversation (ITU-T G.107).", 1, func(a *call.Arrival) *float64 { return a.R }),
		of("mos", "E-model MOS of the conversation (ITU-T G.107).", 1, func(a *call.Arrival) *float64 { return a.MOSCQ }),
	}
}

// showQuality takes over what a record says of both directions.
func (m *Metrics) showQuality(r call.Record) {
	if r.Quality == nil {
		return
	}
	for direction, a := range map[string]*call.Arrival{"received": r.Quality.Received, "sent": r.Quality.Sent} {
		if a == nil {
			continue
		}
		for _, f := range m.quality {
			if v := f.of(a); v != nil {
				f.gauge.WithLabelValues(r.Line, direction).Set(*v * f.scale)
			}
		}
	}
}
