package delivery

import "time"

// Report is what an agent says of itself: the whole of it. Readers get one
// first and Events after it.
type Report struct {
	Agent  AgentReport   `json:"agent"`
	Lines  []LineReport  `json:"lines"`
	Checks []CheckReport `json:"checks,omitempty"`
}

// AgentReport is the agent's own part of a report.
type AgentReport struct {
	Name string `json:"name"`
	// Version of the program.
	Version string `json:"version,omitempty"`
	// SnapshotHash of the files in force (Hasher.Snapshot).
	SnapshotHash string    `json:"snapshotHash"`
	StartedAt    time.Time `json:"startedAt"`
	// Ready: snapshot loaded and sockets bound.
	Ready    bool       `json:"ready"`
	Draining bool       `json:"draining,omitempty"`
	Rejected []Rejected `json:"rejected,omitempty"`
}

// Rejected is a delivered file that is not in force, and why.
type Rejected struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// State of a line's registration.
type State string

// The states, in the order a line lives through them.
const (
	Idle         State = "idle"
	Registering  State = "registering"
	Registered   State = "registered"
	Unauthorized State = "unauthorized"
	Error        State = "error"
	Disabled     State = "disabled"
)

// States lists every State, in the order a line lives through them.
var States = []State{Idle, Registering, Registered, Unauthorized, Error, Disabled}

// Problem is why a line is not registered, as one word a program can act on.
type Problem string

// The problems.
const (
	NoProblem           Problem = ""
	ProblemUnauthorized Problem = "Unauthorized"      // 401/407 again with our best credentials
	ProblemForbidden    Problem = "Forbidden"         // 403
	ProblemNotFound     Problem = "NotFound"          // 404, 604: the registrar does not know the user
	ProblemTimeout      Problem = "Timeout"           // no answer
	ProblemHostNotFound Problem = "HostNotFound"      // DNS says there is no such name
	ProblemDNS          Problem = "DNSFailure"        // DNS did not say
	ProblemUnreachable  Problem = "Unreachable"       // ICMP or socket error
	ProblemRejected     Problem = "Rejected"          // any other 3xx to 6xx
	ProblemServer       Problem = "ServerError"       // 5xx
	ProblemDigest       Problem = "UnsupportedDigest" // no challenge that we can answer
	ProblemCertificate  Problem = "Certificate"       // a TLS certificate was rejected, the server's or ours
	ProblemConfig       Problem = "BadConfiguration"  // the account cannot be run
	ProblemHeldBack     Problem = "HeldBack"          // too many other lines were refused there; this one waits
)

// LineReport is one line's truth.
type LineReport struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Since the state holds.
	Since time.Time `json:"since"`
	Slot  int       `json:"slot,omitempty"`
	// Server as host:port and transport, e.g. "10.77.0.1:5060/udp".
	Server string `json:"server,omitempty"`
	// Contact URI registered.
	Contact string `json:"contact,omitempty"`
	// GrantedSeconds the registrar gave at the last 200.
	GrantedSeconds int     `json:"grantedSeconds,omitempty"`
	LastCode       int     `json:"lastCode,omitempty"`
	LastReason     string  `json:"lastReason,omitempty"`
	Problem        Problem `json:"problem,omitempty"`
	// DrainState tells how far a draining line has come; absent = not draining.
	DrainState LineState `json:"drainState,omitempty"`
	// ConfigHash of what was delivered and is in force (Hasher.Line).
	ConfigHash string `json:"configHash,omitempty"`
	// EffectiveHash of the document after external provisioning.
	EffectiveHash string `json:"effectiveHash,omitempty"`
	// ActiveCalls the line has now.
	ActiveCalls int `json:"activeCalls,omitempty"`
	// Certificates the line's connection was made with; none without TLS.
	Certificates []Certificate `json:"certificates,omitempty"`
	// Messages in the line's mailbox; absent until its server told.
	Messages *Messages `json:"messages,omitempty"`
	// Watching of others' calls; absent where the line watches nobody.
	Watching *Watching `json:"watching,omitempty"`
	// Media tells where the audio of calls can be reached; absent while nothing is known.
	Media *MediaReport `json:"media,omitempty"`
}

// EventType says what an Event carries.
type EventType string

// The events.
const (
	EventSnapshot EventType = "snapshot" // Report
	EventAgent    EventType = "agent"    // Agent
	EventLine     EventType = "line"     // Line
	EventGone     EventType = "gone"     // Name: the line is no longer here
	EventCheck    EventType = "check"    // Check
	EventNoCheck  EventType = "noCheck"  // Name: the check is no longer here
	EventPing     EventType = "ping"     // nothing; the reader knows the stream lives
)

// Event is one line of a report stream (newline-delimited JSON).
type Event struct {
	Type   EventType    `json:"type"`
	Report *Report      `json:"report,omitempty"`
	Agent  *AgentReport `json:"agent,omitempty"`
	Line   *LineReport  `json:"line,omitempty"`
	Check  *CheckReport `json:"check,omitempty"`
	Name   string       `json:"name,omitempty"`
}

// PingInterval is how often a silent report stream says that it lives; a
// reader that hears nothing for three of them should dial again.
const PingInterval = 10 * time.Second

// ReportPath is where the report listener serves the stream. With the query
// watch=1 it stays open; without it one snapshot is given.
const ReportPath = "/report"
