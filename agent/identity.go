package agent

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// identity is how registrars and callers tell a line's binding from others.
type identity struct {
	// instance is "urn:uuid:…" (RFC 5626 §4.1), the same on every agent.
	instance string
	// rinstance base follows from the instance, so that a binding another agent
	// left behind is known as ours.
	rinstance string
	// contactUser is unguessable: whoever calls it was told by the server.
	contactUser string
	slot        int
}

// identities makes them, and keeps in a state directory what must not change
// from run to run.
type identities struct {
	agent, dir string

	mu        sync.Mutex
	key       []byte            // keys contact users where none is delivered
	instances map[string]string // by line
}

// Files in the state directory.
const (
	keyFile       = "identity.key"
	instancesFile = "instances.json"
	portFile      = "sip-port"
)

// openIdentities reads the state directory, making what is missing.
func openIdentities(agent, dir string) (*identities, error) {
	ids := &identities{agent: agent, dir: dir, key: make([]byte, 32), instances: map[string]string{}}
	_, _ = rand.Read(ids.key) // never fails (crypto/rand)
	if dir == "" {
		return ids, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	kept, err := os.ReadFile(filepath.Join(dir, keyFile))
	switch {
	case err == nil && len(kept) == len(ids.key):
		ids.key = kept
	case err == nil || errors.Is(err, fs.ErrNotExist):
		err = replaceFile(filepath.Join(dir, keyFile), ids.key)
	}
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, instancesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return ids, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &ids.instances)
	}
	if ids.instances == nil { // null is JSON, too
		ids.instances = map[string]string{}
	}
	if err != nil {
		return nil, fmt.Errorf("state directory: %s: %w", instancesFile, err)
	}
	return ids, nil
}

// of gives the identity of a line. generation counts restarts within the
// process: each has a Contact of its own, because calls of the one before may
// still be running. hashKey is the delivered one; empty = our own.
func (ids *identities) of(t *target, hashKey []byte, generation int) identity {
	instance := t.Row.Instance
	if instance == "" {
		instance = ids.instance(t.Name)
	}
	if len(hashKey) == 0 {
		hashKey = ids.key
	}
	user := hmac.New(sha256.New, hashKey)
	fmt.Fprintf(user, "contact user\x00%s\x00%s\x00%s\x00%d\x00%d", ids.agent, t.Name, instance, t.Row.Slot, generation)
	base := sha256.Sum256([]byte("rinstance\x00" + instance))
	return identity{
		instance:    instance,
		rinstance:   hex.EncodeToString(base[:8]),
		contactUser: strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(user.Sum(nil)[:15])),
		slot:        t.Row.Slot,
	}
}

// prepare makes an instance id for every line that has none delivered or kept,
// and keeps them all in one write.
func (ids *identities) prepare(all map[string]*target) error {
	if ids.dir == "" {
		return nil
	}
	ids.mu.Lock()
	defer ids.mu.Unlock()
	fresh := false
	for name, t := range all {
		if t.Row.Instance != "" || ids.instances[name] != "" {
			continue
		}
		var b [16]byte
		_, _ = rand.Read(b[:])
		ids.instances[name], fresh = uuidURN(b, 4), true
	}
	if !fresh {
		return nil
	}
	raw, err := json.MarshalIndent(ids.instances, "", " ")
	if err == nil {
		err = replaceFile(filepath.Join(ids.dir, instancesFile), raw)
	}
	if err != nil {
		return fmt.Errorf("keep instance ids: %w", err)
	}
	return nil
}

// instance gives the kept instance id of a line. Without a state directory it
// follows from host, agent and line, so that a restart still knows its own
// leftovers.
func (ids *identities) instance(line string) string {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	if kept := ids.instances[line]; kept != "" {
		return kept
	}
	host, _ := os.Hostname()
	sum := sha256.Sum256([]byte(host + "\x00" + ids.agent + "\x00" + line))
	return uuidURN([16]byte(sum[:16]), 8)
}

// uuidURN makes a URN of RFC 9562 out of 16 bytes.
func uuidURN(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// replaceFile writes a file whole or not at all, readable by us alone.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
