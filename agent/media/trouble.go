package media

import "time"

// Trouble is something wrong with the audio that is received, whether anybody noticed or not.
type Trouble string

// The kinds of trouble.
const (
	OneWay   Trouble = "one-way"  // nothing came for nearly two seconds, though it should
	Muted    Trouble = "silence"  // packets came, and nothing was heard in them for nearly three seconds
	Clipping Trouble = "clipping" // the peer's audio is cut off at full scale
)

// When it is called so: early enough to be said within two, or three, seconds of its beginning, the way through the jitter buffer
// included.
const (
	oneWayAfter  = 1900 * time.Millisecond
	mutedAfter   = 2800 * time.Millisecond
	fullScalePCM = 32100 // above the largest but one step of G.711
	clippedPart  = 0.01  // of the samples of a window
)

// watch looks for trouble frame by frame. It knows nothing of packets that came late or not at all: those are counted elsewhere.
type watch struct {
	due     time.Time // since when something should come; zero: nothing should
	gap     time.Duration
	quiet   time.Duration // so far
	silence time.Duration // longest

	clipped, samples int // of the running second
	seconds          int // that were clipped
}

// look takes one frame that is due. last is when the peer's last packet came.
func (w *watch) look(now, last time.Time, receives bool, heard volume, rate int, lasts time.Duration) {
	if !receives {
		w.due, w.quiet = time.Time{}, 0
		return
	}
	if w.due.IsZero() {
		w.due = now
	}
	gap := now.Sub(later(w.due, last))
	w.gap = max(w.gap, gap)
	if gap > 2*lasts+maxLag {
		w.quiet = 0 // that nothing comes is another trouble than that nothing is said
		return
	}
	w.listen(heard, rate, lasts)
}

// listen tells silence and clipping.
func (w *watch) listen(heard volume, rate int, lasts time.Duration) {
	w.quiet += lasts
	if !heard.silent() {
		w.quiet = 0
	}
	w.silence = max(w.silence, w.quiet)
	w.clipped += heard.clipped
	if w.samples += heard.samples; w.samples >= rate {
		if float64(w.clipped) > clippedPart*float64(w.samples) {
			w.seconds++
		}
		w.clipped, w.samples = 0, 0
	}
}

// troubles there were so far.
func (w *watch) troubles() []Trouble {
	var list []Trouble
	if w.gap >= oneWayAfter {
		list = append(list, OneWay)
	}
	if w.silence >= mutedAfter {
		list = append(list, Muted)
	}
	if w.seconds > 0 {
		list = append(list, Clipping)
	}
	return list
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Answered begins the watch for trouble anew: what comes before the answer of a call may come or not.
func (s *Session) Answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = watch{}
}
