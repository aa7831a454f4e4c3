package media

import (
	"math"

	"github.com/pion/rtcp"
)

// What the fields of a VoIP metrics block say beside numbers (RFC 3611 §4.7).
const (
	unavailable = 127
	// receiverConfig: concealment that fills in for single packets (11), a jitter buffer that adapts (11), at a rate that is not told.
	receiverConfig = 0b1111_0000
)

// metrics is the VoIP metrics block about the peer's stream (RFC 3611 §4.7), once there is one.
func (s *Session) metrics() *rtcp.VoIPMetricsReportBlock {
	f, p := s.figures(), s.in.playout
	ms := func(ticks int64) *float64 { return number(1000 * float64(ticks) / float64(p.clock)) }
	target, most := p.delay.target(p.step), p.delay.most(p.step)
	return &rtcp.VoIPMetricsReportBlock{
		SSRC:     s.in.reception.ssrc,
		LossRate: fraction(f.LossPercent), DiscardRate: fraction(f.DiscardPercent),
		BurstDensity: fraction(f.BurstPercent), GapDensity: fraction(f.GapPercent),
		BurstDuration: whole(f.BurstMs), GapDuration: whole(f.GapMs),
		RoundTripDelay: whole(f.RTTMs), EndSystemDelay: whole(f.EndSystemMs),
		SignalLevel: level(f.SignalDBm0), NoiseLevel: level(f.NoiseDBm0), RERL: unavailable, Gmin: gapMin,
		RFactor: rating(f.R, 1), ExtRFactor: unavailable, MOSLQ: rating(f.MOSLQ, 10), MOSCQ: rating(f.MOSCQ, 10),
		RXConfig:  receiverConfig,
		JBNominal: whole(f.BufferMs), JBMaximum: whole(ms(target + p.ms(limitMs))), JBAbsMax: whole(ms(most + p.ms(limitMs))),
	}
}

// fraction is a percentage as a fixed-point number of 8 bits behind the point.
func fraction(percent *float64) uint8 {
	if percent == nil {
		return 0
	}
	return uint8(min(max(*percent*256/100, 0), 255))
}

// whole is a number of milliseconds; 0 where there is none, as the RFC has it of what an implementation cannot tell.
func whole(ms *float64) uint16 {
	if ms == nil {
		return 0
	}
	return uint16(min(max(math.Round(*ms), 0), math.MaxUint16))
}

// rating is R, or a MOS times ten.
func rating(v *float64, scale float64) uint8 {
	if v == nil {
		return unavailable
	}
	return uint8(min(max(math.Round(scale**v), 0), 100))
}

// level is one in dBm0.
func level(v *float64) uint8 {
	if v == nil {
		return unavailable
	}
	return uint8(int8(min(max(math.Round(*v), -126), 126)))
}

// readMetrics takes what the peer's extended report says of our stream.
func (s *Session) readMetrics(xr *rtcp.ExtendedReport) {
	for _, report := range xr.Reports {
		if b, ok := report.(*rtcp.VoIPMetricsReportBlock); ok && b.SSRC == s.out.header.SSRC {
			s.reports.metrics = measured(b)
		}
	}
}

// measured reads a block. What says that it is not known, or says nothing that makes sense, is nil.
func measured(b *rtcp.VoIPMetricsReportBlock) *Figures {
	f := &Figures{
		LossPercent: percent(b.LossRate), DiscardPercent: percent(b.DiscardRate),
		BurstPercent: percent(b.BurstDensity), GapPercent: percent(b.GapDensity),
		BurstMs: number(float64(b.BurstDuration)), GapMs: number(float64(b.GapDuration)),
		RTTMs: known(b.RoundTripDelay), EndSystemMs: known(b.EndSystemDelay), BufferMs: known(b.JBNominal),
		R: scored(b.RFactor, 1, 0, 100), MOSLQ: scored(b.MOSLQ, 10, 1, 5), MOSCQ: scored(b.MOSCQ, 10, 1, 5),
		SignalDBm0: levelled(b.SignalLevel), NoiseDBm0: levelled(b.NoiseLevel),
	}
	if b.Gmin != gapMin {
		f.BurstPercent, f.GapPercent, f.BurstMs, f.GapMs = nil, nil, nil, nil // of other bursts than ours
	}
	return f
}

func percent(v uint8) *float64 { return number(float64(v) * 100 / 256) }

// known is a number of which 0 says that it is not.
func known(ms uint16) *float64 {
	if ms == 0 {
		return nil
	}
	return number(float64(ms))
}

func scored(v uint8, scale, least, most float64) *float64 {
	if got := float64(v) / scale; v != unavailable && got >= least && got <= most {
		return &got
	}
	return nil
}

func levelled(v uint8) *float64 {
	if v == unavailable {
		return nil
	}
	return number(float64(int8(v)))
}
