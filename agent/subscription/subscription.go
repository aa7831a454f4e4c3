// Package subscription keeps a line told of what happens elsewhere: messages in its
// mailbox (message waiting, RFC 3842) and the calls of others (busy lamp fields, RFC
// 4235), by SUBSCRIBE and NOTIFY (RFC 6665). It exists as a package of its own because
// what a lamp shows is only as true as the subscription behind it, and that has a life
// of its own beside registration and calls.
package subscription

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Config of one line's subscriptions.
type Config struct {
	// Name of the line, for logs.
	Name string
	// AOR of the line: who subscribes, and whose mailbox it is.
	AOR registration.AOR
	// Mailbox subscribes to the line's message summary.
	Mailbox bool
	// Watch lists whose calls are watched: numbers or users at the line's host, or SIP
	// URIs. What is neither is shown as failed.
	Watch []string
	// Link to the server; the zero value is UDP.
	Link ua.Link
	// Route is the host[:port] of an outbound proxy to name in a Route header
	// (Link.Routes); "" = none.
	Route string
	// Credentials for digest.
	Credentials ua.Credentials
	// Nonces shared with the line's registration; nil = own.
	Nonces *ua.NonceCache
	// ContactUser is the unguessable user part of the Contact, the same that was given
	// to ua.Endpoint.Bind.
	ContactUser string
	// Server gives the place of the line's server (registration.Binding), Servers all
	// its addresses, the one in use first: from there a NOTIFY is taken that nobody
	// subscribed to.
	Server  func(ctx context.Context) (ua.Candidate, error)
	Servers func() []netip.AddrPort
	// Expires asked for; 0 = DefaultExpires.
	Expires time.Duration
	// Headers are added to every SUBSCRIBE.
	Headers []registration.Header
	// Gate is shared by the lines of an agent; nil = own.
	Gate *registration.Gate
	// OnChange is called after every change of the Status, never concurrently; it must
	// not block. OnAttempt, after every SUBSCRIBE exchange, with its final code, 0 =
	// there was none. OnNotify, for every NOTIFY that was taken.
	OnChange  func()
	OnAttempt func(event string, code int)
	OnNotify  func(event string)
	Log       *slog.Logger
}

// DefaultExpires is what both event packages suggest (RFC 3842 §3.4, RFC 4235 §3.4).
const DefaultExpires = time.Hour

// Event packages.
const (
	MessageSummary = "message-summary"
	DialogEvent    = "dialog"
)

// Events are the packages that a line knows, for Allow-Events.
var Events = []string{MessageSummary, DialogEvent}

// accepts is the media type of a package's bodies.
var accepts = map[string]string{
	MessageSummary: "application/simple-message-summary",
	DialogEvent:    "application/dialog-info+xml",
}

// Endpoint is what subscriptions need of a *ua.Endpoint.
type Endpoint interface {
	Resolve(ctx context.Context, hostport string, t ua.Transport) ([]ua.Candidate, error)
	LocalAddrFor(ctx context.Context, server netip.AddrPort) (netip.Addr, error)
	Port() int
	Do(ctx context.Context, req *sip.Request) (*sip.Response, error)
	Guard(line string, f func()) (panicked bool)
}

var _ Endpoint = (*ua.Endpoint)(nil)

// Footing is how the line stands with its server.
type Footing struct {
	// Up: requests make sense, and the server knows where we are.
	Up bool
	// Since when; another time is another registration.
	Since time.Time
	// Server in use, and our Contact there.
	Server, Contact string
}

// Standing is how one subscription stands.
type Standing struct {
	// State is off, subscribing, pending, active, waiting or refused.
	State State `json:"state"`
	// ExpiresAt is when it ends unless refreshed; zero when there is none.
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	// LastCode of the last final response to SUBSCRIBE; 0 when there was none.
	LastCode int `json:"lastCode"`
	// LastReason says in words how the last attempt, or the subscription, ended.
	LastReason string `json:"lastReason,omitempty"`
	// RetryAt is when the next attempt is due, after a failure.
	RetryAt time.Time `json:"retryAt,omitzero"`
	// Forks are further notifiers that answered the same SUBSCRIBE.
	Forks int `json:"forks,omitempty"`
}

// State of a subscription, for people.
type State string

// The states.
const (
	Off         State = "off"         // the line is not registered
	Subscribing State = "subscribing" // asked for; no NOTIFY yet
	Pending     State = "pending"     // the notifier has not decided yet
	Active      State = "active"
	Waiting     State = "waiting" // failed; tried again at RetryAt
	Refused     State = "refused" // failed, and not tried again before something changes
)

// States lists them.
var States = []State{Off, Subscribing, Pending, Active, Waiting, Refused}

// Status is what is known of a line's subscriptions. It is never written to.
type Status struct {
	// MWI is the mailbox; nil = the line does not subscribe to it, and nobody told.
	MWI *MWI
	// Watched are the targets, in the order they are configured.
	Watched []Watched
}

// MWI is the line's mailbox.
type MWI struct {
	// Messages as told last; nil until then.
	*delivery.Messages
	// Classes of messages that are counted.
	Classes map[string][2]int `json:"classes,omitempty"`
	// Unsolicited: told without a subscription.
	Unsolicited bool `json:"unsolicited,omitempty"`
	// Subscription; nil = the line does not subscribe.
	Subscription *Standing `json:"subscription,omitempty"`
}

// Watched is somebody whose calls are watched.
type Watched struct {
	// URI as configured.
	URI string `json:"uri"`
	// State is that of the call that is furthest; unknown while nothing is told.
	State DialogState `json:"state"`
	// Since when it is.
	Since time.Time `json:"since,omitzero"`
	// Direction of that call: initiator, recipient.
	Direction string `json:"direction,omitempty"`
	// Remote is who is spoken to, where the server tells it.
	Remote string `json:"remote,omitempty"`
	// Calls that go on.
	Calls int `json:"calls"`
	// History are the last changes of State, oldest first.
	History []Change `json:"history,omitempty"`
	// Subscription to it.
	Subscription Standing `json:"subscription"`
}

// Change of a state.
type Change struct {
	State DialogState `json:"state"`
	At    time.Time   `json:"at"`
}

// mostHistory of one who is watched.
const mostHistory = 16
