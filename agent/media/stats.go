package media

import (
	"slices"
	"time"
)

// MOSMethod names how R and MOS are made.
const MOSMethod = "E-model of ITU-T G.107 (06/2015), Ie and Bpl of G.113 Appendix I"

// mosAfter is how long the peer's stream must have been heard before its quality is judged.
const mosAfter = time.Second

// Stats is what a session has measured so far. Counters only grow; pointers are nil until there was something to measure.
type Stats struct {
	Codec     string // what is sent, as "PCMU/8000"; empty before the start
	LocalSSRC uint32
	Cipher    string // SRTP's crypto suite, as "AEAD_AES_256_GCM"; empty while nothing is protected

	Sent       uint64 // RTP packets sent
	SendErrors uint64 // RTP packets the network would not take
	Received   uint64 // RTP packets of the peer, duplicates not counted
	Lost       uint64 // RTP packets of the peer that never came
	Discarded  uint64 // RTP packets that came too late to be played, or were too many; they count as received, too
	Duplicates uint64
	Reordered  uint64 // RTP packets that came after a later one
	Refused    uint64 // datagrams that were not the peer's: strangers', malformed, before the start
	SSRCs      int    // synchronisation sources of the peer

	JitterMs *float64    // interarrival jitter (RFC 3550 A.8)
	RTTMs    *float64    // round trip (RFC 3550 §6.4.1)
	BufferMs *float64    // delay the jitter buffer added of late
	R, MOS   *float64    // quality of what is heard here; see MOSMethod
	In       *Figures    // how the peer's audio arrives here
	Out      *Figures    // how the peer says that ours arrives there
	Probe    *Probed     // what a Probe that came back showed
	Extended bool        // it says so by VoIP metrics (RFC 3611), too
	Peer     *PeerReport // how the peer receives us, by its last reception report
	PeerLeft bool        // the peer ended its stream by an RTCP BYE

	Stalled                 time.Duration // how late our own clock was in sum, where it was late by 50 ms and more: the process had no time
	FirstPacket, LastPacket time.Time     // of the peer's RTP; zero when none came
	LastReport              time.Time     // of the peer's RTCP; zero when none came
	Heard                   *Heard        // what is heard now; nil when the last second was silent
	LastHeard               *Heard        // the last that was heard; nil when nothing ever was
	Tones                   []ToneHeard   // those of Config.Listen
	Sound                   time.Duration // how long anything was heard; known with Config.Listen only
	LongestGap              time.Duration // without a packet, while some were due
	LongestSilence          time.Duration // in packets that came
	Trouble                 []Trouble     // there was so far
	DTMF                    string        // digits received, by telephone-event or, where none was agreed on, as tones
	DTMFSent                string        // digits sent by telephone-event
}

// Stats is a snapshot. It stays readable after Close.
func (s *Session) Stats() Stats {
	st, probe, packets := s.snapshot()
	if probe != nil {
		st.Probe = probe.judge(packets) // takes a while the first time, for which no audio waits
	}
	return st
}

// snapshot is what is known at once, a probe that came back, and the packet times of both sides together.
func (s *Session) snapshot() (Stats, *probing, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{LocalSSRC: s.out.header.SSRC, Refused: s.refused, Tones: slices.Clone(s.tones), Sound: s.sound, Stalled: s.stalled}
	if s.chain == nil {
		return st, nil, 0
	}
	in, o := &s.in, s.out
	st.Cipher = s.protection.name()
	st.Codec = s.chain.negotiated.Codec.String()
	st.Sent, st.SendErrors = o.packets.Load(), o.failures.Load()
	st.Received, st.Lost = uint64(in.received()), uint64(in.lost())
	st.Discarded, st.Duplicates, st.Reordered, st.SSRCs = in.playout.discarded, in.duplicates, in.reordered, in.ssrcs
	if p, ok := s.protection.(*secure); ok {
		st.Duplicates += p.duplicates
	}
	st.FirstPacket, st.LastPacket, st.LastReport = in.first, in.last, s.reports.heard
	st.Heard, st.LastHeard = s.heard.now(), s.heard.last()
	st.PeerLeft, st.Extended = s.reports.left, s.reports.metrics != nil
	st.LongestGap, st.LongestSilence, st.Trouble = s.watch.gap, s.watch.silence, s.watch.troubles()
	st.DTMF, st.DTMFSent = string(in.digits), string(o.digits)
	if p := s.reports.peer; p != nil {
		copied := *p
		st.Peer = &copied
	}
	s.judge(&st)
	probe, _ := s.chain.generator.(*probing)
	if probe == nil || !probe.whole {
		return st, nil, 0
	}
	return st, probe, s.chain.ptime + time.Duration(in.playout.frame)*time.Second/time.Duration(in.playout.clock)
}

// Signs of the peer's life, and of a network that takes nothing: the part of Stats that costs nothing to ask for.
type Signs struct {
	LastPacket, LastReport time.Time
	SendErrors             uint64
}

// Signs are those of now.
func (s *Session) Signs() Signs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Signs{LastPacket: s.in.last, LastReport: s.reports.heard, SendErrors: s.out.failures.Load()}
}
