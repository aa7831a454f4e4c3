package registration

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// How others are told where the line is (contactIP), and what is done when that is
// not true any more: a NAT on the way, or the network of this host, has given it
// another address.

// at is the address for Contact and Via; zero = the socket's.
func (n *runner) at() netip.AddrPort {
	switch n.cfg.ContactAddress {
	case Static:
		if n.cfg.Forced.IsValid() {
			return netip.AddrPortFrom(n.cfg.Forced.Unmap(), uint16(n.r.ep.Port()))
		}
	case External:
		at, _ := netip.ParseAddrPort(n.public) // "" until the server said
		return at
	}
	return netip.AddrPort{}
}

// via is the address for the Via; zero = the socket's.
func (x *exchange) via() netip.AddrPort {
	if x.cfg.ContactAddress == External || x.cfg.ContactAddress == Static {
		return x.at
	}
	return netip.AddrPort{}
}

// seen takes our address from the response to a REGISTER that bound nothing yet: the
// next one can say the right one at once. It tells whether that is another.
func (x *exchange) seen(res *sip.Response) bool {
	at, err := netip.ParseAddrPort(publicAddress(res))
	if x.cfg.ContactAddress != External || err != nil || at == x.at {
		return false
	}
	x.at = at
	return true
}

// Recheck has the line look whether its address towards the server is still the one
// that it registered with, and register at once if it is not.
func (r *Registration) Recheck() {
	if run := r.running(); run != nil {
		run.post(message{kind: recheck})
	}
}

// Recheck of a trunk: it has told nobody its address.
func (t *Trunk) Recheck() {}

// readdressed tells the line that its server sees this host under another address.
func (r *Registration) readdressed(before, now netip.AddrPort) {
	if run := r.running(); run != nil {
		run.post(message{kind: readdressed, before: before, now: now})
	}
}

// recheck compares the address towards the server with the one it had.
func (n *runner) recheck() {
	servers := n.r.Servers()
	if len(servers) == 0 || !n.local.IsValid() {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, resolveTimeout)
	defer cancel()
	// No way at all is no other address: what comes next will show.
	if now, err := n.r.ep.LocalAddrFor(ctx, servers[0]); err == nil && now != n.local {
		n.displaced(n.local.String(), now.String())
	}
}

// readdress takes what OPTIONS to the line's server have shown. They may leave from
// another port than the line's requests, whose mapping need not change with it.
func (n *runner) readdress(before, now netip.AddrPort) {
	mine, err := netip.ParseAddrPort(n.public)
	switch {
	case err != nil || n.state.phase != registered:
	case mine == before:
		n.public = now.String()
		n.displaced(before.String(), now.String())
	case before.Addr() != now.Addr() && mine.Addr() != now.Addr():
		n.displaced(before.String(), now.String())
	}
}

// displaced registers again: what the registrar knows leads somewhere else.
func (n *runner) displaced(before, now string) {
	if n.state.phase != registered {
		return
	}
	n.cfg.Log.Info("address changed", "line", n.cfg.Name, "before", before, "now", now)
	n.proved = true // the flow was good, the network changed under it
	n.loseFlow(fmt.Errorf("address changed from %s to %s", before, now))
}
