package checkrun

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// firstWithin bounds how long after it was delivered a check runs first.
const firstWithin = 8 * time.Second

// job is one check on its schedule. Its goroutine (loop) runs it; others change it.
type job struct {
	runner *Runner
	life   context.Context
	cancel context.CancelFunc
	news   chan struct{} // capacity 1: look again

	mu      sync.Mutex
	check   Delivered
	next    time.Time // when it is due; zero = not at all
	handled string    // the request for a run that was carried out last
	drained bool
	runs    []delivery.CheckRun // newest first
	counts  delivery.CheckCounts
	number  int
}

func newJob(r *Runner, d Delivered) *job {
	now := time.Now()
	j := &job{runner: r, news: make(chan struct{}, 1), check: d, counts: delivery.CheckCounts{Since: now}}
	j.life, j.cancel = context.WithCancel(r.life)
	if !d.Check.Suspend {
		j.next = now.Add(phase(d.Name, firstWithin))
	} else {
		// Whether the request was carried out before is not known here: it is old.
		j.handled = d.Check.RunAt
	}
	j.report()
	return j
}

// update puts another version of the check in force. A run that goes on is
// judged by what it began with.
func (j *job) update(d Delivered) {
	j.mu.Lock()
	defer j.mu.Unlock()
	before := j.check
	if before.Hash == d.Hash {
		return
	}
	j.check = d
	now := time.Now()
	switch {
	case d.Check.RunAt != before.Check.RunAt && d.Check.RunAt != "":
		j.next = now
	case d.Check.Suspend:
		j.next = time.Time{}
	case asks(before.Check) != asks(d.Check):
		j.next = now.Add(phase(d.Name, time.Second))
	case before.Check.Suspend:
		j.next = now.Add(phase(d.Name, firstWithin))
	case before.Check.IntervalSeconds != d.Check.IntervalSeconds && len(j.runs) > 0:
		j.next = j.runs[0].StartedAt.Add(d.Check.Interval())
	}
	if asks(before.Check) != asks(d.Check) {
		j.runs = nil // they speak of another question
	}
	j.reportLocked()
	j.wake()
}

// asks is a check without its schedule: what it asks.
func asks(c check.Check) string {
	c.IntervalSeconds, c.JitterPercent, c.Suspend, c.RunAt, c.Limits = 0, 0, false, "", check.Limits{}
	return fmt.Sprint(hashable(c))
}

// remove ends the job; nothing is told of it after that it is gone.
func (j *job) remove() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cancel()
	j.runner.opts.Gone(j.check.Name)
}

func (j *job) drain() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.drained = true
	j.wake()
}

func (j *job) wake() {
	select {
	case j.news <- struct{}{}:
	default:
	}
}

// loop runs the check whenever it is due, until its life or the agent's new calls end.
func (j *job) loop() {
	defer j.cancel()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		d, next, drained := j.due()
		if drained {
			return
		}
		switch wait := time.Until(next); {
		case next.IsZero():
			timer.Reset(time.Hour)
		case wait <= 0:
			j.run(d)
			if j.life.Err() != nil {
				return
			}
			continue
		default:
			timer.Reset(wait)
		}
		select {
		case <-timer.C:
		case <-j.news:
		case <-j.life.Done():
			return
		}
	}
}

func (j *job) due() (Delivered, time.Time, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.check, j.next, j.drained
}

// run makes one run and takes its result in.
func (j *job) run(d Delivered) {
	started := time.Now()
	j.mu.Lock()
	j.number++
	number := j.number
	j.next = time.Time{}
	if !d.Check.Suspend {
		j.next = started.Add(jittered(d.Check))
	}
	j.mu.Unlock()
	result, ok := j.runner.try(j.life, d, fmt.Sprintf("%s-%d-%d", d.Name, started.Unix(), number))
	if !ok {
		return // the check, or the agent, ended meanwhile
	}
	result.StartedAt, result.Seconds = started, time.Since(started).Seconds()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.handled = d.Check.RunAt
	j.counts.Add(result.Result)
	if asks(j.check.Check) == asks(d.Check) {
		j.runs = slices.Insert(j.runs, 0, result)
		j.runs = j.runs[:min(len(j.runs), check.MaxWindow)]
	}
	if j.life.Err() == nil {
		j.reportLocked()
	}
	j.runner.opts.Log.Debug("check run", "check", d.Name, "result", string(result.Result), "reason", string(result.Reason), "message", result.Message)
}

// jittered is the time from one start to the next.
func jittered(c check.Check) time.Duration {
	interval := c.Interval()
	if c.JitterPercent == 0 {
		return interval
	}
	spread := interval * time.Duration(c.JitterPercent) / 100
	return interval - spread + rand.N(2*spread+1)
}

func (j *job) report() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reportLocked()
}

// reportLocked tells how the check is; j.mu is held, so that reports stay in order.
func (j *job) reportLocked() {
	verdicts := make([]check.Verdict, len(j.runs))
	for i, r := range j.runs {
		verdicts[i] = check.Verdict{Result: r.Result, Reason: r.Reason, Message: r.Message}
	}
	passing, why := j.check.Check.Limits.Window(verdicts)
	j.runner.opts.Report(delivery.CheckReport{
		Name: j.check.Name, Line: j.check.Check.From, Hash: j.check.Hash, RunAt: j.handled,
		Passing: passing, Reason: why.Reason, Message: why.Message, Warning: passing == check.IsPassing && why.Result == check.Warn,
		Runs: slices.Clone(j.runs), Counts: j.counts, NextAt: j.next,
	}, j.check.Check)
}
