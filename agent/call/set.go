// Package call is one line's calls: dialogs, offer and answer, and the audio
// that belongs to them. It exists because a call's truth, who ended it and why,
// is spread over transactions, timers and packets, and must be one record in
// the end.
//
// Package ua gives the transactions; dialogs (RFC 3261 §12), the reliable delivery
// of 2xx and everything above are here.
//
// A Set routes requests to calls. A call is one goroutine that owns all of the
// call's state; whatever happens (a request, a response, a digit, an API call)
// arrives as an event in its mailbox, deadlines are its alarms.
package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// Kinds of refusal of Dial and Hangup, for errors.Is.
var (
	ErrBadTarget = errors.New("not a number or SIP URI")
	ErrBadHeader = errors.New("header not allowed")
	ErrBadDigits = errors.New("not DTMF digits")
	ErrBadValue  = errors.New("value out of range")
	ErrTooMany   = errors.New("too many calls")
	ErrDraining  = errors.New("line takes no new calls")
	ErrClosed    = errors.New("line is closed")
	ErrNoCall    = errors.New("no such call")
	// ErrRefused: the fleet's destinations do not allow the call; ErrBudget: not today.
	ErrRefused = errors.New("destination refused")
	ErrBudget  = errors.New("the day's minutes are used up")
	// ErrUnconfirmed: a rewriting rule wants the number confirmed (Dial.Confirm).
	// ErrDialAction: the dial action is nothing an agent can do. ErrOtherLine: a rule
	// calls from another line, which this Set is not.
	ErrUnconfirmed = errors.New("not confirmed")
	ErrDialAction  = errors.New("dial action not possible")
	ErrOtherLine   = errors.New("call from another line")
)

// CloseTimeout bounds Close.
const CloseTimeout = 2 * time.Second

// Set is all calls of one line. All methods may be called from any goroutine.
type Set struct {
	mu       sync.Mutex
	opts     Options
	running  map[string]*call    // by id, not ended
	dialogs  map[dialogKey]*call // by what a request within names
	invites  map[inviteKey]*call // by what an INVITE that came twice names
	ended    history
	texts    texts
	sending  int         // texts without a final response
	arrivals []time.Time // of the last second
	refuse   time.Time   // draining: new incoming calls are refused from then on
	closed   bool
	calls    sync.WaitGroup // the calls' goroutines
	stop     context.CancelFunc
	stopped  context.Context
}

// dialogKey finds the call of a request within a dialog: the tag is ours.
type dialogKey struct{ callID, tag string }

// inviteKey is what the same INVITE shows on every path it comes by (RFC 3261 §8.2.2.2).
type inviteKey struct {
	callID, tag string
	seq         uint32
}

// NewSet makes a Set without calls.
func NewSet(o Options) *Set {
	s := new(Set) // most lines have no call most of the time: the maps are made for the first
	s.Update(o)
	return s
}

// Update puts other options in force for new calls. Running calls keep theirs.
func (s *Set) Update(o Options) {
	o = o.defaults()
	for _, err := range badHeaders(o.Account) {
		o.Log.Warn("header of the account is never sent", "line", o.Line, "error", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts = o
}

func (o Options) defaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.NoAnswer <= 0 {
		o.NoAnswer = DefaultNoAnswer
	}
	if o.Caps.MaxDuration <= 0 {
		o.Caps.MaxDuration = DefaultMaxDuration
	}
	if o.Budget == nil {
		o.Budget = new(Budget)
	}
	if o.OnText == nil {
		o.OnText = func(Text) {}
	}
	if o.Nonces == nil {
		o.Nonces = new(ua.NonceCache)
	}
	return o
}

// Allow are the methods the line handles, for ua.Capable.
func (s *Set) Allow() []sip.RequestMethod { return allow(s.options()) }

func (s *Set) options() Options {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opts
}

// Supported are the option tags the line supports, for ua.Capable.
func (s *Set) Supported() []string { return supported(s.options()) }

// supported are the option tags of what is in other RFCs and a line does all the same.
func supported(o Options) []string {
	tags := []string{"replaces", tagReliable, tagTimer}
	if o.follows() {
		tags = append(tags, "norefersub")
	}
	return tags
}

func allow(o Options) []sip.RequestMethod {
	methods := []sip.RequestMethod{sip.INVITE, sip.ACK, sip.CANCEL, sip.BYE, sip.OPTIONS, sip.INFO, sip.UPDATE, sip.PRACK, sip.NOTIFY}
	if o.follows() {
		methods = append(methods, sip.REFER, sip.SUBSCRIBE)
	}
	if o.Account.AllowMessage {
		methods = append(methods, sip.MESSAGE)
	}
	return methods
}

// validate checks what Dial asks for besides its target.
func (d Dial) validate() error {
	if err := checkHeaders(d.Headers); err != nil {
		return err
	}
	if len(d.DTMF) > mostDigits {
		return fmt.Errorf("%w: %d, %d allowed", ErrBadDigits, len(d.DTMF), mostDigits)
	}
	for _, c := range d.DTMF {
		if !isDigit(c) && c != ',' {
			return fmt.Errorf("%w: %q", ErrBadDigits, c)
		}
	}
	if d.Seconds < 0 || d.Seconds > 1e6 {
		return fmt.Errorf("%w: seconds %d", ErrBadValue, d.Seconds)
	}
	if d.DialAction != "" && !slices.Contains(account.DialActions(), d.DialAction) {
		return fmt.Errorf("%w: dialAction %q", ErrBadValue, clip(d.DialAction))
	}
	if !(d.ToneHz >= 0 && d.ToneHz <= 20000) {
		return fmt.Errorf("%w: toneHz %v", ErrBadValue, d.ToneHz)
	}
	if d.ToneHz > 0 && d.Play != "" {
		return fmt.Errorf("%w: toneHz and play: one of them can be sent", ErrBadValue)
	}
	return nil
}

// reserve makes a call known before it runs. The set is locked; launch follows.
func (s *Set) reserve(ctx context.Context, c *call) {
	s.open()
	s.running[c.rec.ID] = c
	s.dialogs[dialogKey{c.rec.CallID, c.tag}] = c
	if c.inviteKey != (inviteKey{}) {
		s.invites[c.inviteKey] = c
	}
	c.ctx, c.cancel = context.WithCancel(ctx)
	c.view.Store(&view{record: c.rec})
	s.calls.Add(1)
}

// open makes what a Set needs once something is under way. The set is locked.
func (s *Set) open() {
	if s.running == nil {
		s.running, s.dialogs, s.invites = make(map[string]*call), make(map[dialogKey]*call), make(map[inviteKey]*call)
		s.stopped, s.stop = context.WithCancel(context.Background())
	}
}

// launch runs a call that was reserved. From here on the record is the call's own.
func (s *Set) launch(c *call) {
	release := context.AfterFunc(s.stopped, c.cancel)
	go func() {
		defer s.calls.Done()
		defer release()
		defer c.cancel()
		defer s.forget(c)
		guard := c.opts.Endpoint.Guard
		if guard(c.opts.Line, c.run) {
			guard(c.opts.Line, func() { c.abandon(broken) })
		}
	}()
}

// left is told by a call that it has ended; what it still does is answer.
func (s *Set) left(r Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, r.ID)
	s.ended.add(r)
}

// forget removes a call for good.
func (s *Set) forget(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, c.rec.ID)
	delete(s.dialogs, dialogKey{c.rec.CallID, c.tag})
	delete(s.invites, c.inviteKey)
}

// Hangup ends a call: CANCEL, BYE or 486, whatever fits its state. It does not
// wait. Ending an ended call is no error; an unknown one is ErrNoCall.
func (s *Set) Hangup(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.running[id]; c != nil {
		c.box.post(func() { c.hangup(goodbye{End: End{Code: 486, Reason: "hung up", By: Local}}) })
		return nil
	}
	if _, ok := s.ended.find(id); ok {
		return nil
	}
	return fmt.Errorf("%w: %q", ErrNoCall, clip(id))
}

// UsesTrust tells whether a call runs that began with the certificates of that
// name (ua.Link.Trust).
func (s *Set) UsesTrust(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.running {
		if c.opts.Link.Trust == name {
			return true
		}
	}
	return false
}

// Records of running calls and of those that ended within the last ten
// minutes (the latest 100), oldest first, with media statistics as of now.
func (s *Set) Records() []Record {
	s.mu.Lock()
	running := make([]*call, 0, len(s.running))
	for _, c := range s.running {
		running = append(running, c)
	}
	records := s.ended.list()
	s.mu.Unlock()
	for _, c := range running {
		records = append(records, c.snapshot())
	}
	sortRecords(records)
	return records
}

// CallIDs are those of the calls that have not ended.
func (s *Set) CallIDs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.running))
	for _, c := range s.running {
		if r := &c.view.Load().record; r.State != Ended {
			ids = append(ids, r.CallID)
		}
	}
	return ids
}

// Record of one call.
func (s *Set) Record(id string) (Record, bool) {
	s.mu.Lock()
	c := s.running[id]
	r, ok := s.ended.find(id)
	s.mu.Unlock()
	if c != nil {
		return c.snapshot(), true
	}
	return r, ok
}

// Active counts the calls that have not ended.
func (s *Set) Active() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running)
}

// Drain refuses new outgoing calls from now on, and new incoming ones with 480
// once until has passed (calls on their way to this contact still arrive for
// 64·T1 after it was removed). Running calls go on. The zero time ends it.
func (s *Set) Drain(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = until
}

// Close ends every call, saying why in a Reason header, and waits for their
// goodbyes for CloseTimeout at most. The set takes no calls afterwards.
func (s *Set) Close(reason string) {
	s.mu.Lock()
	s.closed = true
	for _, c := range s.running {
		c.box.post(func() {
			c.hangup(goodbye{End: End{Code: 480, Reason: reason, By: Local}, header: reasonHeader(503, reason)})
		})
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.calls.Wait(); close(done) }()
	timer := time.NewTimer(CloseTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	if s.stop != nil {
		s.stop()
	}
	<-done
}
