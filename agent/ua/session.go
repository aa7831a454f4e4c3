package ua

import (
	"fmt"
	"slices"

	"github.com/emiago/sipgo/sip"
)

// Authorizer carries one request through its challenges; made by Session.
type Authorizer struct {
	credentials Credentials
	nonces      *NonceCache
	answered    map[protectionSpace]bool // with a nonce fresh from a challenge
	rounds      int
}

// mostRounds of challenges one request goes through: registrar and proxy, each
// stale once, and one to spare.
const mostRounds = 5

// Session starts an exchange: Prepare the first request, then Next after every
// 401 or 407. nc may be nil.
func (c Credentials) Session(nc *NonceCache) *Authorizer {
	if nc == nil {
		nc = &NonceCache{}
	}
	return &Authorizer{credentials: c, nonces: nc, answered: make(map[protectionSpace]bool)}
}

// Prepare authorizes req with challenges remembered from earlier requests. Where a
// realm's proxy has asked for credentials, a request to others has no use for those
// of its registrar besides: they would only make it too large for a datagram.
func (a *Authorizer) Prepare(req *sip.Request) {
	if a.credentials.Password == "" {
		return
	}
	known := a.nonces.spaces()
	for _, s := range known {
		if req.Method != sip.REGISTER && !s.proxy && slices.Contains(known, protectionSpace{proxy: true, realm: s.realm}) {
			continue
		}
		a.credentials.authorize(req, s, a.nonces)
	}
}

// Next gives the request to send after res: a clone of req with CSeq + 1 and
// credentials. It is ErrRefused when res refuses credentials that were made for
// a nonce fresh from the server, ErrNoPassword or *UnsupportedError when the
// challenge cannot be answered.
//
// "A stale flag … indicates that the previous request from the client was
// rejected because the nonce value was stale", so the same password may be
// right (RFC 7616 §3.3); without it, it is wrong (RFC 3261 §22.1 forbids to try
// it again).
func (a *Authorizer) Next(req *sip.Request, res *sip.Response) (*sip.Request, error) {
	chosen, err := choose(res)
	if err != nil {
		return nil, err
	}
	if a.rounds++; a.rounds > mostRounds {
		return nil, fmt.Errorf("%w: challenged %d times", ErrRefused, a.rounds)
	}
	for s, c := range chosen {
		if a.answered[s] && !c.stale {
			a.nonces.Forget()
			return nil, ErrRefused
		}
		a.answered[s] = true
	}
	next := Retry(req)
	for s := range chosen {
		// What was sent on the chance, and for somebody else as it turns out.
		if unasked := (protectionSpace{realm: s.realm}); s.proxy && req.Method != sip.REGISTER && !a.answered[unasked] {
			dropCredentials(next, unasked)
		}
	}
	if err := a.credentials.answer(next, chosen, a.nonces); err != nil {
		return nil, err
	}
	return next, nil
}
