// Package delivery is the contract between the operator and an agent: the
// files an agent is given and the report it gives back. Both halves import it,
// so it knows nothing of Kubernetes, SIP or files being watched; it only names
// and shapes things.
//
// An agent is given one directory:
//
//	<line>.xml      the account XML of one line (package account)
//	<name>.check.json  a check that one of the lines runs (package check)
//	agent.json      settings of the agent and of its lines (type Agent); optional
//	ca.crt, client.crt, client.key
//	                certificates of the lines' TLS connections (PEM); optional
//	others          such of single lines, by the names that their rows of
//	                agent.json give (type TLS)
//	report.crt      certificate of the report listener (PEM)   in pods only
//	report.key      its private key (PEM)                      in pods only
//	report.token    the bearer token a reader must present     in pods only
package delivery

import (
	"fmt"
	"strings"

	"github.com/softphone-operator/softphone-operator/account/tone"
)

// Names of the files in an agent's directory.
const (
	AgentFile       = "agent.json"
	ReportCertFile  = "report.crt"
	ReportKeyFile   = "report.key"
	ReportTokenFile = "report.token"

	// For the lines' TLS connections, all optional, PEM: authorities beside the
	// system's, and a client certificate for servers that ask for one.
	CAFile         = "ca.crt"
	ClientCertFile = "client.crt"
	ClientKeyFile  = "client.key"

	// LineSuffix ends the name of every line's file.
	LineSuffix = ".xml"
)

// MaxBytes is the most that one agent's files may sum to. A Kubernetes Secret
// holds 1 MiB; the rest is room for its metadata.
const MaxBytes = 900_000

// LineFile names the file of a line.
func LineFile(line string) string { return line + LineSuffix }

// LineName gives the line that a file is for, and whether it is a line's file.
// Hidden files (Kubernetes' ..data, editors' swap files) are nobody's.
func LineName(file string) (string, bool) {
	name, ok := strings.CutSuffix(file, LineSuffix)
	if !ok || name == "" || strings.HasPrefix(name, ".") {
		return "", false
	}
	return name, true
}

// LineState is what the operator wants of a line on this agent.
type LineState string

const (
	// Active lines register, answer and may place calls.
	Active LineState = "active"
	// Draining lines stop refreshing, remove their own binding, still take the
	// calls already on their way, and let running calls finish.
	Draining LineState = "draining"
	// Gone lines have nothing left here; the row is removed next.
	Gone LineState = "gone"
)

// NetworkType is the kind of network a line believes to be on; it selects
// between the Wi-Fi and the cellular half of an account's settings.
type NetworkType string

// The network types.
const (
	WiFi      NetworkType = "wifi"
	Cellular  NetworkType = "cellular"
	NoNetwork NetworkType = "none"
)

// Agent is agent.json. Absent fields mean what Defaults gives.
type Agent struct {
	// Version of this format; 1.
	Version int `json:"version"`
	// Name of the agent, for logs and for the port it derives from it.
	Name string `json:"name,omitempty"`
	// HashKey keys the hashes in reports, so that nobody who reads a hash can
	// try passwords against it. Base64; absent = unkeyed (agents run by hand).
	HashKey []byte `json:"hashKey,omitempty"`
	// Network the lines are on.
	Network Network `json:"network,omitzero"`
	// IncomingCallMode stands behind icm=auto: keepAwake (default), push or off.
	IncomingCallMode string `json:"incomingCallMode,omitempty"`
	// NoAnswerSeconds until an unanswered incoming call gets 480; 0 = 60.
	NoAnswerSeconds int `json:"noAnswerSeconds,omitempty"`
	// DrainSeconds running calls may take after SIGTERM; 0 = 30.
	DrainSeconds int `json:"drainSeconds,omitempty"`
	// Caps bound what one line may do.
	Caps Caps `json:"caps,omitzero"`
	// SourceRequestsPerSecond that one address may send to the agent, the lines'
	// own servers excepted; 0 = no bound.
	SourceRequestsPerSecond int `json:"sourceRequestsPerSecond,omitempty"`
	// Registrar bounds what all lines together ask of one registrar.
	Registrar Registrar `json:"registrar,omitzero"`
	// Destinations guard what lines may call; absent = the guard with its defaults.
	Destinations Destinations `json:"destinations,omitzero"`
	// Transfers say who may send a line's calls elsewhere; absent = nobody.
	Transfers Transfers `json:"transfers,omitzero"`
	// Recordings bound what is kept of calls that are recorded.
	Recordings Recordings `json:"recordings,omitzero"`
	// HEP is where copies of SIP messages go; absent = nowhere.
	HEP HEP `json:"hep,omitzero"`
	// MetricLabels are labels of accounts that the metrics of checks carry, as
	// Prometheus names them; Labels are their values, by line and label.
	MetricLabels []string                     `json:"metricLabels,omitempty"`
	Labels       map[string]map[string]string `json:"labels,omitempty"`
	// Lines by name. A line without a row is active in slot 1.
	Lines map[string]Line `json:"lines,omitempty"`
}

// Network is the network a line believes to be on.
type Network struct {
	Type NetworkType `json:"type,omitempty"`
	SSID string      `json:"ssid,omitempty"`
}

// Caps bound a line's calls; 0 = no bound, except MaxCallSeconds.
type Caps struct {
	// ConcurrentCalls a line may have, both directions together.
	ConcurrentCalls int `json:"concurrentCalls,omitempty"`
	// NewCallsPerSecond a line takes from the network.
	NewCallsPerSecond int `json:"newCallsPerSecond,omitempty"`
	// MaxCallSeconds after which a call is ended; 0 = 3600.
	MaxCallSeconds int `json:"maxCallSeconds,omitempty"`
}

// Line is a line's row in agent.json.
type Line struct {
	// Slot 1 or 2; flips on every move between agents. It is the reg-id of
	// RFC 5626 and part of everything that tells this binding from the other.
	Slot int `json:"slot,omitempty"`
	// State the operator wants; absent = active.
	State LineState `json:"state,omitempty"`
	// Instance is the line's identity at registrars, "urn:uuid:…" (RFC 5626
	// §4.1); absent = derived by the agent and kept in its state directory.
	Instance string `json:"instance,omitempty"`
	// Flow names the call flow the line answers with; absent = echo.
	Flow string `json:"flow,omitempty"`
	// Play is the call tone an answered call hears (package tone), over the files of the
	// agent's prompts directory: "periodic(wav(music.caf))"; absent = its own echo.
	Play string `json:"play,omitempty"`
	// Record all calls of the line; single ones are recorded where a rewriting rule, or
	// whoever places them, says so.
	Record bool `json:"record,omitempty"`
	// Suspended lines un-register and stay idle.
	Suspended bool `json:"suspended,omitempty"`
	// Trunk lines do not register: their server knows them by address. Calls
	// come from it and go to it, and OPTIONS tell whether it is there.
	Trunk bool `json:"trunk,omitempty"`
	// TLS material of the line, where it is not the agent's.
	TLS TLS `json:"tls,omitzero"`
}

// Defaults fills the absent fields of an agent's settings.
func (a Agent) Defaults() Agent {
	if a.Version == 0 {
		a.Version = 1
	}
	if a.Network.Type == "" {
		a.Network.Type = WiFi
	}
	if a.IncomingCallMode == "" {
		a.IncomingCallMode = "keepAwake"
	}
	if a.NoAnswerSeconds == 0 {
		a.NoAnswerSeconds = 60
	}
	if a.DrainSeconds == 0 {
		a.DrainSeconds = 30
	}
	if a.Caps.MaxCallSeconds == 0 {
		a.Caps.MaxCallSeconds = 3600
	}
	a.Registrar = a.Registrar.Defaults()
	return a
}

// Line gives the row of a line, its defaults filled.
func (a Agent) Line(name string) Line {
	l := a.Lines[name]
	if l.Slot == 0 {
		l.Slot = 1
	}
	if l.State == "" {
		l.State = Active
	}
	return l
}

// Validate tells the first thing wrong with the settings, naming the field.
func (a Agent) Validate() error {
	if a.Version > 1 {
		return fmt.Errorf("version: %d is newer than this agent understands (1)", a.Version)
	}
	switch a.Network.Type {
	case "", WiFi, Cellular, NoNetwork:
	default:
		return fmt.Errorf("network.type: %q is not one of wifi, cellular, none", a.Network.Type)
	}
	switch a.IncomingCallMode {
	case "", "keepAwake", "push", "off":
	default:
		return fmt.Errorf("incomingCallMode: %q is not one of keepAwake, push, off", a.IncomingCallMode)
	}
	if err := a.validateBounds(); err != nil {
		return err
	}
	for name, l := range a.Lines {
		if err := l.validate(); err != nil {
			return fmt.Errorf("lines[%s].%w", name, err)
		}
	}
	return nil
}

func (a Agent) validateBounds() error {
	err := notNegative([]bound{
		{"noAnswerSeconds", a.NoAnswerSeconds},
		{"drainSeconds", a.DrainSeconds},
		{"sourceRequestsPerSecond", a.SourceRequestsPerSecond},
		{"caps.concurrentCalls", a.Caps.ConcurrentCalls},
		{"caps.newCallsPerSecond", a.Caps.NewCallsPerSecond},
		{"caps.maxCallSeconds", a.Caps.MaxCallSeconds},
	})
	if err != nil {
		return err
	}
	if err := a.Destinations.validate(); err != nil {
		return err
	}
	if err := a.Transfers.validate(); err != nil {
		return err
	}
	if err := a.HEP.validate(); err != nil {
		return err
	}
	if err := a.Recordings.validate(); err != nil {
		return err
	}
	if err := validateMetricLabels(a.MetricLabels); err != nil {
		return err
	}
	return a.Registrar.validate()
}

func (l Line) validate() error {
	if l.Slot < 0 || l.Slot > 2 {
		return fmt.Errorf("slot: %d is not 1 or 2", l.Slot)
	}
	switch l.State {
	case "", Active, Draining, Gone:
	default:
		return fmt.Errorf("state: %q is not one of active, draining, gone", l.State)
	}
	if l.Play != "" {
		if _, err := tone.Parse(l.Play); err != nil {
			return fmt.Errorf("play: %w", err)
		}
	}
	if l.Instance != "" && !strings.HasPrefix(l.Instance, "urn:uuid:") {
		return fmt.Errorf("instance: %q is not a urn:uuid", l.Instance)
	}
	return l.TLS.validate()
}
