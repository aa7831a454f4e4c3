package controllers

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// annotationLedger is kept on the Secret with an agent's files.
const annotationLedger = "voip.softphone.dev/ledger"

// ledger says of an agent's files what was delivered and what it was made of, in
// a place that is read without reading the files. It holds no secret: hashes of
// documents are keyed.
type ledger struct {
	// Snapshot of all files an agent loads (delivery.Hasher.Snapshot).
	Snapshot string `json:"snapshot"`
	// Settings is a digest of what agent.json was made of.
	Settings string `json:"settings"`
	// Report is a digest of the report listener's certificate; RenewAt is when it is made anew.
	Report  string      `json:"report"`
	RenewAt metav1.Time `json:"renewAt"`
	// Lines by name.
	Lines map[string]ledgerLine `json:"lines"`
}

// ledgerLine is one line of a ledger.
type ledgerLine struct {
	// Made is the fingerprint of what the line was made of last.
	Made string `json:"m"`
	// Delivered is the hash of what the agent was given (delivery.Hasher.Line); empty when nothing could be made yet.
	Delivered string `json:"d,omitempty"`
	// Kept: what Made stands for could not be rendered, so the document before it stays in force.
	Kept bool `json:"k,omitempty"`
}

// readLedger reads a Secret's ledger; one that is missing or unreadable is empty.
func readLedger(annotations map[string]string) ledger {
	var l ledger
	if err := json.Unmarshal([]byte(annotations[annotationLedger]), &l); err != nil {
		return ledger{}
	}
	return l
}

func (l ledger) String() string {
	encoded, err := json.Marshal(l)
	if err != nil {
		panic(err) // strings, booleans and a time always encode
	}
	return string(encoded)
}
