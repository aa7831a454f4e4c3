package media

// Limits of RFC 3550 A.1.
const (
	maxDropout  = 3000 // sequence numbers a source may skip
	maxMisorder = 100  // sequence numbers a packet may come late
	seqMod      = 1 << 16
	noBadSeq    = seqMod + 1 // so that no sequence number equals it
)

// verdict is what the sequence number of a packet says about it.
type verdict uint8

const (
	inOrder   verdict = iota
	reordered         // older than another that came before
	duplicate         // came before
	jumped            // far from what was expected: not taken, unless the next packet follows it
	restarted         // the second packet after a jump: the source began anew with it, and so must its reception
)

// reception keeps, for one synchronisation source, the state of RFC 3550 A.1 (sequence), A.3 (loss) and A.8 (jitter).
type reception struct {
	ssrc    uint32
	maxSeq  uint16
	cycles  int64  // sequence cycles, counted from 1 so that what comes before the first packet stays positive
	baseExt int64  // extended number of the first packet
	badSeq  uint32 // the number after a jump, which would confirm it
	seen    [2]uint64

	received      int64 // as RFC 3550 counts, duplicates included
	unique        int64
	expectedPrior int64
	receivedPrior int64

	transit    int64
	hasTransit bool
	jitter     float64 // timestamp units
}

// begin is init_seq of A.1.
func (r *reception) begin(ssrc uint32, seq uint16) int64 {
	ext := int64(seqMod) + int64(seq)
	*r = reception{ssrc: ssrc, maxSeq: seq, cycles: seqMod, baseExt: ext, badSeq: noBadSeq}
	r.mark(0)
	return ext
}

// update is update_seq of A.1, without the probation, which the latch does. It gives the extended sequence number.
func (r *reception) update(seq uint16) (int64, verdict) {
	ahead := seq - r.maxSeq
	switch {
	case ahead != 0 && ahead < maxDropout:
		if seq < r.maxSeq {
			r.cycles += seqMod
		}
		r.maxSeq = seq
		r.slide(uint(ahead))
		r.mark(0)
		return r.cycles + int64(seq), inOrder
	case ahead != 0 && int(ahead) <= seqMod-maxMisorder:
		if uint32(seq) == r.badSeq {
			return 0, restarted
		}
		r.badSeq = uint32(seq+1) & (seqMod - 1)
		return 0, jumped
	}
	behind := r.maxSeq - seq
	ext := r.cycles + int64(r.maxSeq) - int64(behind)
	if !r.mark(uint(behind)) {
		r.received++
		return ext, duplicate
	}
	r.baseExt = min(r.baseExt, ext)
	return ext, reordered
}

// slide moves the window of seen numbers n further.
func (r *reception) slide(n uint) {
	switch {
	case n >= 128:
		r.seen = [2]uint64{}
	case n >= 64:
		r.seen = [2]uint64{0, r.seen[0] << (n - 64)}
	default:
		r.seen = [2]uint64{r.seen[0] << n, r.seen[1]<<n | r.seen[0]>>(64-n)}
	}
}

// mark counts the number n before the highest as seen; false when it was.
func (r *reception) mark(n uint) bool {
	word, bit := &r.seen[n/64%2], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	r.received++
	r.unique++
	return true
}

// arrived takes the arrival of a packet, in timestamp units of any origin, into the jitter (A.8).
func (r *reception) arrived(arrival int64, timestamp uint32) {
	transit := arrival - int64(timestamp)
	if r.hasTransit {
		d := float64(int32(transit - r.transit)) // timestamps wrap
		if d < 0 {
			d = -d
		}
		r.jitter += (d - r.jitter) / 16
	}
	r.transit, r.hasTransit = transit, true
}

// retime goes on in another unit of timestamps.
func (r *reception) retime(from, to int) {
	r.jitter, r.hasTransit = r.jitter*float64(to)/float64(from), false
}

// expected is how many packets the source sent, as far as can be seen.
func (r *reception) expected() int64 { return r.highest() - r.baseExt + 1 }

// highest is the extended highest sequence number.
func (r *reception) highest() int64 { return r.cycles + int64(r.maxSeq) }

// lost is how many packets never came.
func (r *reception) lost() int64 { return max(r.expected()-r.unique, 0) }

// report gives the loss since the last report, in 1/256, and in all, as a reception report has them (A.3): duplicates are counted
// as received, so that loss can be negative.
func (r *reception) report() (fraction uint8, cumulative int64) {
	expected, received := r.expected(), r.received
	expectedInterval, lostInterval := expected-r.expectedPrior, expected-r.expectedPrior-(received-r.receivedPrior)
	r.expectedPrior, r.receivedPrior = expected, received
	if expectedInterval > 0 && lostInterval > 0 {
		fraction = uint8(min(lostInterval<<8/expectedInterval, 255))
	}
	return fraction, expected - received
}
