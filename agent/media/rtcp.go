package media

import (
	"encoding/base64"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/rtcp"
)

// Times between reports. RFC 3550 §6.2: 5 s at least, half that for the first; with two members and 64 kbit/s the bandwidth never
// asks for more. A unicast session may send its first report at once; we wait a second or so, and let the second come early as
// well, so that a call of a few seconds has a round-trip time: that takes a report of ours and one of theirs after it.
const (
	reportEvery     = 5 * time.Second
	reportCompenser = 1.21828 // e - 3/2, §6.3.1
	earlyReports    = 2
	earlyFrom       = time.Second
	earlySpread     = 1500 * time.Millisecond
	maxRTT          = time.Minute
)

// PeerReport is what the peer's last RTCP report said of the stream we send.
type PeerReport struct {
	Lost         int     // packets, cumulative; duplicates can make it negative
	FractionLost float64 // 0..1, since its report before
	JitterMs     float64
	Of           uint64 // packets we had sent when it came
}

// reports is the RTCP side of a session.
type reports struct {
	cname      string
	next       time.Time // when the next report is due
	count      int       // reports sent
	packetsOld [2]uint64 // RTP packets sent at the last two reports

	sent [4]sentReport // our last sender reports

	learned netip.AddrPort // where the peer's RTCP comes from
	heard   time.Time      // last RTCP of the peer
	srSSRC  uint32         // of the peer's last sender report
	srNTP   uint32
	srAt    time.Time

	peer    *PeerReport
	metrics *Figures // the peer's last VoIP metrics
	rtt     *time.Duration
	left    bool // the peer said BYE for the source we hear
}

type sentReport struct {
	ntp uint32 // middle 32 bits, as the peer gives it back
	at  time.Time
}

// newReports makes a canonical name for one session: 96 random bits (RFC 7022 §4.2), which say nothing of host or user.
func newReports() reports {
	var random [12]byte
	binary.BigEndian.PutUint64(random[:], rand.Uint64())
	binary.BigEndian.PutUint32(random[8:], rand.Uint32())
	return reports{cname: base64.RawStdEncoding.EncodeToString(random[:])}
}

// schedule sets the time of the next report.
func (r *reports) schedule(now time.Time) {
	if r.count < earlyReports {
		r.next = now.Add(earlyFrom + rand.N(earlySpread))
		return
	}
	interval := float64(reportEvery) * (0.5 + rand.Float64()) / reportCompenser
	r.next = now.Add(time.Duration(interval))
}

// report makes a compound packet: what we sent and received, and who we are.
func (s *Session) report(now time.Time) []rtcp.Packet {
	r, o := &s.reports, s.out
	var blocks []rtcp.ReceptionReport
	if s.in.any {
		blocks = []rtcp.ReceptionReport{s.receptionReport(now)}
	}
	packets := o.packets.Load()
	var first rtcp.Packet = &rtcp.ReceiverReport{SSRC: o.header.SSRC, Reports: blocks}
	if packets > r.packetsOld[1] { // §6.4: a sender is who sent since the report before the last
		ntp := s.ntp(now)
		first = &rtcp.SenderReport{
			SSRC: o.header.SSRC, NTPTime: ntp, RTPTime: o.tick,
			PacketCount: uint32(packets), OctetCount: uint32(o.octets.Load()), Reports: blocks,
		}
		r.sent[r.count%len(r.sent)] = sentReport{uint32(ntp >> 16), now}
	}
	r.packetsOld = [2]uint64{packets, r.packetsOld[0]}
	r.count++
	name := rtcp.SourceDescriptionItem{Type: rtcp.SDESCNAME, Text: r.cname}
	compound := []rtcp.Packet{first, &rtcp.SourceDescription{
		Chunks: []rtcp.SourceDescriptionChunk{{Source: o.header.SSRC, Items: []rtcp.SourceDescriptionItem{name}}},
	}}
	if s.chain.negotiated.VoIPMetrics && s.in.any {
		compound = append(compound, &rtcp.ExtendedReport{SenderSSRC: o.header.SSRC, Reports: []rtcp.ReportBlock{s.metrics()}})
	}
	return compound
}

// receptionReport is the block about the peer's stream (RFC 3550 §6.4.1).
func (s *Session) receptionReport(now time.Time) rtcp.ReceptionReport {
	r, rec := &s.reports, &s.in.reception
	fraction, lost := rec.report()
	lost = min(max(lost, -1<<23), 1<<23-1)
	block := rtcp.ReceptionReport{
		SSRC: rec.ssrc, FractionLost: fraction, TotalLost: uint32(lost) & 0xffffff,
		LastSequenceNumber: uint32(rec.highest() - seqMod), Jitter: uint32(rec.jitter),
	}
	if r.srSSRC == rec.ssrc && !r.srAt.IsZero() {
		block.LastSenderReport = r.srNTP
		block.Delay = uint32(now.Sub(r.srAt) * 65536 / time.Second)
	}
	return block
}

// ntp is a moment as an NTP timestamp. It runs on the monotonic clock, so that a step of the wall clock moves no measurement.
func (s *Session) ntp(t time.Time) uint64 {
	const since1900 = 2208988800
	wall := s.epoch.Add(t.Sub(s.epoch))
	return uint64(wall.Unix()+since1900)<<32 | uint64(wall.Nanosecond())<<32/uint64(time.Second)
}

// reportTo is where RTCP goes; invalid when that is not known.
func (s *Session) reportTo() netip.AddrPort {
	n, from := s.chain.negotiated, s.latch.from
	switch {
	case n.RTCPMux:
		return s.latch.destination()
	case !s.latch.symmetric:
		return n.RemoteRTCP
	case s.reports.learned.IsValid():
		return s.reports.learned
	case from.IsValid() && from.Addr() != s.latch.signalled.Addr() && from.Port() < 65535:
		return netip.AddrPortFrom(from.Addr(), from.Port()+1)
	}
	return n.RemoteRTCP
}

// written is a compound packet as it goes on the wire; nil when it cannot be, which is as harmless as losing it.
func (s *Session) written(packets []rtcp.Packet) []byte {
	b, err := rtcp.Marshal(packets)
	if err == nil {
		b, err = s.protection.protectRTCP(b)
	}
	if err != nil {
		return nil
	}
	return b
}

// sendReport sends a compound packet to the peer. Losing one is harmless, so errors are.
func (s *Session) sendReport(b []byte, to netip.AddrPort, mux bool) {
	switch {
	case b == nil || !to.IsValid():
	case mux:
		_ = s.transport.writeRTP(b, to)
	default:
		_ = s.transport.writeRTCP(b, to)
	}
}

// onRTCP takes a datagram with RTCP in it. Only the peer's host may report.
func (s *Session) onRTCP(b []byte, from netip.AddrPort, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.protection.unprotectRTCP(b)
	if err != nil || !s.isPeerHost(from.Addr()) || !s.readReports(b, now) {
		s.refused++
		return
	}
	s.reports.learned, s.reports.heard = from, now
}

func (s *Session) isPeerHost(a netip.Addr) bool {
	if s.chain == nil {
		return false
	}
	return a == s.latch.from.Addr() || a == s.latch.signalled.Addr() || a == s.chain.negotiated.RemoteRTCP.Addr()
}

// readReports reads a compound packet, report by report; what it does not need it does not parse. False when it is none.
func (s *Session) readReports(b []byte, now time.Time) bool {
	for any := false; ; any = true {
		var h rtcp.Header
		if len(b) == 0 || h.Unmarshal(b) != nil {
			return any
		}
		n := 4 * (int(h.Length) + 1)
		if n > len(b) {
			return any
		}
		s.readReport(h.Type, b[:n], now)
		b = b[n:]
	}
}

func (s *Session) readReport(kind rtcp.PacketType, b []byte, now time.Time) {
	switch kind {
	case rtcp.TypeSenderReport:
		var sr rtcp.SenderReport
		if sr.Unmarshal(b) == nil {
			s.reports.srSSRC, s.reports.srNTP, s.reports.srAt = sr.SSRC, uint32(sr.NTPTime>>16), now
			s.readBlocks(sr.Reports, now)
		}
	case rtcp.TypeReceiverReport:
		var rr rtcp.ReceiverReport
		if rr.Unmarshal(b) == nil {
			s.readBlocks(rr.Reports, now)
		}
	case rtcp.TypeExtendedReport:
		var xr rtcp.ExtendedReport
		if xr.Unmarshal(b) == nil {
			s.readMetrics(&xr)
		}
	case rtcp.TypeGoodbye:
		var bye rtcp.Goodbye
		if bye.Unmarshal(b) == nil && slices.Contains(bye.Sources, s.in.reception.ssrc) {
			s.reports.left = true
		}
	}
}

// readBlocks takes what the peer says of our stream.
func (s *Session) readBlocks(blocks []rtcp.ReceptionReport, now time.Time) {
	for _, block := range blocks {
		if block.SSRC != s.out.header.SSRC {
			continue
		}
		s.reports.peer = &PeerReport{
			Lost:         int(int32(block.TotalLost<<8) >> 8), // 24 bits, signed
			FractionLost: float64(block.FractionLost) / 256,
			JitterMs:     1000 * float64(block.Jitter) / float64(s.chain.negotiated.Codec.Clock),
			Of:           s.out.packets.Load(),
		}
		s.measureRTT(block, now)
	}
}

// measureRTT is RFC 3550 §6.4.1's round trip: now, less when our report left, less how long the peer kept it. Only reports we
// sent are believed.
func (s *Session) measureRTT(block rtcp.ReceptionReport, now time.Time) {
	for _, sent := range s.reports.sent {
		if sent.at.IsZero() || block.LastSenderReport != sent.ntp {
			continue
		}
		kept := time.Duration(block.Delay) * time.Second / 65536
		rtt := max(now.Sub(sent.at)-kept, 0)
		if rtt < maxRTT {
			s.reports.rtt = &rtt
		}
	}
}

// roundTrip is the last that was measured, in ms; nil before.
func (r *reports) roundTrip() *float64 {
	if r.rtt == nil {
		return nil
	}
	return number(1000 * r.rtt.Seconds())
}
