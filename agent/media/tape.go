package media

import "time"

// Recorder keeps a call's audio. Record takes the next frames, left what we sent and right what came, in turn, at a rate that stays;
// first is how many frames were before them. It must not block, and not keep pcm.
type Recorder interface {
	Record(pcm []int16, rate int, first int64)
}

// How far from the moment received audio may lie on the tape: what the jitter buffer may hold, and something for clocks that differ.
// Beyond that its timestamps mean another time than before.
const (
	tapeSlackMs = 500
	tapeKeepMs  = 600 // behind the moment, before it is handed on
	tapeBlockMs = 100 // handed on at once
	tapeMs      = 2000
)

// tape lays what is sent and what is received beside each other: what is sent at the moment it is sent, what is received by its RTP
// timestamps, from the moment at which the first of it is played. Where packets are missing there is silence, not what
// was made up in their place. A nil tape records nothing. It allocates nothing once a chain is in place.
type tape struct {
	to    Recorder
	rate  int     // of the recording: the first chain's
	frame []int16 // a ring of frames, two samples each
	start time.Time
	begun bool
	now   int64 // frame that is sent, and played, at this moment
	done  int64 // frames handed on
	end   int64 // after the last that holds audio, or silence that was meant

	chain       int        // rate of the chain
	left, right *resampler // nil where the rates are the same
	room        []int16

	anchored bool
	anchor   int64 // frame of timestamp 0
}

func newTape(to Recorder) *tape {
	if to == nil {
		return nil
	}
	return &tape{to: to}
}

// thread makes the tape ready for a chain of a rate. Rates that are no multiples of each other do not occur among our codecs; if they
// did, what is of the other rate would be left out.
func (t *tape) thread(rate int) {
	if t == nil || t.chain == rate {
		return
	}
	if t.rate == 0 {
		t.rate, t.frame = rate, make([]int16, 2*rate*tapeMs/1000)
	}
	t.chain, t.left, t.right = rate, nil, nil
	if rate != t.rate {
		t.left, _ = newResampler(rate, t.rate)
		t.right, _ = newResampler(rate, t.rate)
		t.room = make([]int16, 0, t.rate/4)
	}
	t.anchored = false
}

// turn moves the tape to the moment of a frame that is due, and hands on what will not change any more.
func (t *tape) turn(due time.Time) {
	if t == nil {
		return
	}
	if !t.begun {
		t.begun, t.start = true, due
	}
	d := due.Sub(t.start)
	t.now = max(t.now, int64(d/time.Second)*int64(t.rate)+int64(d%time.Second)*int64(t.rate)/int64(time.Second))
	t.end = max(t.end, t.now)
	t.handOn(t.now-t.ms(tapeKeepMs), t.ms(tapeBlockMs))
}

func (t *tape) ms(n int64) int64 { return n * int64(t.rate) / 1000 }

// handOn gives the recorder all whole blocks up to a frame.
func (t *tape) handOn(to, block int64) {
	size := int64(len(t.frame) / 2)
	for to-t.done >= block && block > 0 {
		at := t.done % size
		n := min(block, size-at)
		part := t.frame[2*at : 2*(at+n)]
		t.to.Record(part, t.rate, t.done)
		clear(part)
		t.done += n
	}
}

// sent lays down what is sent at this moment.
func (t *tape) sent(pcm []int16) {
	if t == nil || !t.begun {
		return
	}
	if pcm = t.fit(t.left, pcm); pcm != nil {
		t.lay(0, pcm, t.now)
	}
}

// heard lays down what a packet held. ts is the extended timestamp of its first sample, ahead how many samples are played before it
// from this moment on.
func (t *tape) heard(pcm []int16, ts int64, clock, ahead int) {
	if t == nil || !t.begun {
		return
	}
	if pcm = t.fit(t.right, pcm); pcm == nil {
		return
	}
	moment := t.now + int64(ahead)*int64(t.rate)/int64(t.chain)
	at := ts * int64(t.rate) / int64(clock)
	if off := t.anchor + at - moment; !t.anchored || off > t.ms(tapeSlackMs) || off < -t.ms(tapeSlackMs) {
		t.anchored, t.anchor = true, moment-at
	}
	t.lay(1, pcm, t.anchor+at)
}

// lift forgets what timestamps mean: another stream has others.
func (t *tape) lift() {
	if t != nil {
		t.anchored = false
	}
}

// fit brings samples of the chain to the tape's rate; nil when that cannot be.
func (t *tape) fit(r *resampler, pcm []int16) []int16 {
	switch {
	case t.chain == t.rate:
		return pcm
	case r == nil:
		return nil
	}
	t.room = r.append(t.room[:0], pcm)
	return t.room
}

// lay writes one channel of frames that are still on the tape.
func (t *tape) lay(channel int, pcm []int16, at int64) {
	size := int64(len(t.frame) / 2)
	for i, v := range pcm {
		if f := at + int64(i); f >= t.done && f < t.done+size {
			t.frame[2*(f%size)+int64(channel)] = v
			t.end = max(t.end, f+1)
		}
	}
}

// close hands on what is left.
func (t *tape) close() {
	if t == nil || !t.begun {
		return
	}
	t.handOn(t.end, t.ms(tapeBlockMs))
	if t.end > t.done {
		t.handOn(t.end, t.end-t.done)
	}
	if t.end > t.done { // the rest lay across the end of the ring
		t.handOn(t.end, t.end-t.done)
	}
}
