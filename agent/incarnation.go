package agent

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/registration"
	"github.com/softphone-operator/softphone-operator/agent/subscription"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// incarnation is a line under one identity: a Contact user, the registration of
// it and the calls that came by it. A line that restarts gets another one; the
// one before stays until its calls are over.
type incarnation struct {
	identity identity
	target   atomic.Pointer[target]
	reg      registration.Binding
	calls    *call.Set
	events   events
	socket   *socket
	reach    ua.Reach                           // what reg has learned
	vpn      atomic.Pointer[control.WebService] // what vpnStartupUrl said last; nil = nobody asked
	unbind   func()
	retired  atomic.Bool
	started  bool      // reg runs; the line's goroutine owns it
	until    time.Time // when retired: until then it is bound even without calls

	// local address of ours towards a server; the line's goroutine owns them.
	towards netip.AddrPort
	local   netip.Addr
}

// incarnate makes a line reachable; it registers nothing yet.
func (l *line) incarnate(t *target) (*incarnation, error) {
	socket, err := l.env.sockets.take(t.Account.ListeningPort)
	if err != nil {
		return nil, err
	}
	in := &incarnation{identity: l.env.ids.of(t, l.env.hashKey(), l.generation), socket: socket}
	l.generation++
	in.target.Store(t)
	in.reg = in.binding(l)
	in.calls = call.NewSet(in.callOptions(l))
	in.events.open = func() *subscription.Set { return subscription.New(in.subscriptionConfig(l), in.socket) }
	unbind, err := socket.Bind(in.identity.contactUser, in)
	if err != nil {
		in.calls.Close("not started")
		socket.release()
		return nil, fmt.Errorf("bind contact user: %w", err)
	}
	in.unbind = unbind
	return in, nil
}

// binding is the line's relation to its server: trunks have one that does not register.
func (in *incarnation) binding(l *line) registration.Binding {
	if in.target.Load().Row.Trunk {
		return registration.NewTrunk(in.registrationConfig(l), in.socket, l.onRegistration())
	}
	return registration.New(in.registrationConfig(l), in.socket, l.onRegistration())
}

// update puts another target in force.
func (in *incarnation) update(l *line, t *target) {
	in.target.Store(t)
	in.reg.Update(in.registrationConfig(l))
	in.calls.Update(in.callOptions(l))
	in.events.update(in.subscriptionConfig(l))
}

// close ends what is left of it: calls with the reason, and the way in.
func (in *incarnation) close(reason string) {
	in.calls.Close(reason)
	in.events.close()
	in.unbind()
	in.socket.release()
}

// HandleRequest implements ua.Line.
func (in *incarnation) HandleRequest(req *sip.Request, tx sip.ServerTransaction) {
	if !in.events.handle(req, tx) {
		in.calls.HandleRequest(req, tx)
	}
}

// ServerAddrs implements ua.Line. One that is retired has none: what names no
// Contact is for the incarnation after it.
func (in *incarnation) ServerAddrs() []netip.AddrPort {
	if in.retired.Load() {
		return nil
	}
	return in.reg.Servers()
}

// AOR implements ua.Line.
func (in *incarnation) AOR() (user, host string) {
	a := in.target.Load().Account
	return a.Username, hostOnly(a.Host)
}

// Allow implements ua.Capable.
func (in *incarnation) Allow() []sip.RequestMethod { return in.calls.Allow() }

// Supported implements ua.Capable.
func (in *incarnation) Supported() []string { return in.calls.Supported() }

// TLSOnly implements ua.Secured.
func (in *incarnation) TLSOnly() bool { return linkOf(in.target.Load().Account).Transport == ua.TLS }

// UsesTrust implements ua.Secured.
func (in *incarnation) UsesTrust(name string) bool { return in.calls.UsesTrust(name) }

// registrationConfig says in registration's words what the target wants.
func (in *incarnation) registrationConfig(l *line) registration.Config {
	t := in.target.Load()
	a := t.Account
	return registration.Config{
		Name:            l.name,
		AOR:             registration.AOR{User: a.Username, Host: a.Host, Display: a.UserDisplayName},
		Registrar:       a.Host,
		Proxy:           serverHostPort(a),
		Route:           outboundProxy(a) != "",
		Link:            in.link(),
		AuthUsername:    a.DigestUsername(),
		Password:        ua.Secret(a.Password),
		Expires:         time.Duration(a.Expires) * time.Second,
		ContactUser:     in.identity.contactUser,
		Instance:        in.identity.instance,
		RInstance:       in.identity.rinstance,
		Slot:            in.identity.slot,
		KeepAlive:       keepsAlive(t),
		KeepAlivePeriod: time.Duration(a.KeepAlivePeriod) * time.Second,
		ContactAddress:  registration.ContactAddress(a.ContactIP),
		Forced:          forcedContact(a),
		Headers:         headersOf(a, sip.REGISTER),
		Before:          in.startVPN(l),
		Gate:            l.env.gate,
		Qualifier:       l.env.qualifier,
		Log:             l.env.log,
	}
}

// callOptions says in call's words what the target wants.
func (in *incarnation) callOptions(l *line) call.Options {
	t := in.target.Load()
	return call.Options{
		Line:         l.name,
		Account:      t.Account,
		ContactUser:  in.identity.contactUser,
		Endpoint:     in.socket,
		Server:       in.reg.Server,
		Candidates:   in.reg.Candidates,
		Servers:      in.reg.Servers,
		Dial:         l.dial,
		Link:         in.link(),
		Route:        outboundProxy(t.Account),
		Nonces:       in.reg.Nonces(),
		Network:      t.settings.network.Type,
		SSID:         t.settings.network.SSID,
		IncomingMode: t.settings.incomingMode,
		Caps: call.Caps{
			Concurrent:   t.settings.caps.ConcurrentCalls,
			NewPerSecond: t.settings.caps.NewCallsPerSecond,
			MaxDuration:  time.Duration(t.settings.caps.MaxCallSeconds) * time.Second,
		},
		Destinations: t.settings.destinations,
		Transfers:    t.settings.transfers,
		Budget:       &l.budget,
		NoAnswer:     time.Duration(t.settings.noAnswerSeconds) * time.Second,
		Play:         t.Row.Play,
		Files:        l.env.prompts.Samples,
		Record:       t.Row.Record,
		Recordings:   l.env.recordings,
		NAT:          natOf(t, in.socket),
		Clock:        &l.env.clock,
		OnChange:     l.onCall,
		OnText:       func(t call.Text) { l.env.metrics.TextMessage(l.name, string(t.Direction), t.Code) },
		Log:          l.env.log,
	}
}

// linkOf says how an account's SIP travels: tls writes sips: URIs, tls+sip: does
// not, and the server's certificate has to be good for the account's domain
// whatever proxy it is reached by.
func linkOf(a *account.Account) ua.Link {
	_, _, _, transport := a.Server()
	link := ua.Link{Transport: ua.UDP, Domain: a.Domain()}
	switch transport {
	case account.TCP:
		link.Transport = ua.TCP
	case account.TLS:
		link.Transport, link.SIPS = ua.TLS, true
	case account.TLSSIP:
		link.Transport = ua.TLS
	}
	return link
}

// link is linkOf the account, over connections made with the line's certificates.
// Lines without TLS have them, too, for what they may dial.
func (t *target) link() ua.Link {
	l := linkOf(t.Account)
	l.Trust = trustOf(t)
	return l
}

// link is the target's, with what the line's registration teaches.
func (in *incarnation) link() ua.Link {
	l := in.target.Load().link()
	l.Reach = &in.reach
	return l
}

// forcedContact is the address of contactIP=static; the zero value, none.
func forcedContact(a *account.Account) netip.Addr {
	addr, _ := netip.ParseAddr(a.ForcedContact) // the account has been validated
	return addr
}

// headersOf are the account's extra headers that requests of a method carry.
func headersOf(a *account.Account, method sip.RequestMethod) []registration.Header {
	var headers []registration.Header
	for _, h := range a.Headers {
		if h.Method == "*" || strings.EqualFold(h.Method, string(method)) {
			headers = append(headers, registration.Header{Name: h.Name, Value: h.Value})
		}
	}
	return headers
}

// serverHostPort is where the account's requests go, as host or host:port.
func serverHostPort(a *account.Account) string {
	host, port, explicit, _ := a.Server()
	if !explicit {
		return bracketed(host)
	}
	return bracketed(host) + ":" + strconv.Itoa(port)
}

// outboundProxy is the proxy to name in a Route header; "" = none.
func outboundProxy(a *account.Account) string {
	if !a.OutboundProxyEnabled || a.OutboundProxyHost == "" {
		return ""
	}
	return serverHostPort(a)
}

// bracketed puts an IPv6 address into brackets.
func bracketed(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		return "[" + host + "]"
	}
	return host
}

// hostOnly takes the port off a host[:port].
func hostOnly(hostport string) string {
	var u sip.Uri
	if err := sip.ParseUri("sip:"+hostport, &u); err != nil || u.Host == "" {
		return hostport
	}
	return u.Host
}
