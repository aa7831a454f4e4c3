package ua

import (
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Reach is what a line has learned by its registration of the way to it, and of its
// own way to others. All that the line does shares one, and asks it each time: it
// changes while calls run. The zero value has learned nothing; nil is good, too.
type Reach struct{ now atomic.Pointer[Reached] }

// Reached is what a Reach says at one time. It is never written to.
type Reached struct {
	// At is what Contact and Via say instead of the socket's address; the zero
	// value, nothing.
	At netip.AddrPort
	// Outbound: the registrar reaches the line by the very flow it registered over
	// (RFC 5626), and by no other.
	Outbound bool
	// Routes is the registrar's Service-Route (RFC 3608), the first hop first.
	Routes []sip.Uri
	// Until when Outbound and Routes hold: while the line is registered.
	Until time.Time
}

// Set replaces all that was learned.
func (r *Reach) Set(now Reached) { r.now.Store(&now) }

// Now gives what is known.
func (r *Reach) Now() Reached {
	if r != nil {
		if now := r.now.Load(); now != nil && time.Now().Before(now.Until) {
			return *now
		} else if now != nil {
			return Reached{At: now.At}
		}
	}
	return Reached{}
}

// At is the address that others see instead of a socket's own.
func (l Link) At(own netip.AddrPort) netip.AddrPort {
	if at := l.Reach.Now().At; at.IsValid() {
		return at
	}
	return own
}

// DialogContact is Contact in requests and responses that make a dialog: under the
// address by which others reach the line, and, where they do by its flow alone,
// with the parameter that asks for that. RFC 5626 §4.3: "If the UA wants all the
// requests in the dialog to arrive over the same flow, it adds an 'ob' parameter".
func (l Link) DialogContact(user string, own netip.AddrPort) sip.Uri {
	u := l.Contact(user, l.At(own))
	if l.Reach.Now().Outbound {
		u.UriParams.Add("ob", "")
	}
	return u
}

// Routes is the Route set of requests outside dialogs: the outbound proxy of the
// account (host[:port], "" = none), and the service route of the registrar. RFC 3608
// §5: "In general, the service route set is appended to any locally configured route
// needed to egress the access proxy chain." A service route that begins with that
// very proxy has it once.
func (l Link) Routes(proxy string) []sip.Uri {
	service := l.Reach.Now().Routes
	routes := make([]sip.Uri, 0, len(service)+1)
	if proxy != "" {
		if own := l.Route(proxy); len(service) == 0 || place(own) != place(service[0]) {
			routes = append(routes, own)
		}
	}
	for _, u := range service {
		routes = append(routes, *u.Clone())
	}
	return routes
}

// place is a URI's host and port, for comparison.
func place(u sip.Uri) string {
	port := u.Port
	if port == 0 {
		port = int(UDP.DefaultPort())
		if t, _ := u.UriParams.Get("transport"); u.Scheme == "sips" || strings.EqualFold(t, string(TLS)) {
			port = int(TLS.DefaultPort())
		}
	}
	return strings.ToLower(strings.Trim(u.Host, "[]")) + " " + strconv.Itoa(port)
}
