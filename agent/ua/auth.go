package ua

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// Credentials of a line. Username is the auth username.
type Credentials struct {
	Username string
	Password Secret
}

// Authorize answers the challenges of res (401 or 407) in req: per realm the
// strongest that we support. nc remembers them, so that the next request is
// authorized before it is challenged; nil = remember nothing. Errors are
// ErrNoPassword and *UnsupportedError.
func (c Credentials) Authorize(req *sip.Request, res *sip.Response, nc *NonceCache) error {
	chosen, err := choose(res)
	if err != nil {
		return err
	}
	return c.answer(req, chosen, nc)
}

// answer adds credentials for each of the challenges, in the order of their realms.
func (c Credentials) answer(req *sip.Request, chosen map[protectionSpace]challenge, nc *NonceCache) error {
	if c.Password == "" {
		return ErrNoPassword
	}
	if nc == nil {
		nc = &NonceCache{}
	}
	for _, s := range sorted(maps.Keys(chosen)) {
		nc.learn(s, chosen[s])
		c.authorize(req, s, nc)
	}
	return nil
}

// authorize adds or replaces the credentials for one protection space.
func (c Credentials) authorize(req *sip.Request, s protectionSpace, nc *NonceCache) {
	challenge, cnonce, count, ok := nc.next(s)
	if !ok {
		return
	}
	d := digest{
		challenge: challenge, username: c.Username, method: string(req.Method), uri: req.Recipient.String(),
		body: req.Body(), cnonce: cnonce, nc: count,
	}
	dropCredentials(req, s)
	req.AppendHeader(sip.NewHeader(s.credentials(), d.header(c.Password)))
}

// dropCredentials removes what req already says for the space.
func dropCredentials(req *sip.Request, s protectionSpace) {
	var keep []sip.Header
	for _, h := range req.GetHeaders(s.credentials()) {
		if c, _, err := parseChallenges(h.Value()); err == nil && len(c) == 1 && c[0].realm != s.realm {
			keep = append(keep, h)
		}
	}
	removeAll(req, s.credentials())
	for _, h := range keep {
		req.AppendHeader(h)
	}
}

// protectionSpace is where a nonce is good: a realm, at the registrar or UAS
// (401) or at a proxy (407).
type protectionSpace struct {
	proxy bool
	realm string
}

func (s protectionSpace) credentials() string {
	if s.proxy {
		return "Proxy-Authorization"
	}
	return "Authorization"
}

// choose gives the challenge to answer for every realm of a response.
func choose(res *sip.Response) (map[protectionSpace]challenge, error) {
	proxy, name := false, "WWW-Authenticate"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		proxy, name = true, "Proxy-Authenticate"
	}
	chosen := make(map[protectionSpace]challenge)
	var refused []string
	for _, h := range res.GetHeaders(name) {
		found, others, err := parseChallenges(h.Value())
		if err != nil {
			refused = append(refused, "malformed "+err.Error())
		}
		for _, scheme := range others {
			refused = append(refused, fmt.Sprintf("scheme %.40q", scheme))
		}
		for _, c := range found {
			if why := c.unsupported(); why != "" {
				refused = append(refused, why)
				continue
			}
			s := protectionSpace{proxy: proxy, realm: c.realm}
			if best, ok := chosen[s]; !ok || c.strength() > best.strength() {
				chosen[s] = c
			}
		}
	}
	if len(chosen) == 0 {
		if len(refused) == 0 {
			refused = []string{fmt.Sprintf("%d without %s", res.StatusCode, name)}
		}
		return nil, &UnsupportedError{What: strings.Join(refused, ", ")}
	}
	return chosen, nil
}

func (c challenge) strength() int {
	a, _ := findAlgorithm(c.algorithm)
	return a.strength
}

// unsupported says what keeps us from answering, or "".
func (c challenge) unsupported() string {
	if _, ok := findAlgorithm(c.algorithm); !ok {
		return fmt.Sprintf("algorithm %.40q", c.algorithm)
	}
	if _, ok := c.protection(); !ok {
		return fmt.Sprintf("qop %.40q", strings.Join(c.qop, ","))
	}
	return ""
}

// NonceCache remembers challenges of a line's servers, and how often a nonce
// was used (RFC 3261 §22.1: a client may reuse credentials it has for a realm).
// The zero value is ready; methods may be called from any goroutine.
type NonceCache struct {
	mu      sync.Mutex
	entries []nonceEntry // few: a line has a realm or two
}

type nonceEntry struct {
	space     protectionSpace
	challenge challenge
	cnonce    string // one per nonce, as -sess needs it
	count     uint32
}

// mostRealms bounds what a server can make a line remember.
const mostRealms = 8

// Forget everything, e.g. when the password changed.
func (n *NonceCache) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.entries = nil
}

// learn takes a challenge; the same nonce goes on counting.
func (n *NonceCache) learn(s protectionSpace, c challenge) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fresh := nonceEntry{space: s, challenge: c, cnonce: randomText(16)}
	if e := n.find(s); e == nil {
		if len(n.entries) >= mostRealms {
			n.entries = nil
		}
		n.entries = append(n.entries, fresh)
	} else if e.challenge.nonce != c.nonce || e.challenge.algorithm != c.algorithm {
		*e = fresh
	}
}

// next counts one use of the space's nonce.
func (n *NonceCache) next(s protectionSpace) (c challenge, cnonce string, count uint32, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.find(s)
	if e == nil {
		return challenge{}, "", 0, false
	}
	e.count++
	return e.challenge, e.cnonce, e.count, true
}

// find gives the entry of a space; the caller holds mu.
func (n *NonceCache) find(s protectionSpace) *nonceEntry {
	i := slices.IndexFunc(n.entries, func(e nonceEntry) bool { return e.space == s })
	if i < 0 {
		return nil
	}
	return &n.entries[i]
}

func (n *NonceCache) spaces() []protectionSpace {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]protectionSpace, len(n.entries))
	for i, e := range n.entries {
		all[i] = e.space
	}
	return all
}

func sorted(spaces func(func(protectionSpace) bool)) []protectionSpace {
	return slices.SortedFunc(spaces, func(a, b protectionSpace) int { return cmp.Compare(a.realm, b.realm) })
}
