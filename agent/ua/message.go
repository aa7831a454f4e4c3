package ua

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// randomText gives n characters that nobody can guess, 5 bits each.
func randomText(n int) string {
	s := strings.ToLower(rand.Text()) // 26 characters, 130 bits
	for len(s) < n {
		s += strings.ToLower(rand.Text())
	}
	return s[:n]
}

// NewContactUser gives a new unguessable user part for a Contact URI (100 bits).
func NewContactUser() string { return randomText(20) }

// NewTag gives a new From or To tag; RFC 3261 §19.3 asks for at least 32
// random bits, this has 60.
func NewTag() string { return randomText(12) }

// NewCallID gives a new Call-ID.
func NewCallID() string { return randomText(26) }

// Contact gives the URI under which the line with this Contact user is reached
// from server: <sip:USER@LOCALADDR:PORT>.
func (e *Endpoint) Contact(ctx context.Context, user string, server netip.AddrPort) (sip.Uri, error) {
	addr, err := e.LocalAddrFor(ctx, server)
	if err != nil {
		return sip.Uri{}, err
	}
	return URI(user, netip.AddrPortFrom(addr, e.local.Port()).String()), nil
}

// URI builds a SIP URI; host may be host, host:port, v6 or [v6]:port. The user
// is escaped (RFC 3261 §19.1.2).
func URI(user, host string) sip.Uri {
	u := sip.Uri{Scheme: "sip", User: escapeUser(user), Host: host}
	if h, p, err := net.SplitHostPort(host); err == nil {
		u.Host, u.Port = h, atoiPort(p)
	}
	u.Host = strings.Trim(u.Host, "[]") // sipgo writes the brackets of IPv6
	return u
}

func atoiPort(s string) int {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// hostOnly is a host without its port.
func hostOnly(host string) string {
	u := URI("", host)
	return strings.ToLower(u.Host)
}

// escapeUser escapes all but unreserved and user-unreserved (RFC 3261 §25.1).
func escapeUser(user string) string {
	var b strings.Builder
	for i := range len(user) {
		c := user[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.!~*'()&=+$,;?/", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		const hex = "0123456789ABCDEF"
		b.WriteString(string([]byte{'%', hex[c>>4], hex[c&15]}))
	}
	return b.String()
}

// Cancel builds the CANCEL of an INVITE that was sent (RFC 3261 §9.1): same
// Request-URI, Call-ID, To, From, CSeq number, Route and top Via. Send it with
// Request, and only after a provisional response came.
func Cancel(invite *sip.Request) *sip.Request {
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	if via := invite.Via(); via != nil {
		req.AppendHeader(via.Clone())
	}
	sip.CopyHeaders("Route", invite, req)
	sip.CopyHeaders("From", invite, req)
	sip.CopyHeaders("To", invite, req)
	sip.CopyHeaders("Call-ID", invite, req)
	if cseq := invite.CSeq(); cseq != nil {
		req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq.SeqNo, MethodName: sip.CANCEL})
	}
	req.SetDestination(invite.Destination())
	req.SetTransport(transportOf(invite))
	req.Laddr = invite.Laddr
	return req
}

// Retry clones req for another attempt: CSeq + 1, no Via.
func Retry(req *sip.Request) *sip.Request {
	next := req.Clone()
	removeAll(next, "Via")
	if cseq := next.CSeq(); cseq != nil {
		cseq.SeqNo++
	}
	return next
}

func removeAll(req *sip.Request, name string) {
	for req.RemoveHeader(name) {
	}
}
