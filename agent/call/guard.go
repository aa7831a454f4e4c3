package call

import (
	"fmt"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// guard refuses what the fleet does not allow to be called. It looks at what
// goes into the Request-URI, whoever asked for it and however it was written.
func (o Options) guard(target sip.Uri) error {
	if why := o.Destinations.Refuse(target.User); why != "" {
		return fmt.Errorf("%w: %s", ErrRefused, why)
	}
	if o.Budget.left(o.Destinations.MinutesPerDay, time.Now()) <= 0 {
		return fmt.Errorf("%w: %d a day", ErrBudget, o.Destinations.MinutesPerDay)
	}
	return nil
}

// Budget counts a line's minutes of outgoing calls, by the day (UTC). It outlives
// the line's settings; a line that moves or an agent that starts anew begins with
// a new one.
type Budget struct {
	mu   sync.Mutex
	day  time.Time
	used time.Duration
}

// unbounded is what is left where nothing bounds it.
const unbounded = 1 << 62

// left of the day's minutes; 0 minutes = no bound.
func (b *Budget) left(minutes int, now time.Time) time.Duration {
	if minutes <= 0 {
		return unbounded
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.leftLocked(minutes, now)
}

// leftLocked is left where something bounds it; b.mu is held.
func (b *Budget) leftLocked(minutes int, now time.Time) time.Duration {
	b.turn(now)
	return time.Duration(minutes)*time.Minute - b.used
}

// turn begins a new day; b.mu is held.
func (b *Budget) turn(now time.Time) {
	if day := now.UTC().Truncate(24 * time.Hour); day.After(b.day) {
		b.day, b.used = day, 0
	}
}

// take up to want of what is left; minutes are more than 0.
func (b *Budget) take(want time.Duration, minutes int, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := min(want, max(b.leftLocked(minutes, now), 0))
	b.used += got
	return got
}

// giveBack what a call did not need of what it took at a time; to the day it was of.
func (b *Budget) giveBack(d time.Duration, taken time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if taken.UTC().Truncate(24 * time.Hour).Before(b.day) {
		return
	}
	b.used = max(b.used-d, 0)
}

// spend takes what an answered outgoing call may last from the day's minutes; a
// call that gets less ends when they do.
func (c *call) spend() {
	minutes := c.opts.Destinations.MinutesPerDay
	if c.rec.Direction != Out || minutes <= 0 {
		return
	}
	want := c.opts.Caps.MaxDuration
	if asked := c.attempt.dial.lasts(); asked > 0 {
		want = min(want, asked)
	}
	c.taken = c.opts.Budget.take(want, minutes, time.Now())
	if c.taken < want {
		c.allotted = max(c.taken, time.Millisecond)
		c.alarms.set(alarmDuration, c.allotted)
	}
}

// spent gives back what the call did not need.
func (c *call) spent() {
	if c.taken > 0 {
		c.opts.Budget.giveBack(max(c.taken-time.Since(c.rec.AnsweredAt), 0), c.rec.AnsweredAt)
		c.taken = 0
	}
}
