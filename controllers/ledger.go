package controllers

import (
	"encoding/json"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	// Checks by name: the hash of what was delivered (delivery.Hasher.Document).
	Checks map[string]string `json:"checks,omitempty"`
}

// ledgerLine is one line of a ledger.
type ledgerLine struct {
	// Of which account: one of the same name may come after it.
	Of string `json:"o"`
	// Made is the fingerprint of what the line was made of last.
	Made string `json:"m"`
	// TLS is the fingerprint of the material for its TLS connections; empty: it has none, whatever there is.
	TLS string `json:"t,omitempty"`
	// Delivered is the hash of what the agent was given (delivery.Hasher.Line); empty when nothing could be made yet.
	Delivered string `json:"d,omitempty"`
	// Kept: what Made stands for could not be rendered, so the document before it stays in force.
	Kept bool `json:"k,omitempty"`
}

// current tells whether the line would be made of the same now.
func (l ledgerLine) current(now made) bool {
	return l.Made == now.document && (l.TLS == "" || l.TLS == now.tls)
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

// written remembers the ledgers written last, until the cache has caught up with
// them: who goes by an older one would undo what was just done.
type written struct {
	mu   sync.Mutex
	last map[types.NamespacedName]writtenLedger
}

type writtenLedger struct {
	// over is the version of the Secret in the cache when this one was written.
	over   string
	ledger ledger
}

func newWritten() *written { return &written{last: map[types.NamespacedName]writtenLedger{}} }

func (w *written) put(key types.NamespacedName, over string, l ledger) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[key] = writtenLedger{over, l}
}

// newer gives the ledger that was written over the version the cache still has.
func (w *written) newer(key types.NamespacedName, cached string) (ledger, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	l, ok := w.last[key]
	if ok && l.over != cached {
		delete(w.last, key)
		return ledger{}, false
	}
	return l.ledger, ok
}

func (w *written) forget(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.last, key)
}
