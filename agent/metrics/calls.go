package metrics

import (
	"github.com/softphone-operator/softphone-operator/agent/call"
)

// counted is what of a running call the counters hold already.
type counted struct {
	account              string
	direction            call.Direction
	sent, received, lost uint64
	discarded            uint64
}

// Call takes a change of a call over. A call's last change is its end.
func (m *Metrics) Call(r call.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, known := m.running[r.ID]
	if !known {
		before = counted{account: r.Line, direction: r.Direction}
		m.activeCalls.WithLabelValues(r.Line, string(r.Direction)).Inc()
	}
	m.countPackets(r, &before)
	m.running[r.ID] = before
	if r.State == call.Ended {
		delete(m.running, r.ID)
		m.ended(r)
	}
}

// Refresh counts the packets of running calls up to now. Records of calls
// that ended meanwhile, or were never seen, change nothing.
func (m *Metrics) Refresh(records []call.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range records {
		if before, known := m.running[r.ID]; known && r.State != call.Ended {
			m.countPackets(r, &before)
			m.running[r.ID] = before
		}
	}
}

// countPackets adds what came since the last look. Lost may fall again when
// packets were only late; a counter never does.
func (m *Metrics) countPackets(r call.Record, c *counted) {
	add := func(labels []string, now uint64, counted *uint64) {
		if now > *counted {
			m.packets.WithLabelValues(labels...).Add(float64(now - *counted))
			*counted = now
		}
	}
	add([]string{r.Line, "sent"}, r.RTP.Sent, &c.sent)
	add([]string{r.Line, "received"}, r.RTP.Received, &c.received)
	if r.RTP.Lost > c.lost {
		m.lost.WithLabelValues(r.Line).Add(float64(r.RTP.Lost - c.lost))
		c.lost = r.RTP.Lost
	}
	if q := r.Quality; q != nil && q.Received != nil && q.Received.Discarded != nil && *q.Received.Discarded > c.discarded {
		m.discarded.WithLabelValues(r.Line).Add(float64(*q.Received.Discarded - c.discarded))
		c.discarded = *q.Received.Discarded
	}
	m.showQuality(r)
	if r.RTP.JitterMs != nil {
		m.jitter.WithLabelValues(r.Line).Set(*r.RTP.JitterMs / 1000)
	}
	if r.MOS != nil {
		m.mos.WithLabelValues(r.Line).Set(*r.MOS)
	}
}

func (m *Metrics) ended(r call.Record) {
	m.activeCalls.WithLabelValues(r.Line, string(r.Direction)).Dec()
	code := 0
	if r.End != nil {
		code = r.End.Code
	}
	m.calls.WithLabelValues(r.Line, string(r.Direction), string(outcome(r)), codeLabel(code)).Inc()
	if t := r.Transfer; t != nil {
		m.transfers.WithLabelValues(r.Line, string(t.By), string(t.State)).Inc()
	}
	if r.SetupMs != nil {
		m.setup.WithLabelValues(string(r.Direction)).Observe(float64(*r.SetupMs) / 1000)
	}
	if r.MOS != nil {
		m.callMOS.Observe(*r.MOS)
	}
	if r.RTP.JitterMs != nil {
		m.callJitterSecs.Observe(*r.RTP.JitterMs / 1000)
	}
}

// Outcome of a call, coarser than its SIP code.
type Outcome string

// Outcomes.
const (
	Answered   Outcome = "answered"
	Canceled   Outcome = "canceled"   // the caller gave up
	Redirected Outcome = "redirected" // 3xx
	Busy       Outcome = "busy"       // 486, 600
	NoAnswer   Outcome = "no_answer"  // 408, 480
	Refused    Outcome = "refused"    // any other 4xx, 6xx
	Failed     Outcome = "failed"     // 5xx, or the network
)

func outcome(r call.Record) Outcome {
	if !r.AnsweredAt.IsZero() {
		return Answered
	}
	if r.End == nil || r.End.By == call.Network {
		return Failed
	}
	switch code := r.End.Code; {
	case code == 487:
		return Canceled
	case code >= 300 && code < 400:
		return Redirected
	case code == 486 || code == 600:
		return Busy
	case code == 408 || code == 480:
		return NoAnswer
	case code >= 400 && code < 500 || code >= 603:
		return Refused
	}
	return Failed
}
