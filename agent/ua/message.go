package ua

import (
	"context"
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// NewContactUser gives a new unguessable user part for a Contact URI.
func NewContactUser() string { return "" }

// NewTag gives a new From or To tag (RFC 3261 §19.3).
func NewTag() string { return "" }

// NewCallID gives a new Call-ID.
func NewCallID() string { return "" }

// Contact gives the URI under which the line with this Contact user is reached
// from server: <sip:USER@LOCALADDR:PORT>.
func (e *Endpoint) Contact(ctx context.Context, user string, server netip.AddrPort) (sip.Uri, error) {
	return sip.Uri{}, nil
}

// URI builds a SIP URI; host may be host, host:port or [v6]:port. The user is
// escaped (RFC 3261 §19.1.2).
func URI(user, host string) sip.Uri { return sip.Uri{} }

// Cancel builds the CANCEL of an INVITE that was sent (RFC 3261 §9.1). Send it
// with Request, not before a provisional response came.
func Cancel(invite *sip.Request) *sip.Request { return nil }

// Retry clones req for another attempt: CSeq + 1, no Via.
func Retry(req *sip.Request) *sip.Request { return nil }
