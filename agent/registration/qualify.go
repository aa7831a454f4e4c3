package registration

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Qualifier asks the servers that lines use whether they are there, each once
// however many lines use it: OPTIONS (RFC 3261 §11), to which any final answer
// shows life. It is how a line that does not register knows of its server at
// all, and how everybody else learns of its round-trip time.
type Qualifier struct {
	ep  Endpoint
	log *slog.Logger
	tag string // From tag of this process' OPTIONS

	mu      sync.Mutex
	every   time.Duration // 0 = never
	servers map[string]*watched
	serial  uint32 // CSeq, and the order in which servers came
	closed  bool
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	work    sync.WaitGroup
}

// ServerStatus is what is known of a server.
type ServerStatus struct {
	Server ua.Candidate
	// Known: it was asked, and answered or did not. Until then the rest is zero.
	Known bool
	Up    bool
	// RTT from OPTIONS to answer, the last that came; 0 = there was none.
	RTT time.Duration
	// Since it is up, or down.
	Since time.Time
	// LastCode of an answer; 0 = the last OPTIONS had none.
	LastCode int
	// LastReason in words, and Problem, of one without an answer.
	LastReason string
	Problem    delivery.Problem
	// Failures are OPTIONS without an answer since it is used.
	Failures uint64

	public netip.AddrPort // ours, as the last answer has it
	local  netip.Addr     // and as this host knows it
}

// watched is one server. Its qualifier locks it.
type watched struct {
	status  ServerStatus
	host    string // of the Request-URI
	users   int
	order   uint32
	timer   *time.Timer
	due     time.Time // when it runs out
	asking  bool
	lines   map[*Registration]struct{} // who is told of another address of ours
	public  netip.AddrPort             // ours, as the server last saw it
	trunks  map[*Trunk]struct{}        // who is told of every change
	missing map[*Registration]bool     // who had no answer from it; whether another's will do
	missed  time.Time                  // since when there are any
}

const (
	// qualifyTimeout bounds one OPTIONS: by then it was sent five times over UDP.
	qualifyTimeout = 8 * time.Second
	// firstLook spreads the first OPTIONS to servers that come at once.
	firstLook = 200 * time.Millisecond
	// firstMissed is how soon a server is asked again while lines miss it, and
	// missedPart of the time that they do so is, when that is longer.
	firstMissed = 5 * time.Second
	missedPart  = 10
)

// NewQualifier makes one that asks every server each interval, about; 0 = none.
// Close it.
func NewQualifier(ep Endpoint, every time.Duration, log *slog.Logger) *Qualifier {
	q := &Qualifier{ep: ep, log: log, tag: ua.NewTag(), every: every, servers: make(map[string]*watched)}
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q
}

// Close ends what is under way and waits for it.
func (q *Qualifier) Close() {
	q.mu.Lock()
	q.closed = true
	for _, w := range q.servers {
		stopTimer(w.timer)
	}
	q.mu.Unlock()
	q.cancel()
	q.work.Wait()
}

// Set puts another interval in force; 0 = nobody is asked, and nothing is known.
func (q *Qualifier) Set(every time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.every == every {
		return
	}
	q.every = every
	for _, w := range q.servers {
		stopTimer(w.timer)
		if every > 0 {
			q.schedule(w, jittered(min(firstLook, every)))
			continue
		}
		w.status = ServerStatus{Server: w.status.Server}
		w.tell()
	}
}

// Off tells whether nobody is asked.
func (q *Qualifier) Off() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.every <= 0
}

// Servers gives all that are used now, in the order they came.
func (q *Qualifier) Servers() []ServerStatus {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]*watched, 0, len(q.servers))
	for _, w := range q.servers {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b *watched) int { return cmp.Compare(a.order, b.order) })
	states := make([]ServerStatus, len(all))
	for i, w := range all {
		states[i] = w.status
	}
	return states
}

// swap has a server watched instead of another; none for the zero value. host
// is what the Request-URI names.
func (q *Qualifier) swap(from *watched, to ua.Candidate, host string) *watched {
	q.mu.Lock()
	defer q.mu.Unlock()
	if from != nil && to.Addr.IsValid() && from.status.Server.String() == to.String() {
		from.status.Server = to // maybe with other certificates
		return from
	}
	var w *watched
	if to.Addr.IsValid() {
		w = q.server(to, host)
		if w.users++; w.users == 1 {
			q.schedule(w, jittered(firstLook))
		}
	}
	if from != nil {
		if from.users--; from.users == 0 {
			stopTimer(from.timer)
			delete(q.servers, from.status.Server.String())
		}
	}
	return w
}

// miss has a line released when the server, which left it without an answer, is
// found to be back: by OPTIONS, or by what it answers to another line, if that
// will do. One that answers OPTIONS all the time is not gone; and a line that
// tried in vain because another had an answer waits for its own time.
func (q *Qualifier) miss(w *watched, line *Registration, anothers bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(w.missing) == 0 {
		w.missing, w.missed = make(map[*Registration]bool), time.Now()
	}
	w.missing[line] = anothers
	if next := jittered(q.period(w)); !w.asking && time.Now().Add(next).Before(w.due) {
		q.schedule(w, next)
	}
}

// heard takes the news that a server has answered a line.
func (q *Qualifier) heard(w *watched) {
	q.mu.Lock()
	var back []*Registration
	for line, anothers := range w.missing {
		if anothers {
			back = append(back, line)
			delete(w.missing, line)
		}
	}
	q.mu.Unlock()
	for _, line := range back {
		line.release()
	}
}

// period between two OPTIONS to a server.
func (q *Qualifier) period(w *watched) time.Duration {
	if len(w.missing) == 0 {
		return q.every
	}
	return min(q.every, max(firstMissed, time.Since(w.missed)/missedPart))
}

// follow has a line told when the server sees us under another address.
func (q *Qualifier) follow(w *watched, line *Registration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.lines == nil {
		w.lines = make(map[*Registration]struct{})
	}
	w.lines[line] = struct{}{}
}

// moved notes under which address the server sees us, and gives whom to tell that it
// is another. A connection has another port each time: its end is all there is to
// tell of it. The qualifier is locked.
func (w *watched) moved(now netip.AddrPort) (before netip.AddrPort, who []*Registration) {
	if !now.IsValid() || w.status.Server.Transport == ua.TCP || w.status.Server.Transport == ua.TLS {
		return before, nil
	}
	if before, w.public = w.public, now; !before.IsValid() || before == now {
		return before, nil
	}
	for line := range w.lines {
		who = append(who, line)
	}
	return before, who
}

// forget a line that was told of a server, or would be.
func (q *Qualifier) forget(w *watched, line *Registration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(w.missing, line)
	delete(w.lines, line)
}

// join has a trunk told of every change of a server, until it leaves.
func (q *Qualifier) join(w *watched, t *Trunk) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.trunks == nil {
		w.trunks = make(map[*Trunk]struct{})
	}
	w.trunks[t] = struct{}{}
}

// leave ends one use of a server by a trunk, which may have another still.
func (q *Qualifier) leave(w *watched, t *Trunk, still bool) {
	if !still {
		q.mu.Lock()
		delete(w.trunks, t)
		q.mu.Unlock()
	}
	q.swap(w, ua.Candidate{}, "")
}

// of gives what is known of a server.
func (q *Qualifier) of(w *watched) ServerStatus {
	q.mu.Lock()
	defer q.mu.Unlock()
	return w.status
}

// server gives what is known of one, new if need be. The qualifier is locked.
func (q *Qualifier) server(c ua.Candidate, host string) *watched {
	name := c.String()
	w := q.servers[name]
	if w == nil {
		q.serial++
		w = &watched{status: ServerStatus{Server: c}, host: host, order: q.serial}
		q.servers[name] = w
	}
	w.status.Server = c
	return w
}

// schedule sets the time of the next OPTIONS.
func (q *Qualifier) schedule(w *watched, after time.Duration) {
	if q.every <= 0 || q.closed || w.users == 0 {
		return
	}
	w.due = time.Now().Add(after)
	if w.timer != nil {
		w.timer.Reset(after)
		return
	}
	w.timer = time.AfterFunc(after, func() { q.ask(w) })
}

// jittered gives 80 to 100 % of d.
func jittered(d time.Duration) time.Duration { return scale(d, 0.8+0.2*rand.Float64()) }

// ask sends one OPTIONS and waits for its end; never two to one server.
func (q *Qualifier) ask(w *watched) {
	q.mu.Lock()
	if q.closed || q.every <= 0 || w.users == 0 || w.asking {
		q.mu.Unlock()
		return
	}
	w.asking = true
	q.work.Add(1)
	q.serial++
	server, host, serial := w.status.Server, w.host, q.serial
	timeout := min(qualifyTimeout, max(q.every, time.Second))
	q.mu.Unlock()
	defer q.work.Done()
	heard := ServerStatus{Server: server, Problem: delivery.ProblemConfig, LastReason: "internal error, see the agent's log"}
	q.ep.Guard("qualify "+server.String(), func() { heard = q.options(server, host, serial, timeout) })
	q.learn(w, heard)
}

// options sends one and tells what came of it.
func (q *Qualifier) options(server ua.Candidate, host string, serial uint32, timeout time.Duration) ServerStatus {
	ctx, cancel := context.WithTimeout(q.ctx, timeout)
	defer cancel()
	req := buildOptions(server, host, q.tag, serial)
	began := time.Now()
	res, err := q.ep.Do(ctx, req)
	s := ServerStatus{Server: server, Known: true}
	s.local, _ = q.ep.LocalAddrFor(ctx, server.Addr) // where there is no way, the request will say so
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = ua.ErrTimeout
		}
		o := failure(err, Config{}, server.String())
		s.Problem, s.LastReason = o.problem, o.reason
		return s
	}
	s.public, _ = netip.ParseAddrPort(publicAddress(res)) // some do not say
	s.Up, s.RTT, s.LastCode, s.LastReason = true, time.Since(began), res.StatusCode, statusLine(res)
	return s
}

// buildOptions builds the OPTIONS to a server: of nobody to the host itself.
func buildOptions(server ua.Candidate, host, tag string, serial uint32) *sip.Request {
	uri := ua.URI("", cmp.Or(host, server.Addr.String()))
	req := sip.NewRequest(sip.OPTIONS, uri)
	from := &sip.FromHeader{Address: uri, Params: sip.NewParams()}
	from.Params.Add("tag", tag)
	callID := sip.CallIDHeader(ua.NewCallID())
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{Address: uri})
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: serial, MethodName: sip.OPTIONS})
	req.AppendHeader(sip.NewHeader("Accept", "application/sdp"))
	server.Aim(req)
	return req
}

// learn takes what an OPTIONS has shown.
func (q *Qualifier) learn(w *watched, heard ServerStatus) {
	q.mu.Lock()
	w.asking = false
	if q.closed || q.every <= 0 {
		q.mu.Unlock()
		return
	}
	q.schedule(w, jittered(q.period(w)))
	before := w.status
	heard.Server, heard.Since, heard.Failures = before.Server, before.Since, before.Failures
	if !heard.Up {
		heard.RTT = before.RTT
		heard.Failures++
	}
	if turned := !before.Known || before.Up != heard.Up; turned {
		heard.Since = time.Now()
	}
	w.status = heard
	if heard.Problem != before.Problem || !before.Known {
		q.said(heard)
	}
	w.tell()
	var back []*Registration
	if heard.Up && before.Known && !before.Up {
		for line := range w.missing {
			back = append(back, line)
		}
		w.missing = nil
	}
	was, displaced := w.moved(heard.public)
	var unsure []*Registration
	if before.local.IsValid() && heard.local.IsValid() && before.local != heard.local {
		for line := range w.lines {
			unsure = append(unsure, line)
		}
	}
	q.mu.Unlock()
	for _, line := range unsure {
		line.Recheck()
	}
	for _, line := range displaced {
		line.readdressed(was, heard.public)
	}
	for _, line := range back {
		line.release()
	}
}

func (q *Qualifier) said(s ServerStatus) {
	if s.Up {
		q.log.Info("server answers", "server", s.Server.String(), "code", s.LastCode, "rtt", s.RTT)
		return
	}
	q.log.Warn("server does not answer", "server", s.Server.String(), "problem", s.Problem, "reason", s.LastReason)
}

// tell wakes the trunks that use the server. They ask for the rest.
func (w *watched) tell() {
	for t := range w.trunks {
		t.poke()
	}
}
