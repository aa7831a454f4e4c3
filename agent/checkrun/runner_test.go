package checkrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakePhone places calls that go as scripted, under fake time.
type fakePhone struct {
	runner *Runner
	// play makes a call of a record; it runs in its own goroutine.
	play func(p *fakePhone, r call.Record)

	mu       sync.Mutex
	standing Standing
	refuse   error
	dialled  []time.Time
	asked    []call.Dial
	hungUp   map[string]chan struct{}
	reports  []delivery.CheckReport
	gone     []string
}

func (p *fakePhone) Standing(string) Standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing
}

func (p *fakePhone) Dial(_ context.Context, line string, d call.Dial) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return "", p.refuse
	}
	p.dialled, p.asked = append(p.dialled, time.Now()), append(p.asked, d)
	id := fmt.Sprint("call", len(p.dialled))
	p.hungUp[id] = make(chan struct{})
	go p.play(p, call.Record{ID: id, Line: line, Check: d.Check, Direction: call.Out, State: call.Trying, StartedAt: time.Now()})
	return id, nil
}

func (p *fakePhone) Hangup(id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.hungUp[id]:
	default:
		close(p.hungUp[id])
	}
	return nil
}

func (p *fakePhone) left(id string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hungUp[id]
}

// last report of a check; its newest run is checked by the caller.
func (p *fakePhone) last() delivery.CheckReport {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reports[len(p.reports)-1]
}

func (p *fakePhone) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dialled)
}

// first is what the first call was to be.
func (p *fakePhone) first() call.Dial {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[0]
}

// removed counts the checks that were told gone.
func (p *fakePhone) removed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.gone)
}

// times are when calls were placed.
func (p *fakePhone) times() []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.dialled)
}

func (p *fakePhone) stand(s Standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.standing = s
}

// simulate runs a test with one runner under fake time.
func simulate(t *testing.T, play func(*fakePhone, call.Record), f func(*testing.T, *Runner, *fakePhone)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &fakePhone{play: play, hungUp: map[string]chan struct{}{}}
		r := New(Options{
			Phone: p,
			Report: func(c delivery.CheckReport, _ check.Check) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.reports = append(p.reports, c)
			},
			Gone: func(name string) {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.gone = append(p.gone, name)
			},
		})
		p.runner = r
		f(t, r, p)
		r.Close()
	})
}

func ptr[T any](v T) *T { return &v }

// echo answers after a moment, echoes, and ends when the caller hangs up.
func echo(after time.Duration, change func(*call.Record)) func(*fakePhone, call.Record) {
	return func(p *fakePhone, r call.Record) {
		r.Responded = true
		p.runner.CallChanged(r)
		time.Sleep(after)
		r.State, r.AnsweredAt, r.SetupMs = call.Established, time.Now(), ptr(time.Since(r.StartedAt).Milliseconds())
		p.runner.CallChanged(r)
		select {
		case <-p.left(r.ID):
		case <-time.After(5 * time.Second):
		}
		r.RTP, r.MOS, r.SoundSeconds, r.FirstPacketMs = call.RTP{Sent: 250, Received: 250, JitterMs: ptr(1.0)}, ptr(4.4), 4.8, ptr(int64(20))
		r.Tones = []call.Tone{{FrequencyHz: call.CheckToneHz, Seconds: 4.6}, {FrequencyHz: call.MarkerHz, Seconds: 4.8}}
		r.State, r.EndedAt, r.End = call.Ended, time.Now(), &call.End{Code: 200, By: call.Local, Reason: "hung up after 5 s as asked"}
		if change != nil {
			change(&r)
		}
		p.runner.CallChanged(r)
	}
}

func refuse(code int, by call.By, reason string) func(*fakePhone, call.Record) {
	return func(p *fakePhone, r call.Record) {
		time.Sleep(50 * time.Millisecond)
		r.State, r.EndedAt, r.End = call.Ended, time.Now(), &call.End{Code: code, By: by, Reason: reason}
		p.runner.CallChanged(r)
	}
}

// silence says nothing until the caller gives up.
func silence(p *fakePhone, r call.Record) { <-p.left(r.ID) }

func every(interval int) Delivered {
	c := check.Check{From: "alice", To: "sip:bob@pbx.test", Account: "bob", IntervalSeconds: interval}
	c.Expect.AnswerWithinMs.Fail = ptr(2000.0)
	return Delivered{Name: "nightly", Hash: fmt.Sprint(interval), Check: c}
}

func TestVerdictsOfCalls(t *testing.T) {
	for says, c := range map[string]struct {
		play   func(*fakePhone, call.Record)
		change func(*fakePhone)
		want   check.Verdict
	}{
		"an echo":      {echo(100*time.Millisecond, nil), nil, check.Verdict{Result: check.Pass, Reason: check.Passed}},
		"answers late": {echo(3*time.Second, nil), nil, check.Verdict{Result: check.Fail, Reason: check.AnsweredLate, Message: "answered after 3.0 s, more than 2.0 s"}},
		"busy": {refuse(486, call.Remote, "486 Busy Here"), nil,
			check.Verdict{Result: check.Fail, Reason: check.WrongCode, Message: "486 Busy Here, expected 200"}},
		"nothing is said": {silence, nil, check.Verdict{Result: check.Fail, Reason: check.NoResponse, Message: "the server sent no response within 7 s"}},
		"nobody answers": {func(p *fakePhone, r call.Record) {
			r.State, r.RingMs, r.Responded = call.Ringing, ptr(int64(30)), true
			p.runner.CallChanged(r)
			silence(p, r)
		}, nil, check.Verdict{Result: check.Fail, Reason: check.NoAnswer, Message: "no answer within 7 s, it rang"}},
		"no network": {refuse(503, call.Network, "INVITE not sent: connection refused"), nil,
			check.Verdict{Result: check.Fail, Reason: check.NotReachable, Message: "INVITE not sent: connection refused"}},
		"no port of ours is free": {refuse(500, call.Local, "no RTP port"), nil,
			check.Verdict{Result: check.Inconclusive, Reason: check.CannotCall, Message: "our side ended the call: no RTP port"}},
		"our agent stops meanwhile": {echo(100*time.Millisecond, func(r *call.Record) {
			r.EndedAt, r.End = r.AnsweredAt.Add(time.Second), &call.End{Code: 200, By: call.Local, Reason: "agent is stopping"}
		}), nil, check.Verdict{Result: check.Inconclusive, Reason: check.CannotCall, Message: "our side ended the call: agent is stopping"}},
		"they hang up": {echo(100*time.Millisecond, func(r *call.Record) {
			r.EndedAt, r.End = r.AnsweredAt.Add(2*time.Second), &call.End{Code: 200, By: call.Remote}
		}), nil, check.Verdict{Result: check.Fail, Reason: check.CutShort, Message: "the other side hung up after 2 s, expected 5 s"}},
		"the line is suspended": {nil, func(p *fakePhone) { p.standing = Standing{Untried: check.LineSuspended, Words: "suspended"} },
			check.Verdict{Result: check.Inconclusive, Reason: check.LineSuspended, Message: "suspended"}},
		"the registrar refuses": {nil, func(p *fakePhone) { p.standing = Standing{NotRegistered: true, Words: "403 Forbidden"} },
			check.Verdict{Result: check.Fail, Reason: check.NotRegistered, Message: "403 Forbidden"}},
		"the fleet refuses": {nil, func(p *fakePhone) { p.refuse = fmt.Errorf("%w: 911", call.ErrRefused) },
			check.Verdict{Result: check.Inconclusive, Reason: check.DestinationRefused, Message: "destination refused: 911"}},
		"a number that a rule wants confirmed": {nil, func(p *fakePhone) { p.refuse = call.ErrUnconfirmed },
			check.Verdict{Result: check.Inconclusive, Reason: check.DestinationRefused, Message: "not confirmed"}},
		"a cap of ours": {nil, func(p *fakePhone) { p.refuse = call.ErrTooMany },
			check.Verdict{Result: check.Inconclusive, Reason: check.TooManyCalls, Message: "too many calls"}},
		"it cannot register for the call": {nil, func(p *fakePhone) { p.refuse = fmt.Errorf("%w: unauthorized", control.ErrNotRegistered) },
			check.Verdict{Result: check.Fail, Reason: check.NotRegistered, Message: "line is not registered: unauthorized"}},
		"something of ours breaks": {nil, func(p *fakePhone) { p.refuse = errors.New("broken") },
			check.Verdict{Result: check.Inconclusive, Reason: check.CannotCall, Message: "broken"}},
	} {
		t.Run(says, func(t *testing.T) {
			simulate(t, c.play, func(t *testing.T, r *Runner, p *fakePhone) {
				if c.change != nil {
					c.change(p)
				}
				r.Update([]Delivered{every(60)})
				time.Sleep(30 * time.Second)
				synctest.Wait()
				got := p.last()
				if len(got.Runs) != 1 || (check.Verdict{Result: got.Runs[0].Result, Reason: got.Runs[0].Reason, Message: got.Runs[0].Message}) != c.want {
					t.Errorf("got %+v, want %+v", got.Runs, c.want)
				}
				want := map[check.Result]check.Passing{check.Pass: check.IsPassing, check.Fail: check.NotPassing, check.Inconclusive: check.Unknown}[c.want.Result]
				if got.Passing != want || got.Reason != c.want.Reason || got.Message != c.want.Message {
					t.Errorf("the check is %s %s %q", got.Passing, got.Reason, got.Message)
				}
			})
		})
	}
}

func TestARunTellsWhatItMeasured(t *testing.T) {
	probed := func(r *call.Record) {
		r.Probe = &call.Probe{MouthToEarMs: 61.5, SegmentalSNRDB: 26.1, SpectralDistanceDB: 1.7}
	}
	simulate(t, echo(250*time.Millisecond, probed), func(t *testing.T, r *Runner, p *fakePhone) {
		r.Update([]Delivered{every(60)})
		time.Sleep(20 * time.Second)
		synctest.Wait()
		got := p.last()
		run := got.Runs[0]
		if *run.MouthToEarMs != 61.5 || *run.SegmentalSNRDB != 26.1 || *run.SpectralDistanceDB != 1.7 {
			t.Errorf("of the probe it tells %+v", run)
		}
		if *run.SetupMs != 250 || *run.MOS != 4.4 || *run.LossPercent != 0 || *run.JitterMs != 1 || *run.FirstPacketMs != 20 || run.Code != 200 || run.Seconds != 5.25 {
			t.Errorf("got %+v", run)
		}
		if got.Counts.Pass != 1 || got.Line != "alice" || got.Hash != "60" || got.NextAt.Sub(run.StartedAt) != time.Minute {
			t.Errorf("got %+v", got)
		}
		if d := p.first(); d.Seconds != 5 || d.ToneHz != call.CheckToneHz || d.Check == "" || !d.Probe || d.To != "sip:bob@pbx.test" {
			t.Errorf("dialled %+v", d)
		}
	})
}

func TestTheScheduleIsKept(t *testing.T) {
	simulate(t, echo(0, nil), func(t *testing.T, r *Runner, p *fakePhone) {
		began := time.Now()
		r.Update([]Delivered{every(10)})
		time.Sleep(100 * time.Second)
		for i, at := range p.times() {
			if want := p.times()[0].Add(time.Duration(i) * 10 * time.Second); !at.Equal(want) {
				t.Errorf("run %d began at %v, want %v", i, at.Sub(began), want.Sub(began))
			}
		}
		if first := p.times()[0].Sub(began); first > firstWithin || p.calls() < 10 {
			t.Errorf("%d runs, the first after %v", p.calls(), first)
		}
		if got := p.last(); len(got.Runs) != 10 && got.Counts.Pass < 10 {
			t.Errorf("%d runs are kept of %d", len(got.Runs), got.Counts.Pass)
		}
	})
	simulate(t, echo(0, nil), func(t *testing.T, r *Runner, p *fakePhone) {
		d := every(20)
		d.Check.JitterPercent = 25
		r.Update([]Delivered{d})
		time.Sleep(20 * time.Minute)
		apart := map[time.Duration]bool{}
		for i := 1; i < p.calls(); i++ {
			gap := p.times()[i].Sub(p.times()[i-1])
			if gap < 15*time.Second || gap > 25*time.Second {
				t.Errorf("%v apart", gap)
			}
			apart[gap] = true
		}
		if len(apart) < 10 {
			t.Errorf("%d different gaps: that is no jitter", len(apart))
		}
	})
	simulate(t, silence, func(t *testing.T, r *Runner, p *fakePhone) {
		d := every(10)
		d.Check.Expect.AnswerWithinMs.Fail = ptr(20_000.0)
		r.Update([]Delivered{d})
		time.Sleep(time.Minute)
		for i := 1; i < p.calls(); i++ {
			if gap := p.times()[i].Sub(p.times()[i-1]); gap != 25*time.Second {
				t.Errorf("runs that take 25 s are %v apart: they must not overlap", gap)
			}
		}
	})
}

func TestRunNowAndSuspend(t *testing.T) {
	simulate(t, echo(0, nil), func(t *testing.T, r *Runner, p *fakePhone) {
		d := every(3600)
		r.Update([]Delivered{d})
		time.Sleep(time.Minute)
		d.Hash, d.Check.RunAt = "2", "now"
		r.Update([]Delivered{d})
		asked := time.Now()
		time.Sleep(10 * time.Second)
		if p.calls() != 2 || !p.times()[1].Equal(asked) || p.last().RunAt != "now" {
			t.Fatalf("%d runs, %+v", p.calls(), p.last())
		}
		d.Hash, d.Check.Suspend = "3", true
		r.Update([]Delivered{d})
		time.Sleep(3 * time.Hour)
		if p.calls() != 2 || !p.last().NextAt.IsZero() {
			t.Fatalf("a suspended check ran: %d runs", p.calls())
		}
		d.Hash, d.Check.RunAt = "4", "again"
		r.Update([]Delivered{d})
		time.Sleep(10 * time.Second)
		if p.calls() != 3 || p.last().RunAt != "again" {
			t.Errorf("asked for a run while suspended: %d runs", p.calls())
		}
		d.Hash, d.Check.Suspend = "5", false
		r.Update([]Delivered{d})
		time.Sleep(time.Minute)
		if p.calls() != 4 {
			t.Errorf("resumed: %d runs", p.calls())
		}
		d.Hash, d.Check.To = "6", "sip:carol@pbx.test"
		r.Update([]Delivered{d})
		if n := len(p.last().Runs); n != 0 {
			t.Errorf("%d runs of another destination are kept", n)
		}
		r.Update(nil)
		time.Sleep(3 * time.Hour)
		if p.calls() != 4 || p.removed() != 1 {
			t.Errorf("a removed check ran: %d runs, %d gone", p.calls(), p.removed())
		}
	})
}

func TestDrainingStartsNothingNew(t *testing.T) {
	simulate(t, echo(0, nil), func(t *testing.T, r *Runner, p *fakePhone) {
		r.Update([]Delivered{every(10)})
		for p.calls() == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		r.Drain()
		time.Sleep(time.Minute)
		synctest.Wait()
		if p.calls() != 1 || p.last().Counts.Pass != 1 {
			t.Errorf("%d runs, %+v", p.calls(), p.last().Counts)
		}
	})
}

func TestALineThatIsAboutToRegisterIsWaitedFor(t *testing.T) {
	waiting := func(since time.Duration) Standing {
		return Standing{Waiting: true, Since: time.Now().Add(-since), Words: "line alice is not registered yet (registering)"}
	}
	simulate(t, echo(0, nil), func(t *testing.T, r *Runner, p *fakePhone) {
		p.stand(waiting(0))
		r.Update([]Delivered{every(60)})
		time.Sleep(firstWithin + 2*time.Second)
		p.stand(Standing{})
		time.Sleep(20 * time.Second)
		if got := p.last(); got.Counts.Pass != 1 || got.Counts.Inconclusive != 0 {
			t.Errorf("got %+v", got.Counts)
		}
	})
	for reason, since := range map[check.Reason]time.Duration{check.LineNotReady: 0, check.NotRegistered: time.Minute} {
		simulate(t, echo(0, nil), func(t *testing.T, r *Runner, p *fakePhone) {
			r.Update([]Delivered{every(60)})
			p.stand(waiting(since))
			time.Sleep(firstWithin + settle + time.Second)
			if got := p.last(); len(got.Runs) != 1 || got.Runs[0].Reason != reason {
				t.Errorf("registering for %v: %+v, want %s", since, got.Runs, reason)
			}
		})
	}
}
