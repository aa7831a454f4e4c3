package ua

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// algorithm of a digest (RFC 7616 §3.3, RFC 8760 for SIP).
type algorithm struct {
	name     string // in capitals
	new      func() hash.Hash
	session  bool // -sess: A1 is bound to nonce and cnonce
	strength int
}

var algorithms = []algorithm{
	{"SHA-512-256", sha512.New512_256, false, 3},
	{"SHA-512-256-SESS", sha512.New512_256, true, 3},
	{"SHA-256", sha256.New, false, 2},
	{"SHA-256-SESS", sha256.New, true, 2},
	{"MD5", md5.New, false, 1},
	{"MD5-SESS", md5.New, true, 1},
}

func findAlgorithm(name string) (algorithm, bool) {
	if name == "" {
		name = "MD5"
	}
	i := slices.IndexFunc(algorithms, func(a algorithm) bool { return a.name == strings.ToUpper(name) })
	if i < 0 {
		return algorithm{}, false
	}
	return algorithms[i], true
}

// digest is one answer to a challenge.
type digest struct {
	challenge
	username string
	method   string
	uri      string
	body     []byte
	cnonce   string
	nc       uint32
}

// protection picks the qop to use: auth where it is offered, since a body that
// a B2BUA on the way rewrites would not match auth-int; "" when the server
// speaks RFC 2069 only.
func (c challenge) protection() (qop string, ok bool) {
	switch {
	case len(c.qop) == 0:
		return "", true
	case slices.Contains(c.qop, "auth"):
		return "auth", true
	case slices.Contains(c.qop, "auth-int"):
		return "auth-int", true
	}
	return "", false
}

// response computes request-digest (RFC 7616 §3.4.1; without qop RFC 2069 §2.1.2).
func (d digest) response(password Secret) string {
	alg, _ := findAlgorithm(d.algorithm)
	qop, _ := d.protection()
	h := func(parts ...string) string {
		sum := alg.new()
		sum.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum.Sum(nil))
	}
	a1 := h(quotable(d.username), d.realm, string(password))
	if alg.session {
		a1 = h(a1, d.nonce, d.cnonce)
	}
	a2 := h(d.method, d.uri)
	if qop == "auth-int" {
		a2 = h(d.method, d.uri, h(string(d.body)))
	}
	if qop == "" {
		return h(a1, d.nonce, a2)
	}
	return h(a1, d.nonce, d.count(), d.cnonce, qop, a2)
}

func (d digest) count() string { return fmt.Sprintf("%08x", d.nc) }

// header writes the value of an Authorization header.
func (d digest) header(password Secret) string {
	alg, _ := findAlgorithm(d.algorithm)
	qop, _ := d.protection()
	var b strings.Builder
	fmt.Fprintf(&b, `Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s"`,
		quotable(d.username), d.realm, d.nonce, d.uri, d.response(password))
	if d.algorithm != "" {
		fmt.Fprintf(&b, ", algorithm=%s", d.algorithm)
	}
	if d.hasOpaque {
		fmt.Fprintf(&b, `, opaque="%s"`, d.opaque)
	}
	switch {
	case qop != "":
		fmt.Fprintf(&b, `, qop=%s, nc=%s, cnonce="%s"`, qop, d.count(), d.cnonce)
	case alg.session:
		fmt.Fprintf(&b, `, cnonce="%s"`, d.cnonce)
	}
	return b.String()
}

// quotable escapes a string for quotes (RFC 3261 §25.1, quoted-string).
func quotable(s string) string {
	return unquotable.Replace(s)
}

var unquotable = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
