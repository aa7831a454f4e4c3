// Package call is one line's calls: dialogs, offer and answer, and the audio
// that belongs to them. It exists because a call's truth, who ended it and why,
// is spread over transactions, timers and packets, and must be one record in
// the end.
//
// sipgo gives the parser and the transactions; dialogs (RFC 3261 §12), the
// reliable delivery of 2xx and everything above are here.
package call

import (
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Kinds of refusal of Dial and Hangup, for errors.Is.
var (
	ErrBadTarget = errors.New("not a number or SIP URI")
	ErrBadHeader = errors.New("header not allowed")
	ErrBadDigits = errors.New("not DTMF digits")
	ErrTooMany   = errors.New("too many calls")
	ErrDraining  = errors.New("line takes no new calls")
	ErrClosed    = errors.New("line is closed")
	ErrNoCall    = errors.New("no such call")
)

// Set is all calls of one line. All methods may be called from any goroutine.
type Set struct{}

// NewSet makes a Set without calls.
func NewSet(o Options) *Set { return &Set{} }

// Update puts other options in force for new calls. Running calls keep theirs.
func (s *Set) Update(o Options) {}

// HandleRequest takes a request of the network, any method; it answers what
// belongs to no call, too. It does not block. See ua.Line.
func (s *Set) HandleRequest(req *sip.Request, tx sip.ServerTransaction) {}

// Allow are the methods the line handles, for ua.Capable.
func (s *Set) Allow() []sip.RequestMethod { return nil }

// Supported are the option tags the line supports, for ua.Capable.
func (s *Set) Supported() []string { return nil }

// Dial places a call and returns its id at once; its record tells what became
// of it. ctx bounds looking up the server, nothing after it. Errors wrap
// ErrBadTarget, ErrBadHeader, ErrBadDigits, ErrTooMany, ErrDraining or ErrClosed.
func (s *Set) Dial(ctx context.Context, d Dial) (id string, err error) { return "", nil }

// Hangup ends a call: CANCEL, BYE or 480, whatever fits its state. It does not
// wait. Ending an ended call is no error; an unknown one is ErrNoCall.
func (s *Set) Hangup(id string) error { return nil }

// Records of running calls and of those that ended within the last ten
// minutes (the latest 100), oldest first, with media statistics as of now.
func (s *Set) Records() []Record { return nil }

// Record of one call.
func (s *Set) Record(id string) (Record, bool) { return Record{}, false }

// Active counts the calls that have not ended.
func (s *Set) Active() int { return 0 }

// Drain refuses new outgoing calls from now on, and new incoming ones with 480
// once until has passed (calls on their way to this contact still arrive for
// 64·T1 after it was removed). Running calls go on. The zero time ends it.
func (s *Set) Drain(until time.Time) {}

// Close ends every call, saying why in a Reason header, and waits for their
// goodbyes for CloseTimeout at most. The set takes no calls afterwards.
func (s *Set) Close(reason string) {}

// CloseTimeout bounds Close.
const CloseTimeout = 2 * time.Second
