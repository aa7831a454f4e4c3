package delivery

import "time"

// Messages is what a line's mailbox holds, as its server says (RFC 3842).
type Messages struct {
	// Waiting: the lamp is lit.
	Waiting bool `json:"waiting"`
	// NewMessages and OldMessages of all kinds together, and how many of them are urgent.
	NewMessages int `json:"newMessages"`
	OldMessages int `json:"oldMessages"`
	UrgentNew   int `json:"urgentNew,omitempty"`
	UrgentOld   int `json:"urgentOld,omitempty"`
	// Account is the mailbox' URI, where the server names it.
	Account string `json:"account,omitempty"`
	// Since when this is so.
	Since time.Time `json:"since"`
}

// Watching is how a line's watching of others' calls (BLF) stands. What those others
// do is not in it: that changes with every call, and belongs to metrics.
type Watching struct {
	// Targets that are to be watched, and those that are.
	Targets int `json:"targets"`
	Active  int `json:"active"`
	// Failed are the first of those that are not, by URI, and why.
	Failed []FailedWatch `json:"failed,omitempty"`
}

// MostFailedWatches are told of a line.
const MostFailedWatches = 10

// FailedWatch is a target that cannot be watched now.
type FailedWatch struct {
	URI    string `json:"uri"`
	Reason string `json:"reason"`
}
