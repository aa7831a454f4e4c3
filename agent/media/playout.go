package media

import "github.com/softphone-operator/softphone-operator/agent/codec"

const (
	slotCount    = 64   // packets the playout holds: more than a second of 20 ms
	holdMaxMs    = 240  // delay up to which the playout waits for late packets
	limitMs      = 400  // delay over the target at which audio is thrown away at once
	patienceMs   = 1000 // how long too much delay is borne before it is squeezed out
	lateRunLimit = 10   // packets in a row too late: the timeline is wrong, not the packets
)

// slot holds one received packet until it is played.
type slot struct {
	seq     int64 // extended
	ts      int64 // extended
	used    bool
	audio   bool // false: a packet that only fills its place in the sequence, such as a telephone-event
	pt      uint8
	payload []byte // kept and used again
}

// playout is the jitter buffer: packets go in as they arrive, PCM comes out at the pace of the clock. Time is RTP timestamp ticks.
//
// It plays timestamp `next` at time now, and tries to keep now - next at delay.base + delay.target. It waits (and the delay grows)
// when it runs dry, and shortens pauses, or cross-fades two frames into one, when the delay is longer than needed. What is
// missing is concealed by the decoder. Allocates nothing once it is warm.
type playout struct {
	clock, rate int   // RTP ticks and samples a second
	step        int64 // ticks a pull
	slots       [slotCount]slot
	delay       delay

	lastTS uint32
	lastX  int64 // lastTS extended
	primed bool  // a packet came: head and top mean something
	head   int64 // sequence number last taken out
	top    int64 // highest put in

	running bool
	edge    int64   // timestamp after the last decoded sample
	pcm     []int16 // decoded, not played
	spare   []int16 // second frame of a cross-fade
	decoder codec.Decoder
	kinds   *[128]payloadKind // of the payload types; nil: whatever is no audio is a pause
	noise   codec.Noise
	noisy   bool // the pause is filled with it
	pause   bool // the last packet taken held no audio: what follows is a pause, not a loss
	excess  int64
	lateRun int

	discarded uint64  // packets too late, or too many
	bursts    *bursts // told of them; may be nil
	tape      *tape   // takes what was received; nil: nothing is recorded
	frame     int64   // ticks in the last packet played
	lag       int64   // delay over base at the last pull, ticks; grows while the playout waits
	delayed   float64 // delay over base that packets were played with of late, ticks
	played    bool    // some were
}

func newPlayout(clock, rate int, step int64) *playout {
	return &playout{clock: clock, rate: rate, step: step, delay: newDelay(clock, step)}
}

// reset forgets the stream, not the counters.
func (p *playout) reset() {
	for i := range p.slots {
		p.slots[i].used = false
	}
	p.primed, p.running, p.pause, p.noisy, p.excess, p.lateRun = false, false, false, false, 0, 0
	p.pcm, p.delay = p.pcm[:0], newDelay(p.clock, p.step)
}

func (p *playout) samples(ticks int64) int { return int(ticks * int64(p.rate) / int64(p.clock)) }
func (p *playout) ticks(samples int) int64 { return int64(samples) * int64(p.clock) / int64(p.rate) }

// next is the timestamp of the next sample to be played.
func (p *playout) next() int64 { return p.edge - p.ticks(len(p.pcm)) }

// put stores a packet that arrived at a time in ticks. seq is the extended sequence number.
func (p *playout) put(seq int64, ts uint32, arrival int64, pt uint8, audio bool, payload []byte) {
	if p.lateRun > lateRunLimit {
		p.reset()
	}
	var x int64
	if audio {
		x = p.extend(ts)
		if p.delay.observe(arrival - x) {
			p.reset()
			x = p.extend(ts)
			p.delay.observe(arrival - x)
		}
	}
	if !p.primed {
		p.primed, p.head, p.top = true, seq-1, seq-1
	}
	if !p.running && seq <= p.head && p.top-seq < slotCount {
		p.head = seq - 1
	}
	if seq <= p.head {
		p.drop(seq)
		return
	}
	for ; p.head < seq-slotCount; p.head++ {
		if s := &p.slots[(p.head+1)%slotCount]; s.used && s.seq == p.head+1 {
			s.used = false
			p.discarded++
			p.bursts.discarded(s.seq)
		}
	}
	s := &p.slots[seq%slotCount]
	s.seq, s.ts, s.used, s.audio, s.pt = seq, x, true, audio, pt
	s.payload = append(s.payload[:0], payload...)
	p.top = max(p.top, seq)
}

func (p *playout) drop(seq int64) {
	p.discarded++
	p.bursts.discarded(seq)
	p.lateRun++
}

// extend makes a timestamp that does not wrap.
func (p *playout) extend(ts uint32) int64 {
	p.lastX += int64(int32(ts - p.lastTS))
	p.lastTS = ts
	return p.lastX
}

// first is the earliest packet held.
func (p *playout) first() *slot {
	if !p.primed {
		return nil
	}
	for seq := p.head + 1; seq <= p.top; seq++ {
		if s := &p.slots[seq%slotCount]; s.used && s.seq == seq {
			return s
		}
	}
	return nil
}

func (p *playout) take(s *slot) {
	s.used = false
	p.head = s.seq
}

// pull plays the next frame at a time in ticks; silence while there is nothing to play. It reports whether a stream is being played.
func (p *playout) pull(now int64, out []int16, decoders *[128]codec.Decoder) bool {
	if !p.running && !p.start(now) {
		clear(out)
		return false
	}
	p.lag = now - p.next() - p.delay.base()
	want := p.delay.target(p.step)
	switch {
	case p.lag > want+p.ms(limitMs):
		p.skip(p.lag - want)
		p.excess = 0
	case p.lag > want+p.step:
		if p.excess += p.step; p.excess > p.ms(patienceMs) {
			p.squeeze(out, decoders, want)
			p.excess = 0
			return true
		}
	default:
		p.excess = 0
	}
	p.fill(out, decoders, want)
	return true
}

func (p *playout) ms(n int64) int64 { return n * int64(p.clock) / 1000 }

// start begins to play once the first packet has waited for the target delay.
func (p *playout) start(now int64) bool {
	s := p.first()
	for ; s != nil && !s.audio; s = p.first() {
		p.take(s)
	}
	if s == nil || now-s.ts-p.delay.base() < p.delay.target(p.step) {
		return false
	}
	p.running, p.edge, p.pcm, p.lateRun = true, s.ts, p.pcm[:0], 0
	return true
}

// fill plays len(out) samples.
func (p *playout) fill(out []int16, decoders *[128]codec.Decoder, want int64) {
	if p.straight(out, decoders) {
		return
	}
	for len(p.pcm) < len(out) {
		missing := len(out) - len(p.pcm)
		switch s := p.first(); {
		case s == nil:
			p.starve(missing)
		case !s.audio:
			p.take(s)
			p.pause = true
			if p.kinds != nil && p.kinds[s.pt] == noisePayload {
				p.noise.Describe(s.payload)
				p.noisy = true
			}
		case s.ts > p.edge:
			p.bridge(s, missing, want, decoders)
		default:
			p.decode(s, decoders)
		}
	}
	copy(out, p.pcm)
	p.pcm = p.pcm[:copy(p.pcm, p.pcm[len(out):])]
}

// straight decodes the packet whose time it is to where it is played, when it is just as long: nothing has to be kept, as is the rule.
func (p *playout) straight(out []int16, decoders *[128]codec.Decoder) bool {
	s := p.first()
	if len(p.pcm) > 0 || s == nil || !s.audio || s.ts != p.edge || decoders[s.pt] == nil || decoders[s.pt].Samples(s.payload) != len(out) {
		return false
	}
	own := p.pcm
	p.pcm = out[:0]
	p.decode(s, decoders)
	if len(p.pcm) == len(out) && &p.pcm[0] == &out[0] {
		p.pcm = own
		return true
	}
	p.pcm = append(own, p.pcm...)
	return false
}

// starve makes up samples when nothing is held. Up to a limit the timeline waits meanwhile: packets on their way are then not too late.
func (p *playout) starve(samples int) {
	p.conceal(samples)
	if p.pause || p.lag >= p.ms(holdMaxMs) {
		p.edge += p.ticks(samples)
	} else {
		p.lag += p.ticks(samples)
	}
}

// bridge leads over the gap before a packet. A delay longer than needed is taken out of the gap.
func (p *playout) bridge(s *slot, samples int, want int64, decoders *[128]codec.Decoder) {
	gap := s.ts - p.edge
	if over := p.lag - want; over > p.step {
		cut := min(gap, over)
		p.edge, p.lag, gap = p.edge+cut, p.lag-cut, gap-cut
	}
	if s.seq == p.head+1 {
		p.pause = true // nothing is missing: the sender paused
	}
	// A gap smaller than a sample's worth of ticks still has to end.
	n := min(samples, max(p.samples(gap), 1))
	if gap > 0 {
		if recovered := p.recover(s, gap, decoders); recovered > 0 {
			p.edge += recovered
			return
		}
		p.conceal(n)
		p.edge = min(p.edge+max(p.ticks(n), 1), s.ts)
	}
}

// recover fills what was lost just before a packet with what the packet repeats of it, where its codec does that. It gives the ticks.
func (p *playout) recover(s *slot, gap int64, decoders *[128]codec.Decoder) int64 {
	d := decoders[s.pt]
	r, ok := d.(codec.Recoverer)
	if !ok || p.pause || p.decoder != d || gap > p.ticks(d.Samples(s.payload)) {
		return 0
	}
	from := len(p.pcm)
	p.pcm = r.Recover(p.pcm, s.payload, p.samples(gap))
	p.tape.heard(p.pcm[from:], p.edge, p.clock, from)
	return gap
}

// conceal makes up samples: in a pause silence, or the noise that the peer describes, else what the decoder thinks.
func (p *playout) conceal(samples int) {
	if p.pause && p.noisy {
		p.pcm = p.noise.Append(p.pcm, samples)
		return
	}
	if p.pause || p.decoder == nil {
		p.pcm = appendSilence(p.pcm, samples)
		return
	}
	p.pcm = p.decoder.Conceal(p.pcm, samples)
}

func appendSilence(pcm []int16, n int) []int16 {
	for range n {
		pcm = append(pcm, 0)
	}
	return pcm
}

// decode plays a packet, without the part whose time is over.
func (p *playout) decode(s *slot, decoders *[128]codec.Decoder) {
	p.take(s)
	d := decoders[s.pt]
	if d == nil {
		p.pause = true
		return
	}
	n := d.Samples(s.payload)
	end := s.ts + p.ticks(n)
	if n == 0 || end <= p.edge {
		p.drop(s.seq)
		return
	}
	p.frame = end - s.ts
	from := len(p.pcm)
	pcm, err := d.Decode(p.pcm, s.payload)
	if err != nil {
		pcm = d.Conceal(p.pcm[:from], n)
	}
	over := min(p.samples(p.edge-s.ts), len(pcm)-from)
	p.pcm = pcm[:from+copy(pcm[from:], pcm[from+over:])]
	if err == nil {
		p.tape.heard(p.pcm[from:], end-p.ticks(len(p.pcm)-from), p.clock, from)
	}
	p.edge, p.decoder, p.pause, p.noisy, p.lateRun = end, d, false, false, 0
	if !p.played {
		p.delayed, p.played = float64(p.lag), true
	}
	p.delayed += (float64(p.lag) - p.delayed) / 64
}

// squeeze plays two frames in the time of one, fading from the first to the second.
func (p *playout) squeeze(out []int16, decoders *[128]codec.Decoder, want int64) {
	if len(p.spare) < len(out) {
		p.spare = make([]int16, len(out))
	}
	second := p.spare[:len(out)]
	p.fill(out, decoders, want)
	p.fill(second, decoders, want)
	n := len(out)
	for i := range out {
		out[i] = int16((int(out[i])*(n-i) + int(second[i])*i) / n)
	}
}

// skip throws audio away.
func (p *playout) skip(ticks int64) {
	n := min(p.samples(ticks), len(p.pcm))
	p.pcm = p.pcm[:copy(p.pcm, p.pcm[n:])]
	p.edge += ticks - p.ticks(n)
	p.lag -= ticks
}
