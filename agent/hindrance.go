package agent

import (
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// hinderedRetry is how long a line waits that could not start: its port may be
// free by then.
const hinderedRetry = 10 * time.Second

// hindrance is why a line has no incarnation, though it is to have one, and when
// it tries again.
type hindrance struct {
	why   error
	again time.Time
}

// hindered notes why a line cannot start. It is logged when it is new.
func (l *line) hindered(err error) {
	if l.hindrance == nil || l.hindrance.why.Error() != err.Error() {
		l.log().Error("line not started", "error", err)
	}
	l.hindrance = &hindrance{err, time.Now().Add(hinderedRetry)}
}

// socketLost tells whether the line's port broke under it.
func (l *line) socketLost() bool {
	in := l.current.Load()
	return in != nil && l.applied != nil && in.socket.broken()
}

// publishHindrance shows a line that could not start.
func (l *line) publishHindrance() {
	t, h := l.applied, l.hindrance
	l.show(&view{account: t.Account, events: noEvents, retryAt: h.again, report: &delivery.LineReport{
		Name: l.name, State: delivery.Error, Problem: delivery.ProblemConfig, LastReason: h.why.Error(),
		Since: since(l.shown(), delivery.Error), Slot: t.Row.Slot,
		ConfigHash: t.ConfigHash, EffectiveHash: t.EffectiveHash, ActiveCalls: l.activeCalls(),
	}})
}
