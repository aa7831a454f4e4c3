package registration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// runner lives from Start to Stop and owns the machine's state. Its messages are
// taken one after the other by a goroutine that is there only while there are
// any: an idle line is a few timers, not a stack.
type runner struct {
	r     *Registration
	ctx   context.Context // Start's
	leave func() bool     // stops waiting for the end of ctx
	ended chan struct{}   // closed when nothing runs any more
	work  sync.WaitGroup  // exchanges under way

	mu    sync.Mutex // guards the queue
	queue []message
	busy  bool // somebody takes messages
	shut  bool // no more are taken

	// What follows belongs to whoever takes messages.
	cfg       *Config // in force
	state     state
	contact   string // last registered under cfg
	public    string
	local     netip.Addr // our address towards the server, as this host knows it
	way       *Way       // what the registrar last said of it
	granted   time.Duration
	timer     *time.Timer
	alarms    int // timers set; only the last one counts
	keepalive *time.Timer
	nextBeat  time.Time          // when that runs out; zero = it does not
	giveUp    context.CancelFunc // of what is under way
	sequence  int                // of what is under way; answers to earlier ones are late
	underWay  chan struct{}      // closed when that, or what was abandoned before it, is over
	turn      *turn              // of that
	patience  int                // how often more time may be given for it
	watched   *watched           // the server in use
	hurried   bool               // what is under way began because the server was heard
	standby   []*watched         // those that could be
	clearing  context.CancelFunc // of the removal of leftovers
	detach    func()             // from the connection the binding leads to
	flow      int                // connections attached to; only the last one counts
	began     time.Time          // when that flow was made; zero = there is none
	tried     bool               // a keepalive was sent over it
	proved    bool               // it was good, by the answer to a keepalive
	mapped    netip.AddrPort     // our address by that, over UDP
	farewell  error              // of Stop; read after ended
}

// message to the runner.
type message struct {
	kind     kind
	sequence int // done: of the exchange; due: of the timer; lost: of the connection
	outcome  *outcome
	cause    error // lost, probed: why
	// readdressed: from where to where; probed: now.
	before, now netip.AddrPort
}

// Messages that concern the runner alone.
const (
	retuned  kind = "retuned"  // settings are new that no REGISTER carries
	beat     kind = "beat"     // a keepalive is due
	deserted kind = "deserted" // Start's context has ended, or Stop's
	probed   kind = "probed"   // a flow's keepalive was answered, or never will be
	recheck  kind = "recheck"  // our address may be another
	// readdressed: the server sees another one.
	readdressed kind = "readdressed"
)

func newRunner(ctx context.Context, r *Registration) *runner {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers, r.strayed = nil, nil // of an earlier life
	n := &runner{
		r: r, ctx: ctx, cfg: r.wanted, ended: make(chan struct{}),
		state:  state{phase: idle, shown: delivery.Idle},
		giveUp: func() {}, clearing: func() {}, detach: func() {},
	}
	n.leave = context.AfterFunc(ctx, func() { n.post(message{kind: deserted}) })
	return n
}

// post hands a message over; to a runner that has ended, to nobody.
func (n *runner) post(m message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shut {
		return
	}
	n.queue = append(n.queue, m)
	if !n.busy {
		n.busy = true
		go n.drain()
	}
}

// drain takes messages while there are any.
func (n *runner) drain() {
	for {
		n.mu.Lock()
		if n.shut || len(n.queue) == 0 {
			n.busy, n.queue = false, nil
			n.mu.Unlock()
			return
		}
		m := n.queue[0]
		n.queue = n.queue[1:]
		n.mu.Unlock()
		n.guarded(m)
	}
}

// finish ends the runner; nothing is taken after it.
func (n *runner) finish() {
	n.mu.Lock()
	n.shut = true
	n.mu.Unlock()
	n.leave()
	n.giveUp()
	n.clearing()
	n.detach()
	n.watch(ua.Candidate{})
	n.watchOver(nil)
	stopTimer(n.timer)
	stopTimer(n.keepalive)
	n.work.Wait()
	n.cfg.Gate.forget(n.r)
	close(n.ended)
}

func stopTimer(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// guarded takes a message; a panic on the way costs the line one attempt.
func (n *runner) guarded(m message) {
	if !n.r.ep.Guard(n.cfg.Name, func() { n.take(m) }) {
		return
	}
	n.giveUp()
	n.sequence++
	if n.state.phase == stopped {
		return
	}
	if n.state.phase != leaving {
		n.state.phase = retrying // which done leads out of, with a timer
	}
	n.r.ep.Guard(n.cfg.Name, func() { n.step(done, internal()) })
}

func (n *runner) take(m message) {
	switch m.kind {
	case retuned:
		n.adopt()
		n.tune()
	case beat:
		n.sendKeepalive()
	case deserted:
		n.farewell = fmt.Errorf("%s: binding left to expire: %w", n.cfg.Name, context.Canceled)
		n.state, _ = ended(n.state)
		n.publish()
		n.finish()
	case due:
		switch {
		case m.sequence != n.alarms:
		case n.queued() > 0:
			n.patience--
			n.setTimer(n.queued())
		default:
			n.step(m.kind, nil)
		}
	case lost:
		if m.sequence == n.flow {
			n.loseFlow(m.cause)
		}
	case probed:
		if m.sequence == n.flow {
			n.probed(m)
		}
	case recheck:
		n.recheck()
	case readdressed:
		n.readdress(m.before, m.now)
	case done:
		if m.sequence == n.sequence {
			n.giveUp() // it is over; nothing of it need stay
			n.giveUp, n.underWay, n.turn = func() {}, nil, nil
			n.step(m.kind, m.outcome)
			n.hurried = false
		}
	case released:
		n.hurried = n.hurried || n.state.phase == waiting && n.state.last != nil && n.state.last.unheard()
		n.step(m.kind, nil)
	default:
		n.step(m.kind, nil)
	}
}

// mostPatience is how often an un-REGISTER is given more time: what still waits
// for its turn after that is left to expire.
const mostPatience = 8

// queued is the time an un-REGISTER that should be over is to have, because so
// many others leave in the same moment that its turn came late, or has not come.
func (n *runner) queued() time.Duration {
	if n.turn == nil || n.patience == 0 {
		return 0
	}
	switch n.state.phase {
	case leaving:
		return n.turn.left(time.Now(), StopTimeout)
	case removing:
		return n.turn.left(time.Now(), moveTimeout)
	}
	return 0
}

// step asks the machine, publishes what it says and does what it wants.
func (n *runner) step(k kind, o *outcome) {
	before := n.state
	var actions []action
	n.state, actions = next(n.state, event{kind: k, at: time.Now(), dice: rand.Float64(), outcome: o, proved: n.flowProved()})
	if o != nil {
		n.learn(o)
	}
	if n.state.phase == stopped && before.phase == leaving && n.state.last.problem != delivery.NoProblem {
		n.farewell = fmt.Errorf("%s: binding left to expire: %w", n.cfg.Name, errors.New(n.state.last.reason))
	}
	n.publish()
	n.state.last = n.state.last.told()
	for _, a := range actions {
		n.perform(a)
	}
	n.tune()
}

// learn keeps what an outcome tells beyond the machine's interest.
func (n *runner) learn(o *outcome) {
	if bound := o.ok() && o.granted > 0; bound && (n.state.phase == registered || n.state.phase == refreshing) {
		n.contact, n.granted, n.local, n.way = o.contact, o.granted, o.local, n.way.same(o.way)
	}
	if o.public != "" {
		n.public = o.public
	}
	if len(o.servers) > 0 {
		n.r.setServers(o.servers, o.strayed)
		n.watch(o.servers[0])
		if n.watched != nil && o.alive() {
			n.cfg.Qualifier.heard(n.watched)
		}
		n.watchOver(o.servers[1:])
	}
	if n.state.phase == registered {
		n.attach(o.servers)
	}
}

// watch has the server in use qualified; the zero value, none.
func (n *runner) watch(server ua.Candidate) {
	q, before := n.cfg.Qualifier, n.watched
	if q == nil {
		return
	}
	if n.watched = q.swap(before, server, n.cfg.Registrar); before != nil && before != n.watched {
		q.forget(before, n.r)
	}
	if n.watched != nil && n.watched != before {
		q.follow(n.watched, n.r)
	}
	if n.state.phase == waiting && n.watched != nil && n.state.last.unheard() {
		q.miss(n.watched, n.r, !n.hurried)
	}
}

// mostStandby servers that are not in use are asked whether they are there.
const mostStandby = 4

// watchOver has the servers qualified that are there for the one in use: that is how
// one that was dead is known to be back before a line tries it.
func (n *runner) watchOver(others []ua.Candidate) {
	q, before := n.cfg.Qualifier, n.standby
	if q == nil || len(others)+len(before) == 0 {
		return
	}
	n.standby = nil
	for _, c := range others[:min(len(others), mostStandby)] {
		n.standby = append(n.standby, q.swap(nil, c, n.cfg.Registrar))
	}
	for _, w := range before {
		q.swap(w, ua.Candidate{}, "")
	}
}

// attach waits for the end of the connection that the binding leads to. A line
// without one, over UDP, waits for nothing.
func (n *runner) attach(servers []ua.Candidate) {
	n.detach()
	n.detach = func() {}
	if len(servers) == 0 {
		return
	}
	if n.began.IsZero() {
		n.began = time.Now()
	}
	n.flow++
	flow := n.flow
	n.detach = n.r.ep.Attach(servers[0], func(cause error) {
		n.post(message{kind: lost, sequence: flow, cause: cause})
	})
}

func (n *runner) perform(a action) {
	switch a.do {
	case register:
		n.launch(job{ask: max(n.cfg.Expires, a.ask)})
	case unregister:
		n.launch(job{leave: n.contact})
	case remove:
		n.clear(a.leftovers)
	case abandon:
		n.giveUp()
		n.sequence++
	case adopt:
		n.adopt()
	case wake:
		n.setTimer(a.after)
	case end:
		n.finish()
	}
}

func (n *runner) setTimer(after time.Duration) {
	stopTimer(n.timer)
	n.alarms++
	alarm := n.alarms
	n.timer = time.AfterFunc(after, func() { n.post(message{kind: due, sequence: alarm}) })
}

// adopt puts the newest configuration in force.
func (n *runner) adopt() {
	n.r.mu.Lock()
	wanted := n.r.wanted
	n.r.mu.Unlock()
	if n.cfg.credentials() != wanted.credentials() {
		n.r.nonces.Forget() // an answer made at once would be one wrong password more
	}
	if compare(*n.cfg, *wanted) == relocate {
		n.r.nonces.Forget() // the new server is not to see answers meant for the old one
		n.r.setServers(nil, nil)
		n.contact, n.public, n.way = "", "", nil
	}
	n.cfg = wanted
}

// launch sends something; its outcome comes back as done. One at a time: what was
// abandoned has gone out, or never will, before the next begins (RFC 3261 §10.2:
// "UAs MUST NOT send a new registration … until they have received a final
// response … for the previous one or the previous REGISTER request has timed
// out"). A refresh that overtakes an un-REGISTER would leave a binding.
func (n *runner) launch(j job) {
	n.giveUp()
	var ctx context.Context
	ctx, n.giveUp = context.WithCancel(n.ctx)
	n.sequence++
	sequence, x := n.sequence, n.exchange()
	n.turn, n.patience = x.turn, mostPatience
	before, over := n.underWay, make(chan struct{})
	n.underWay = over
	n.work.Go(func() {
		defer close(over)
		if before != nil {
			<-before
		}
		var o *outcome
		if x.ep.Guard(x.cfg.Name, func() { o = x.run(ctx, j) }) {
			o = internal()
		}
		if ctx.Err() == nil {
			n.post(message{kind: done, sequence: sequence, outcome: o})
		}
	})
}

// clear removes leftovers beside everything else; whether it works shows in the
// next 200.
func (n *runner) clear(leftovers []string) {
	n.clearing()
	var ctx context.Context
	ctx, n.clearing = context.WithCancel(n.ctx)
	x, over := n.exchange(), n.clearing
	x.cfg.Log.Info("removing bindings of an earlier life", "line", x.cfg.Name, "contacts", leftovers)
	n.work.Go(func() {
		defer over()
		x.ep.Guard(x.cfg.Name, func() { x.run(ctx, job{clear: leftovers}) })
	})
}

// exchange gives what one exchange needs, as it is now.
func (n *runner) exchange() *exchange {
	n.r.mu.Lock()
	defer n.r.mu.Unlock()
	return &exchange{
		ep: n.r.ep, cfg: *n.cfg, registration: n.r, nonces: &n.r.nonces,
		servers: n.r.servers, strayed: n.r.strayed, turn: new(turn), at: n.at(), plain: n.state.plain,
	}
}
