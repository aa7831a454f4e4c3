// Package registration keeps one line registered: it REGISTERs (RFC 3261 §10),
// refreshes, backs off, tells what is wrong in words a user can act on, and
// removes the line's binding in the end. It exists as a package of its own
// because a line's most important truth, whether calls can reach it, is decided
// here and nowhere else.
package registration

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// AOR is an address of record.
type AOR struct {
	User string
	// Host as written in the account, host or host:port.
	Host string
	// Display name of From and To; "" = none.
	Display string
}

// Config of one line's registration.
type Config struct {
	// Name of the line, for logs.
	Name string
	AOR  AOR
	// Registrar is the Request-URI's host[:port]; "" = AOR.Host.
	Registrar string
	// Proxy is the host[:port] requests are sent to; "" = Registrar.
	Proxy string
	// Route adds the proxy as a loose Route header (an outbound proxy).
	Route bool
	// Link to the server; the zero value is UDP. Other certificates (its Trust)
	// register again, over a connection made with them; anything else of it
	// removes the binding first.
	Link ua.Link
	// AuthUsername for digest; "" = AOR.User.
	AuthUsername string
	Password     ua.Secret
	// Expires asked for; 0 = 600 s.
	Expires time.Duration
	// ContactUser is the unguessable user part of the Contact, the same that
	// was given to ua.Endpoint.Bind.
	ContactUser string
	// Instance is the line's identity, "urn:uuid:…" (RFC 5626 §4.1).
	Instance string
	// RInstance is the base of the Contact's rinstance parameter, the same for
	// both slots of a line.
	RInstance string
	// Slot 1 or 2: the reg-id. 0 = 1.
	Slot int
	// KeepAlive sends a CRLF keepalive each KeepAlivePeriod (0 = 30 s).
	KeepAlive       bool
	KeepAlivePeriod time.Duration
	// ContactAddress is what Contact and Via say; "" = Internal.
	ContactAddress ContactAddress
	// Forced is the address of Static.
	Forced netip.Addr
	// Before is called before each attempt to register, and waited for; nil = nothing
	// is to be done before. That of New, or of the last change, counts.
	Before func(ctx context.Context)
	// Headers are added to every REGISTER.
	Headers []Header
	// Gate is shared by the lines of an agent; nil = this line has its own. The
	// one given to New counts, as does its Qualifier.
	Gate *Gate
	// Qualifier watches the servers that lines use; nil = nobody does.
	Qualifier *Qualifier
	Log       *slog.Logger
}

// Header of a request.
type Header struct{ Name, Value string }

// ContactAddress says which address others are told (contactIP).
type ContactAddress string

// The addresses.
const (
	Internal ContactAddress = "internal" // the socket's, as this host knows it
	External ContactAddress = "external" // as the server sees it (RFC 3581)
	Static   ContactAddress = "static"   // Config.Forced
)

func (c Config) defaults() Config {
	if c.Registrar == "" {
		c.Registrar = c.AOR.Host
	}
	if c.Link.Transport == "" {
		c.Link.Transport = ua.UDP
	}
	if c.Expires <= 0 {
		c.Expires = 10 * time.Minute
	}
	if c.Slot == 0 {
		c.Slot = 1
	}
	if c.ContactAddress == "" {
		c.ContactAddress = Internal
	}
	if c.KeepAlivePeriod <= 0 {
		c.KeepAlivePeriod = 30 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// target is the host[:port] requests are sent to.
func (c Config) target() string {
	if c.Proxy != "" {
		return c.Proxy
	}
	return c.Registrar
}

func (c Config) authUser() string {
	if c.AuthUsername != "" {
		return c.AuthUsername
	}
	return c.AOR.User
}

func (c Config) credentials() ua.Credentials {
	return ua.Credentials{Username: c.authUser(), Password: c.Password}
}

// State of a registration.
type State = delivery.State

// Status is what is known about a registration.
type Status struct {
	State State
	// Server in use, "10.77.0.1:5060/udp".
	Server string
	// Contact URI registered, "" when none is.
	Contact string
	// Public is our address as the server sees it (RFC 3581), "" when unknown.
	Public string
	// Way is what the registrar said of the way to the line and from it; nil =
	// nothing, or there is no binding.
	Way *Way
	// ExpiresAt is when the binding ends unless refreshed; zero when there is none.
	ExpiresAt      time.Time
	GrantedSeconds int
	// LastCode is the last final response's; 0 when there was none.
	LastCode int
	// LastReason says in words how the last attempt ended.
	LastReason string
	Problem    delivery.Problem
	// Since the State holds.
	Since time.Time
	// Retry is when the next attempt is due, after a failure.
	Retry time.Time
}

// Endpoint is what a registration needs of a *ua.Endpoint.
type Endpoint interface {
	Resolve(ctx context.Context, hostport string, t ua.Transport) ([]ua.Candidate, error)
	LocalAddrFor(ctx context.Context, server netip.AddrPort) (netip.Addr, error)
	Port() int
	Do(ctx context.Context, req *sip.Request) (*sip.Response, error)
	Keepalive(server ua.Candidate) error
	Probe(server ua.Candidate, result func(mapped netip.AddrPort, err error))
	Attach(server ua.Candidate, lost func(cause error)) (detach func())
	Guard(line string, f func()) (panicked bool)
}

var _ Endpoint = (*ua.Endpoint)(nil)

// Binding is a line's relation to its server, registered or not: what
// Registration and Trunk have in common.
type Binding interface {
	Start(ctx context.Context)
	Update(cfg Config)
	Stop(ctx context.Context) error
	Status() Status
	Recheck()
	Servers() []netip.AddrPort
	Server(ctx context.Context) (ua.Candidate, error)
	Candidates(ctx context.Context) ([]ua.Candidate, error)
	Nonces() *ua.NonceCache
}

var (
	_ Binding = (*Registration)(nil)
	_ Binding = (*Trunk)(nil)
)

// Registration of one line. All methods may be called from any goroutine.
type Registration struct {
	ep       Endpoint
	onChange func(Status)
	nonces   ua.NonceCache
	tag      string // From tag of this process' REGISTERs

	life sync.Mutex // held by Start and Stop while they work

	mu      sync.Mutex // guards what follows
	wanted  *Config    // the newest; never written to
	status  Status
	servers []ua.Candidate // the one in use first
	strayed *Config        // that a redirection led to, and servers were found by
	judge   netip.AddrPort // the server that took or refused the wanted credentials
	verdict result         // which of them
	changed time.Time      // when those were
	proved  time.Time      // when it last took them
	serial  int64          // last used
	run     *runner        // nil when nothing runs
}

// StopTimeout bounds the un-REGISTER of Stop.
const StopTimeout = 4 * time.Second

// New makes a registration that does nothing until Start. onChange is called
// after every change of the status, never concurrently; it must not block or
// call back into r except Status and Servers.
func New(cfg Config, ep Endpoint, onChange func(Status)) *Registration {
	if onChange == nil {
		onChange = func(Status) {}
	}
	cfg = cfg.defaults()
	if cfg.Gate == nil {
		cfg.Gate = NewGate(delivery.Registrar{})
	}
	return &Registration{
		ep: ep, onChange: onChange, tag: ua.NewTag(), wanted: &cfg,
		status: Status{State: delivery.Idle, Since: time.Now()},
	}
}

// Start registers and keeps registered until Stop, or until ctx ends (which
// leaves the binding to expire). A stopped registration may be started again.
func (r *Registration) Start(ctx context.Context) {
	r.life.Lock()
	defer r.life.Unlock()
	if r.running() != nil {
		return
	}
	run := newRunner(ctx, r)
	r.mu.Lock()
	r.run = run
	r.mu.Unlock()
	run.post(message{kind: start})
}

// Update puts another configuration in force: nothing changed = nothing
// happens; keepalive, at once; password, expiry, display name or headers,
// registers again; anything that names the line or its server, un-registers
// the old binding first. A new password ends the wait of an unauthorized line.
func (r *Registration) Update(cfg Config) {
	cfg = cfg.defaults()
	r.mu.Lock()
	cfg.Gate, cfg.Qualifier = r.wanted.Gate, r.wanted.Qualifier
	what := compare(*r.wanted, cfg)
	if cfg.credentials() != r.wanted.credentials() {
		r.verdict, r.changed = undecided, time.Now()
	}
	if what != nothing {
		r.wanted = &cfg
	}
	run := r.run
	r.mu.Unlock()
	if run == nil {
		return
	}
	switch what {
	case relocate:
		run.post(message{kind: moved})
	case reregister:
		run.post(message{kind: changed})
	case live:
		run.post(message{kind: retuned})
	}
}

// Stop un-registers our own Contact, if one is registered, and ends everything
// that runs for it. It is done when ctx ends or after StopTimeout, whichever is
// first; the error says why the binding may be left to expire. State is then
// Disabled.
func (r *Registration) Stop(ctx context.Context) error {
	r.life.Lock()
	defer r.life.Unlock()
	run := r.running()
	if run == nil {
		return nil
	}
	run.post(message{kind: stop})
	select {
	case <-run.ended:
	case <-ctx.Done():
		run.post(message{kind: deserted})
		<-run.ended
	}
	r.mu.Lock()
	r.run = nil
	r.mu.Unlock()
	return run.farewell
}

// Status now.
func (r *Registration) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Servers are the addresses the line's server was last found at, the one in
// use first.
func (r *Registration) Servers() []netip.AddrPort {
	r.mu.Lock()
	defer r.mu.Unlock()
	return addresses(r.servers)
}

// places are the servers, the one in use first.
func (r *Registration) places() []ua.Candidate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.servers
}

func addresses(servers []ua.Candidate) []netip.AddrPort {
	addrs := make([]netip.AddrPort, len(servers))
	for i, c := range servers {
		addrs[i] = c.Addr
	}
	return addrs
}

func (r *Registration) setServers(found []ua.Candidate, strayed *Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers, r.strayed = found, strayed
}

// standing tells whether a server is known to take the credentials of cfg, or to
// refuse them, and when those were changed.
func (r *Registration) standing(server ua.Candidate, cfg Config) (proven, refused bool, changed time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.judge != server.Addr || r.wanted.credentials() != cfg.credentials() {
		return false, false, r.changed
	}
	return r.verdict == accepted, r.verdict == denied, r.changed
}

// judged notes what a server has said of the credentials of cfg. One that takes
// them no longer has never taken them.
func (r *Registration) judged(server ua.Candidate, cfg Config, how result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if how != undecided && r.wanted.credentials() == cfg.credentials() {
		r.judge, r.verdict = server.Addr, how
		if how == accepted {
			r.proved = time.Now()
		}
	}
}

// provedAt is when the server last took the credentials that it is known to take.
func (r *Registration) provedAt() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proved
}

// release ends the wait of a line that waits for others, or for its server.
func (r *Registration) release() {
	if run := r.running(); run != nil {
		run.post(message{kind: released})
	}
}

// Server gives the place that new requests of the line go to: the server in use,
// which is looked up when there is none yet, or where its service route begins.
func (r *Registration) Server(ctx context.Context) (ua.Candidate, error) {
	r.mu.Lock()
	servers, cfg := r.servers, *r.wanted
	r.mu.Unlock()
	if hop, away := r.serviceHop(cfg, servers); away {
		found, err := r.reach(ctx, cfg, hop)
		if err != nil {
			return ua.Candidate{}, err
		}
		return found[0], nil
	}
	return serverOf(ctx, r.ep, cfg, servers)
}

// serverOf gives the first of the servers known, or looks one up.
func serverOf(ctx context.Context, ep Endpoint, cfg Config, known []ua.Candidate) (ua.Candidate, error) {
	if len(known) > 0 {
		server := known[0]
		server.Via = cfg.Link.Reach.Now().At // as it is now
		return server, nil
	}
	found, err := ep.Resolve(ctx, cfg.target(), cfg.Link.Transport)
	if err != nil {
		return ua.Candidate{}, err
	}
	return cfg.Link.Through(found[0]), nil
}

// Nonces shared with the line's calls, so that an INVITE is authorized at once.
func (r *Registration) Nonces() *ua.NonceCache { return &r.nonces }

// running gives the runner unless it has ended (its context may have).
func (r *Registration) running() *runner {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != nil {
		select {
		case <-r.run.ended:
			r.run = nil
		default:
		}
	}
	return r.run
}

// nextSerial numbers the REGISTERs of this line. It begins at the time, so that
// a restarted agent is above what the registrar remembers (RFC 3261 §10.3 step 7
// refuses less, and takes the same for a retransmission): in 64ths of a second,
// since a container is back within one. CSeq is its lower 31 bits (§8.1.1.5);
// the rest, which changes once in 388 days, goes into the Call-ID.
func (r *Registration) nextSerial() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serial = max(r.serial+1, time.Now().UnixNano()/int64(time.Second/64))
	return r.serial
}
