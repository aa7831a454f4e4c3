package delivery

import (
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/check"
)

// CheckSuffix ends the name of every check's file.
const CheckSuffix = ".check.json"

// CheckFile names the file of a check (check.Check as JSON).
func CheckFile(name string) string { return name + CheckSuffix }

// CheckName gives the check that a file is for, and whether it is a check's file.
func CheckName(file string) (string, bool) {
	name, ok := strings.CutSuffix(file, CheckSuffix)
	if !ok || name == "" || strings.HasPrefix(name, ".") {
		return "", false
	}
	return name, true
}

// CheckReport is one check's truth on the agent that runs it.
type CheckReport struct {
	Name string `json:"name"`
	// Line that calls.
	Line string `json:"line"`
	// Hash of the file in force (Hasher.Document).
	Hash string `json:"hash"`
	// RunAt is the request for a run that was carried out last.
	RunAt string `json:"runAt,omitempty"`
	// Passing says what the last runs say together, Reason and Message why.
	Passing check.Passing `json:"passing"`
	Reason  check.Reason  `json:"reason,omitempty"`
	Message string        `json:"message,omitempty"`
	// Warning: it passes, and the last run crossed a bound for warnings.
	Warning bool `json:"warning,omitempty"`
	// Runs that were made last, newest first; check.MaxWindow at most.
	Runs []CheckRun `json:"runs,omitempty"`
	// Counts of all runs since this agent took the check over.
	Counts CheckCounts `json:"counts"`
	// NextAt is when the next run is due; absent while it is suspended.
	NextAt time.Time `json:"nextAt,omitzero"`
}

// CheckRun is one run. What was not measured is absent.
type CheckRun struct {
	StartedAt time.Time `json:"startedAt"`
	// Seconds it took, from the decision to call to the verdict.
	Seconds float64      `json:"seconds"`
	Result  check.Result `json:"result"`
	Reason  check.Reason `json:"reason"`
	Message string       `json:"message,omitempty"`
	// CallID is the SIP Call-ID, to find the call in others' logs.
	CallID string `json:"callId,omitempty"`
	// Code is the final response to the INVITE.
	Code int `json:"code,omitempty"`
	// RingMs and SetupMs from the INVITE to ringing and to the answer.
	RingMs  *float64 `json:"ringMs,omitempty"`
	SetupMs *float64 `json:"setupMs,omitempty"`
	// FirstPacketMs from the answer to the first audio packet.
	FirstPacketMs *float64 `json:"firstPacketMs,omitempty"`
	MOS           *float64 `json:"mos,omitempty"`
	// LossPercent on the way here, SentLossPercent on the way there, as the other side reports it.
	LossPercent     *float64 `json:"lossPercent,omitempty"`
	SentLossPercent *float64 `json:"sentLossPercent,omitempty"`
	JitterMs        *float64 `json:"jitterMs,omitempty"`
	// MouthToEarMs is how long sound takes one way, the mean of both ways; SegmentalSNRDB and
	// SpectralDistanceDB say how alike what came back was to what was sent (docs/quality.md).
	MouthToEarMs       *float64 `json:"mouthToEarMs,omitempty"`
	SegmentalSNRDB     *float64 `json:"segmentalSnrDb,omitempty"`
	SpectralDistanceDB *float64 `json:"spectralDistanceDb,omitempty"`
}

// CheckCounts are runs by result.
type CheckCounts struct {
	Since        time.Time `json:"since"`
	Pass         int       `json:"pass"`
	Warn         int       `json:"warn"`
	Fail         int       `json:"fail"`
	Inconclusive int       `json:"inconclusive"`
}

// Add counts one more.
func (c *CheckCounts) Add(r check.Result) {
	switch r {
	case check.Pass:
		c.Pass++
	case check.Warn:
		c.Warn++
	case check.Fail:
		c.Fail++
	case check.Inconclusive:
		c.Inconclusive++
	}
}
