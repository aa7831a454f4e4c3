package call

import "github.com/softphone-operator/softphone-operator/agent/media"

// Quality is how well a call's audio arrives, in both directions. What was not measured is absent.
type Quality struct {
	// Method R and MOS are made by.
	Method string `json:"method"`
	// Received is what came from the other side, as measured here.
	Received *Arrival `json:"received,omitempty"`
	// Sent is what we sent, as the other side tells of it; By which reports: rtcp, or rtcp-xr where it sends VoIP metrics, too.
	Sent *Arrival `json:"sent,omitempty"`
	By   string   `json:"by,omitempty"`
}

// Probe is what became of a known sound that a check sent once, and that came back: it went both ways, and so both are in it.
type Probe struct {
	// MouthToEarMs is how long sound takes one way: the mean of both.
	MouthToEarMs float64 `json:"mouthToEarMs"`
	// SegmentalSNRDB is how far what differs is below what was sent, 0 to 35.
	SegmentalSNRDB float64 `json:"segmentalSnrDb"`
	// SpectralDistanceDB is the log-spectral distance of what was sent and what was heard.
	SpectralDistanceDB float64 `json:"spectralDistanceDb"`
}

// Arrival is how well the audio of one direction arrives. Percentages are of the packets that were due since the beginning.
type Arrival struct {
	// Packets that arrived; of the direction sent, those that left.
	Packets uint64 `json:"packets"`
	// Lost packets never came; discarded ones came, and were not played: too late, or too many.
	Lost           *uint64  `json:"lost,omitempty"`
	LossPercent    *float64 `json:"lossPercent,omitempty"`
	Discarded      *uint64  `json:"discarded,omitempty"`
	DiscardPercent *float64 `json:"discardPercent,omitempty"`
	Duplicates     *uint64  `json:"duplicates,omitempty"`
	Reordered      *uint64  `json:"reordered,omitempty"`
	// Bursts and gaps as RFC 3611 §4.7.2 tells them apart (Gmin 16): how many of the packets
	// within them were lost or discarded, and how long they are on average; 0 = there was none.
	BurstPercent *float64 `json:"burstPercent,omitempty"`
	BurstMs      *float64 `json:"burstMs,omitempty"`
	GapPercent   *float64 `json:"gapPercent,omitempty"`
	GapMs        *float64 `json:"gapMs,omitempty"`
	// JitterMs between arrivals (RFC 3550).
	JitterMs *float64 `json:"jitterMs,omitempty"`
	// RTTMs between the RTP interfaces.
	RTTMs *float64 `json:"rttMs,omitempty"`
	// BufferMs of the jitter buffer; EndSystemMs of the whole receiving side (RFC 3611 §4.7.4).
	BufferMs    *float64 `json:"bufferMs,omitempty"`
	EndSystemMs *float64 `json:"endSystemMs,omitempty"`
	// DelayMs of one way, mouth to ear: a packet, half the round trip and the jitter buffer.
	DelayMs *float64 `json:"delayMs,omitempty"`
	// R of the conversation; MOS of listening, and of the conversation.
	R     *float64 `json:"r,omitempty"`
	MOSLQ *float64 `json:"mosLq,omitempty"`
	MOSCQ *float64 `json:"mosCq,omitempty"`
	// SignalDBm0 is the level of what is not silence, NoiseDBm0 of the silence.
	SignalDBm0 *float64 `json:"signalDbm0,omitempty"`
	NoiseDBm0  *float64 `json:"noiseDbm0,omitempty"`
}

// qualityOf takes a session's figures; nil before there are any.
func qualityOf(s media.Stats) *Quality {
	if s.In == nil && s.Out == nil {
		return nil
	}
	q := &Quality{Method: media.MOSMethod}
	if s.In != nil {
		q.Received = arrival(s.Received, s.In)
		q.Received.Lost, q.Received.Discarded, q.Received.Duplicates, q.Received.Reordered = &s.Lost, &s.Discarded, &s.Duplicates, &s.Reordered
	}
	if s.Out != nil {
		q.Sent, q.By = arrival(s.Sent, s.Out), "rtcp"
		if s.Extended {
			q.By = "rtcp-xr"
		}
		if s.Peer != nil {
			lost := uint64(max(s.Peer.Lost, 0)) // duplicates can make it negative
			q.Sent.Lost = &lost
		}
	}
	return q
}

func arrival(packets uint64, f *media.Figures) *Arrival {
	return &Arrival{
		Packets: packets, LossPercent: f.LossPercent, DiscardPercent: f.DiscardPercent,
		BurstPercent: f.BurstPercent, BurstMs: f.BurstMs, GapPercent: f.GapPercent, GapMs: f.GapMs,
		JitterMs: f.JitterMs, RTTMs: f.RTTMs, BufferMs: f.BufferMs, EndSystemMs: f.EndSystemMs, DelayMs: f.DelayMs,
		R: f.R, MOSLQ: f.MOSLQ, MOSCQ: f.MOSCQ, SignalDBm0: f.SignalDBm0, NoiseDBm0: f.NoiseDBm0,
	}
}
