package delivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
)

// Hasher makes the hashes that tell whether an agent runs what it was given.
// They appear in statuses that more people may read than may read the secrets
// behind them, hence the key: without it a hash could be used to try passwords.
type Hasher struct{ key []byte }

// NewHasher keys a Hasher; an empty key is allowed.
func NewHasher(key []byte) Hasher { return Hasher{key: slices.Clone(key)} }

func (h Hasher) mac() hash.Hash { return hmac.New(sha256.New, h.key) }

func sum(m hash.Hash) string { return hex.EncodeToString(m.Sum(nil)[:8]) }

// Line hashes what is delivered for one line: its document and its row of
// agent.json. 16 hex digits.
func (h Hasher) Line(document []byte, row Line) string {
	m := h.mac()
	field(m, document)
	encoded, _ := json.Marshal(row) // a struct of strings, ints and bools cannot fail
	field(m, encoded)
	return sum(m)
}

// Document hashes one document alone. 16 hex digits.
func (h Hasher) Document(document []byte) string {
	m := h.mac()
	field(m, document)
	return sum(m)
}

// Snapshot hashes all files of an agent, whatever their order: agent.json, the
// lines' and those with certificates (of the agent and of lines), but not those of
// the report. 16 hex digits.
func (h Hasher) Snapshot(files map[string][]byte) string {
	m := h.mac()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		field(m, []byte(name))
		field(m, files[name])
	}
	return sum(m)
}

// field writes b with its length before it, so that no two lists of fields
// read alike.
func field(w io.Writer, b []byte) {
	fmt.Fprintf(w, "%d:", len(b))
	_, _ = w.Write(b)
}
