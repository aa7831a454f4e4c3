package media

// Figures are how well the audio of one direction arrives. What was not measured, or not told, is nil. Percentages are of the
// packets that were due since the beginning, durations in ms.
type Figures struct {
	LossPercent    *float64 // never came
	DiscardPercent *float64 // came, and were not played: too late, or too many

	// Bursts and gaps of RFC 3611 §4.7.2 (Gmin 16): how many of the packets within them were lost or discarded, and how long they are
	// on average. A mean of 0 says that there was none.
	BurstPercent, GapPercent *float64
	BurstMs, GapMs           *float64

	JitterMs    *float64 // interarrival jitter (RFC 3550 A.8)
	RTTMs       *float64 // round trip between the RTP interfaces
	BufferMs    *float64 // delay of the jitter buffer
	EndSystemMs *float64 // delay within the receiver's side: its packets sent, and its jitter buffer (RFC 3611 §4.7.4)
	DelayMs     *float64 // one way, mouth to ear: a packet, half the round trip and the jitter buffer

	R            *float64 // transmission rating of the conversation, 0 to 100
	MOSLQ, MOSCQ *float64 // of listening (without the delay) and of conversation, 1 to 4.5
	SignalDBm0   *float64 // level of what is not silence
	NoiseDBm0    *float64 // level of the silence
}

// judge fills in what is heard here and what the peer says it hears.
func (s *Session) judge(st *Stats) {
	st.RTTMs, st.Out = s.reports.roundTrip(), s.told()
	if s.in.any {
		st.In = s.figures()
		st.JitterMs, st.BufferMs, st.R, st.MOS = st.In.JitterMs, st.In.BufferMs, st.In.R, st.In.MOSCQ
	}
}

// figures are those of what is received.
func (s *Session) figures() *Figures {
	in, f := &s.in, &Figures{RTTMs: s.reports.roundTrip()}
	tally := in.bursts.sum()
	clock := float64(in.playout.clock)
	packet := 1000 * float64(in.playout.frame) / clock
	if in.reception.unique > 1 {
		f.JitterMs = number(1000 * in.reception.jitter / clock)
	}
	if in.playout.played {
		f.BufferMs = number(1000 * in.playout.delayed / clock)
	}
	due := max(in.expected(), 1)
	f.LossPercent = number(100 * share(in.lost(), due))
	f.DiscardPercent = number(100 * min(share(int64(in.playout.discarded), due), 1))
	burst, gap := tally.densities()
	f.BurstPercent, f.GapPercent = number(100*burst), number(100*gap)
	if packet > 0 {
		burst, gap := tally.lengths()
		f.BurstMs, f.GapMs = number(packet*burst), number(packet*gap)
	}
	if f.BufferMs != nil {
		f.EndSystemMs = number(float64(s.chain.negotiated.PTime) + *f.BufferMs)
		if f.RTTMs != nil {
			f.DelayMs = number(packet + *f.RTTMs/2 + *f.BufferMs)
		}
	}
	if s.heard.anybody {
		f.SignalDBm0 = number(s.heard.level)
	}
	if in.last.Sub(in.first) >= mosAfter {
		s.rate(f, packet, tally.ratio())
	}
	return f
}

// rate judges by the E-model, with the impairment of the codec that came last. The delay is that of one way as far as it is known.
func (s *Session) rate(f *Figures, packetMs, burstR float64) {
	impairment := s.chain.comes(s.in.spoken).Impairment
	model := EModel{
		Ie: impairment.Ie, Bpl: impairment.Bpl, BurstR: burstR,
		LossPercent: min(*f.LossPercent+*f.DiscardPercent, 100),
	}
	f.MOSLQ = number(model.MOS())
	model.DelayMs = packetMs
	if f.RTTMs != nil {
		model.DelayMs += *f.RTTMs / 2
	}
	if f.BufferMs != nil {
		model.DelayMs += *f.BufferMs
	}
	f.R, f.MOSCQ = number(model.R()), number(model.MOS())
}

// told is what the peer says of what it receives of us: by its reception reports, and by VoIP metrics where it sends them. nil
// before it said anything.
func (s *Session) told() *Figures {
	r := &s.reports
	if r.peer == nil && r.metrics == nil {
		return nil
	}
	f := &Figures{}
	if r.metrics != nil {
		*f = *r.metrics
	}
	if p := r.peer; p != nil {
		f.JitterMs = number(p.JitterMs)
		if f.LossPercent == nil && p.Of > 0 {
			f.LossPercent = number(min(100*float64(max(p.Lost, 0))/float64(p.Of), 100))
		}
	}
	if f.RTTMs == nil {
		f.RTTMs = r.roundTrip()
	}
	if f.BufferMs != nil && f.RTTMs != nil {
		f.DelayMs = number(float64(s.chain.negotiated.PTime) + *f.RTTMs/2 + *f.BufferMs)
	}
	return f
}

func number(v float64) *float64 { return &v }
