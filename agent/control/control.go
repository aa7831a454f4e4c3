// Package control is the agent's HTTP side: health and metrics for whoever may
// reach the pod, and the state and placing of calls for whoever may reach its
// loopback. Placing a call is spending somebody's money, so the two never share
// an address that a network can reach, unless a token guards it.
package control

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/subscription"
	"github.com/softphone-operator/softphone-operator/agent/trace"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Agent is what the listeners ask.
type Agent interface {
	// Ready tells whether the snapshot is loaded and the sockets are bound, and what is missing.
	Ready() (bool, string)
	// Status is everything /statusz shows.
	Status() Status
	// Dial places a call. Errors wrap the kinds below or those of package call.
	Dial(ctx context.Context, d Dial) (id string, err error)
	// Call gives the record of a call; ErrNoCall when there is none.
	Call(id string) (call.Record, error)
	// Transfer asks the other side of a call to call somebody else.
	Transfer(id string, t call.Transfer) error
	// Hold asks the other side of a call to send nothing, Resume to send again.
	Hold(ctx context.Context, id string) error
	Resume(ctx context.Context, id string) error
	// CallTrace gives the SIP messages of a call, by its id or its SIP Call-ID, and what
	// to call it; LineTrace those of a line beside calls. ErrNoCall, ErrUnknownLine.
	CallTrace(id string) (t trace.Trace, title string, err error)
	LineTrace(line string) (t trace.Trace, title string, err error)
	// Recording gives a call's file (WAV), and its name; recording.ErrNone when there is none.
	Recording(id string) (io.ReadSeekCloser, string, error)
	// Hangup ends a call.
	Hangup(id string) error
	// Message sends a text message. Errors are those of Dial, and call.ErrTooLong.
	Message(ctx context.Context, m Message) (id string, err error)
	// Text gives a text message; call.ErrNoText when there is none.
	Text(id string) (call.Text, error)
}

// Kinds of refusal, for errors.Is.
var (
	ErrUnknownLine   = errors.New("no such line")
	ErrNotRegistered = errors.New("line is not registered")
	ErrSuspended     = errors.New("line is suspended")
	ErrNoFlow        = errors.New("no such flow")
)

// Dial is the body of POST /calls.
type Dial struct {
	// Line that calls.
	Line string `json:"line"`
	// Flow to run on the call; "" = none.
	Flow string `json:"flow,omitempty"`
	call.Dial
}

// Message is the body of POST /messages.
type Message struct {
	// Line that sends.
	Line string `json:"line"`
	call.Message
}

// Status is the body of GET /statusz.
type Status struct {
	Agent    AgentStatus         `json:"agent"`
	Lines    []LineStatus        `json:"lines"`
	Rejected []delivery.Rejected `json:"rejected"`
	Calls    []call.Record       `json:"calls"`
	// Checks that run here.
	Checks  []delivery.CheckReport `json:"checks"`
	Servers []ServerStatus         `json:"servers"`
}

// AgentStatus is the agent's own part of it.
type AgentStatus struct {
	Name         string               `json:"name"`
	Version      string               `json:"version"`
	StartedAt    time.Time            `json:"startedAt"`
	Ready        bool                 `json:"ready"`
	NotReady     string               `json:"notReady,omitempty"`
	Draining     bool                 `json:"draining"`
	Network      delivery.NetworkType `json:"network"`
	SIPPort      int                  `json:"sipPort"`
	SnapshotHash string               `json:"snapshotHash"`
	SnapshotAt   time.Time            `json:"snapshotAt,omitzero"`
}

// ServerStatus is one server that lines use.
type ServerStatus struct {
	// Server as address:port/transport.
	Server string `json:"server"`
	// Up tells whether it answered the last OPTIONS; absent until it was asked.
	Up *bool `json:"up,omitempty"`
	// RTTMs of the last answer, in milliseconds.
	RTTMs *float64 `json:"rttMs,omitempty"`
	// Since it is up, or down.
	Since time.Time `json:"since,omitzero"`
	// LastCode of its answer; 0 = there was none, and LastReason says why.
	LastCode   int              `json:"lastCode"`
	LastReason string           `json:"lastReason,omitempty"`
	Problem    delivery.Problem `json:"problem,omitempty"`
	Failures   uint64           `json:"failures"`
	// WaitingRequests are REGISTERs and SUBSCRIBEs that wait for their turn.
	WaitingRequests int `json:"waitingRequests"`
	// HeldLines wait because RefusedLines were refused; the next tries at RetryAt.
	HeldLines    int       `json:"heldLines,omitempty"`
	RefusedLines int       `json:"refusedLines,omitempty"`
	RetryAt      time.Time `json:"retryAt,omitzero"`
}

// WebService tells how a web service of an account fares.
type WebService struct {
	Requests uint64 `json:"requests"`
	Failures uint64 `json:"failures"`
	// LastCode of an answer, 0 = there was none; LastReason why that was no success.
	LastCode   int       `json:"lastCode"`
	LastReason string    `json:"lastReason,omitempty"`
	At         time.Time `json:"at"`
}

// LineStatus is one line of it.
type LineStatus struct {
	Name  string         `json:"name"`
	Title string         `json:"title,omitempty"`
	AOR   string         `json:"aor"`
	State delivery.State `json:"state"`
	Since time.Time      `json:"since"`
	Slot  int            `json:"slot"`
	// Server as host:port/transport.
	Server string `json:"server"`
	// Contact URI registered, Public our address as the server sees it.
	Contact string `json:"contact"`
	Public  string `json:"public,omitempty"`
	// Path to the line, ServiceRoute of its requests and its AssociatedURIs, as the
	// registrar said; Outbound: it keeps the flow the line registered over (RFC 5626).
	Path           []string `json:"path,omitempty"`
	ServiceRoute   []string `json:"serviceRoute,omitempty"`
	AssociatedURIs []string `json:"associatedUris,omitempty"`
	Outbound       bool     `json:"outbound,omitempty"`
	// VPNStartup is what became of the account's vpnStartupUrl; absent without one.
	VPNStartup     *WebService        `json:"vpnStartup,omitempty"`
	ExpiresAt      time.Time          `json:"expiresAt,omitzero"`
	GrantedSeconds int                `json:"grantedSeconds,omitempty"`
	LastCode       int                `json:"lastCode"`
	LastReason     string             `json:"lastReason"`
	Problem        delivery.Problem   `json:"problem,omitempty"`
	RetryAt        time.Time          `json:"retryAt,omitzero"`
	DrainState     delivery.LineState `json:"drainState,omitempty"`
	ActiveCalls    int                `json:"activeCalls"`
	ConfigHash     string             `json:"configHash"`
	EffectiveHash  string             `json:"effectiveHash"`
	// Certificates the line's connection was made with; none without TLS.
	Certificates []delivery.Certificate `json:"certificates,omitempty"`
	// MWI is the line's mailbox; absent where nobody asks for it, and nobody tells.
	MWI *subscription.MWI `json:"mwi,omitempty"`
	// Watched are those whose calls the line watches, in the account's order.
	Watched []subscription.Watched `json:"watched,omitempty"`
	// Media tells where the audio of calls can be reached.
	Media *delivery.MediaReport `json:"media,omitempty"`
	// Messages are the last text messages that came and went, oldest first.
	Messages []call.Text `json:"messages,omitempty"`
}
