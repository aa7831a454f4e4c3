package call

import "github.com/softphone-operator/softphone-operator/agent/recording"

// Recording is a call's file: what we sent on the left, what we heard on the right.
type Recording struct {
	// File in the directory of recordings, as GET /calls/{id}/recording gives it; absent while there is none.
	File string `json:"file,omitempty"`
	// Seconds and Bytes of it, once the call is over.
	Seconds float64 `json:"seconds,omitempty"`
	Bytes   int64   `json:"bytes,omitempty"`
	// DroppedSeconds are silent in it, though something was said: the disk was too slow.
	DroppedSeconds float64 `json:"droppedSeconds,omitempty"`
	// Problem is why there is none, or why it is not whole.
	Problem string `json:"problem,omitempty"`
}

// tape is where a call is recorded.
type tape struct{ running *recording.Recording }

// recorded begins to record a call whose audio is about to be opened, where somebody wants that.
func (c *call) recorded() {
	c.rec.RecordCall = c.rec.RecordCall || c.opts.Record
	if !c.rec.RecordCall {
		return
	}
	r, err := c.opts.Recordings.Begin(c.rec.ID, c.rec.StartedAt)
	if err != nil {
		c.rec.Recording = &Recording{Problem: err.Error()}
		return
	}
	c.audio.tape.running, c.audio.config.Recorder = r, r
	c.rec.Recording = &Recording{File: r.File()}
}

// stop ends a recording and tells what became of it; nil = there was none.
func (t *tape) stop() *Recording {
	if t.running == nil {
		return nil
	}
	result := t.running.Close()
	t.running = nil
	kept := &Recording{File: result.File, Seconds: result.Length.Seconds(), Bytes: result.Bytes, DroppedSeconds: result.Dropped.Seconds()}
	if result.Err != nil {
		kept.Problem = result.Err.Error()
	}
	return kept
}
