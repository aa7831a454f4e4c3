package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/subscription"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// events are an incarnation's subscriptions. Most lines subscribe to nothing and are
// told nothing: there is a Set from when one does, or is.
type events struct {
	open func() *subscription.Set

	mu     sync.Mutex
	set    *subscription.Set
	closed bool
}

// get gives the Set, a new one if there is none and it is wanted; nil = none.
func (e *events) get(wanted bool) *subscription.Set {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.set == nil && wanted && !e.closed {
		e.set = e.open()
	}
	return e.set
}

func (e *events) update(cfg subscription.Config) {
	if set := e.get(false); set != nil {
		set.Update(cfg)
	}
}

func (e *events) stop(ctx context.Context) {
	if set := e.get(false); set != nil {
		set.Stop(ctx)
	}
}

func (e *events) close() {
	e.mu.Lock()
	e.closed = true
	set := e.set
	e.mu.Unlock()
	if set != nil {
		set.Close()
	}
}

// noEvents is what is known of a line that subscribes to nothing.
var noEvents = &subscription.Status{}

func (e *events) status() *subscription.Status {
	if set := e.get(false); set != nil {
		return set.Status()
	}
	return noEvents
}

// handle takes a NOTIFY, unless it is of a call's dialog.
func (e *events) handle(req *sip.Request, tx sip.ServerTransaction) bool {
	if req.Method != sip.NOTIFY {
		return false
	}
	set := e.get(!req.To().Params.Has("tag"))
	return set != nil && set.HandleRequest(req, tx)
}

// enforceSubscriptions tells the line's subscriptions how it stands with its server.
// A line that registers for its own calls alone subscribes to nothing.
func (l *line) enforceSubscriptions() {
	in := l.current.Load()
	if in == nil || l.applied == nil {
		return
	}
	a := l.applied.Account
	set := in.events.get(a.SubscribeForVoicemail || len(a.BLF) > 0)
	if set == nil {
		return
	}
	s, standing := in.reg.Status(), standingOf(l.applied)
	set.Follow(subscription.Footing{
		Up:    in.started && standing.register && (s.State == delivery.Registered || standing.trunk && s.State == delivery.Idle),
		Since: s.Since, Server: s.Server, Contact: s.Contact,
	})
}

// subscriptionConfig says in subscription's words what the target wants.
func (in *incarnation) subscriptionConfig(l *line) subscription.Config {
	t, r := in.target.Load(), in.registrationConfig(l)
	a := t.Account
	return subscription.Config{
		Name: l.name, AOR: r.AOR, Mailbox: a.SubscribeForVoicemail, Watch: slices.Clone(a.BLF),
		Link: r.Link, Route: outboundProxy(a),
		Credentials: ua.Credentials{Username: a.DigestUsername(), Password: r.Password}, Nonces: in.reg.Nonces(),
		ContactUser: r.ContactUser, Server: in.reg.Server, Servers: in.ServerAddrs,
		// What a registrar forgets when it starts anew, and the line's mailbox with it, is
		// known again after the same time.
		Expires:   time.Duration(a.Expires) * time.Second,
		Headers:   headersOf(a, sip.SUBSCRIBE),
		Gate:      l.env.gate,
		OnChange:  l.poke,
		OnAttempt: func(event string, code int) { l.env.metrics.SubscriptionAttempt(l.name, event, code) },
		OnNotify:  func(event string) { l.env.metrics.Notified(l.name, event) },
		Log:       l.env.log,
	}
}

// watching sums up how the watching of others stands; nil = the line watches nobody.
func watching(all []subscription.Watched) *delivery.Watching {
	if len(all) == 0 {
		return nil
	}
	w := &delivery.Watching{Targets: len(all)}
	for _, target := range all {
		switch s := target.Subscription; s.State {
		case subscription.Active, subscription.Pending:
			w.Active++
		case subscription.Waiting, subscription.Refused:
			if len(w.Failed) < delivery.MostFailedWatches {
				w.Failed = append(w.Failed, delivery.FailedWatch{URI: target.URI, Reason: s.LastReason})
			}
		}
	}
	return w
}
