package registration

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// exchange is one REGISTER with all that belongs to it: finding the server,
// answering challenges, trying the next address. It changes nothing of the
// runner's and may run beside it.
type exchange struct {
	ep           Endpoint
	cfg          Config
	registration *Registration  // for numbers, nonces and the gate
	servers      []ua.Candidate // known, the one in use first
	// strayed is the configuration a redirection led to, by which they were found.
	strayed *Config
	trail   []string       // of redirections: where this has been
	nonces  *ua.NonceCache // of the server this asks
	turn    *turn
	at      netip.AddrPort // for Contact and Via; zero = the socket's
	plain   bool           // without RFC 5626, which a proxy on the way does not know
	// impatient: others are there to be tried if the one that is asked is silent.
	impatient bool
}

// job of an exchange.
type job struct {
	ask    time.Duration // register for that long; 0 = un-register
	leave  string        // our contact to un-register; "" = what we would register
	clear  []string      // un-register these instead
	insist bool          // un-register by instance and reg-id, too
}

// leaves says whether the job un-registers our own contact.
func (j job) leaves() bool { return j.ask == 0 && len(j.clear) == 0 }

// resolveTimeout bounds a name lookup.
const resolveTimeout = 10 * time.Second

// silenceTimeout bounds the wait for one of several servers: by then the request
// was sent five times over UDP. The last one gets all the time of a transaction.
const silenceTimeout = 8 * time.Second

func (x *exchange) run(ctx context.Context, j job) *outcome {
	if j.ask > 0 && len(x.servers) > 0 {
		// Who is held back need not ask DNS.
		server := x.servers[0]
		if err := x.cfg.Gate.peek(server.Addr, x.applicant(server, j)); err != nil {
			o := failure(err, x.cfg, server.String())
			o.servers, o.strayed = x.servers, x.strayed
			return o
		}
	}
	if j.ask == 0 && x.strayed != nil {
		// The binding is where a redirection led to.
		there := x.elsewhere(*x.strayed)
		there.servers = x.servers
		return there.run(ctx, j)
	}
	if j.ask > 0 && len(x.trail) == 0 && x.cfg.Before != nil {
		x.cfg.Before(ctx)
	}
	servers, err := x.locate(ctx, j)
	if err != nil {
		return failure(err, x.cfg, x.cfg.target())
	}
	var o *outcome
	var tried []string
	for i, server := range servers {
		var next bool
		x.impatient = i < len(servers)-1
		o, next = x.attempt(ctx, server, j)
		o.servers = servers
		if !next || ctx.Err() != nil {
			o.servers = slices.Concat(servers[i:], servers[:i])
			break
		}
		tried = append(tried, o.reason)
	}
	o.after(tried, x.cfg.target())
	return x.follow(ctx, o, j)
}

// locate gives the addresses to try. A line stays with its server while DNS still
// names it and none that goes before it (by its priority, and because it answers)
// is there; un-registering goes where the binding is.
func (x *exchange) locate(ctx context.Context, j job) ([]ua.Candidate, error) {
	if j.ask == 0 && len(x.servers) > 0 {
		return x.servers[:1], nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found, err := x.ep.Resolve(ctx, x.cfg.target(), x.cfg.Link.Transport)
	if err != nil {
		return nil, err
	}
	if len(x.servers) > 0 {
		ua.Settle(found, x.servers[0].Addr)
	}
	for i, c := range found {
		found[i] = x.cfg.Link.Through(c)
	}
	return found, nil
}

// applicant is what the gate wants to know of the line.
func (x *exchange) applicant(server ua.Candidate, j job) applicant {
	a := applicant{line: x.registration, urgency: unproven, repeats: server.Transport == ua.UDP || server.Transport == ""}
	var known bool
	known, a.denied, a.changed = x.registration.standing(server, x.cfg)
	if known {
		a.proved = x.registration.provedAt()
	}
	switch {
	case known && j.leaves():
		a.urgency = parting
	case known:
		a.urgency = proven
	}
	return a
}

// attempt does the job at one address. next: another address may do better
// (RFC 3263 §4.3: "If a failure occurs … a transport failure, a 503, a timeout").
func (x *exchange) attempt(ctx context.Context, server ua.Candidate, j job) (o *outcome, next bool) {
	local, err := x.ep.LocalAddrFor(ctx, server.Addr)
	if err != nil {
		return failure(err, x.cfg, server.String()), true
	}
	x.turn.await()
	a := x.applicant(server, j)
	pass, err := x.cfg.Gate.enter(ctx, server.Addr, a)
	if x.turn.come(); err != nil {
		// Who waited in vain for a server that is silent can try another.
		return failure(err, x.cfg, server.String()), errors.Is(err, ua.ErrTimeout)
	}
	how := undecided
	defer func() { pass.over(how) }()
	if !x.at.IsValid() {
		x.at = netip.AddrPortFrom(local, uint16(x.ep.Port()))
	}
	res, why, err := x.send(ctx, pass, server, j)
	if err == nil && x.stays(res, j) {
		if err = pass.again(ctx); err == nil {
			j.insist = true
			res, why, err = x.send(ctx, pass, server, j)
		}
	}
	switch {
	case err != nil:
		return failure(err, x.cfg, server.String()), true
	case !res.IsSuccess():
		o, next = rejection(res, x.cfg, why), res.StatusCode == sip.StatusServiceUnavailable
	default:
		o = x.success(res, j)
		o.local = local
	}
	switch {
	case res.IsSuccess():
		how = accepted
	case o.refused():
		how, o.relapse = denied, a.urgency != unproven
	}
	x.registration.judged(server, x.cfg, how)
	x.redirect(o, res)
	return o, next
}

// contact is the URI that a job is about.
func (x *exchange) contact(j job) sip.Uri {
	if j.leave != "" {
		var was sip.Uri
		if err := sip.ParseUri(j.leave, &was); err == nil {
			return was
		}
	}
	return contactURI(x.cfg, x.at)
}

// stays says that a registrar which was asked to forget our URI lists it still, as it
// tells bindings apart by instance and reg-id alone (RFC 5626 §6).
func (x *exchange) stays(res *sip.Response, j job) bool {
	if !j.leaves() || j.insist || x.plain || x.cfg.Instance == "" || !res.IsSuccess() {
		return false
	}
	return own{uri: x.contact(j), instance: x.cfg.Instance, rinstance: x.cfg.RInstance, public: publicAddress(res)}.listed(res)
}

// contacts are the Contact values the job's REGISTER carries. Un-registering names the
// URI alone at first: a successor of ours is the same instance, and a registrar that
// goes by that would forget the successor's binding.
func (x *exchange) contacts(j job) []string {
	if len(j.clear) > 0 {
		values := make([]string, len(j.clear))
		for i, c := range j.clear {
			values[i] = "<" + c + ">;expires=0"
		}
		return values
	}
	uri := x.contact(j)
	if j.leaves() && !j.insist {
		return []string{"<" + uri.String() + ">;expires=0"}
	}
	return []string{contactValue(x.cfg, uri, j.ask, x.plain)}
}

// success reads a 2xx.
func (x *exchange) success(res *sip.Response, j job) *outcome {
	uri := contactURI(x.cfg, x.at)
	o := &outcome{code: res.StatusCode, reason: statusLine(res), public: publicAddress(res), contact: strings.Clone(uri.String())} // which has room for more
	if j.ask == 0 {
		return o
	}
	o.way = readWay(res)
	o.elsewhere = x.cfg.ContactAddress == External && o.public != "" && o.public != x.at.String()
	o.granted, o.leftovers = readBindings(res, own{
		uri: uri, instance: x.cfg.Instance, rinstance: x.cfg.RInstance, public: o.public,
	}, j.ask)
	if o.granted < time.Second {
		return notGranted(res)
	}
	return o
}

// send sends a REGISTER, whose turn it is, and answers its challenges. why says
// what kept it from answering the challenge of the response it gives.
func (x *exchange) send(ctx context.Context, leave *pass, server ua.Candidate, j job) (res *sip.Response, why, err error) {
	req := buildRegister(x.cfg, x.registration.tag, x.registration.nextSerial(), x.contacts(j), j.ask, x.plain || j.ask == 0 && !j.insist)
	server.Via = x.via()
	server.Aim(req)
	session := x.cfg.credentials().Session(x.nonces)
	session.Prepare(req)
	for {
		res, err = x.do(ua.OnSent(ctx, leave.sent), req)
		if leave.answered(err); err != nil {
			return nil, nil, err
		}
		if res.StatusCode != sip.StatusUnauthorized && res.StatusCode != sip.StatusProxyAuthRequired {
			return res, nil, nil
		}
		challenged, why := session.Next(req, res)
		if why != nil {
			return res, why, nil
		}
		if err := leave.again(ctx); err != nil {
			return nil, nil, err
		}
		number(challenged, x.cfg, x.registration.nextSerial())
		if x.seen(res) && j.ask > 0 {
			server.Via = x.via()
			server.Aim(challenged)
			challenged.RemoveHeader("Contact")
			challenged.AppendHeader(sip.NewHeader("Contact", x.contacts(j)[0]))
		}
		req = challenged
	}
}

// do sends one request, and waits for its answer no longer than makes sense.
func (x *exchange) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	if !x.impatient {
		return x.ep.Do(ctx, req)
	}
	bounded, cancel := context.WithTimeout(ctx, silenceTimeout)
	defer cancel()
	res, err := x.ep.Do(bounded, req)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("%w within %s", ua.ErrTimeout, silenceTimeout)
	}
	return res, err
}

// turn tells when an exchange could begin, to whoever waits for its end.
type turn struct{ at atomic.Int64 }

func (t *turn) await() { t.at.Store(-1) }
func (t *turn) come()  { t.at.Store(time.Now().UnixNano()) }

// left is what remains, at now, of a time that begins with the turn.
func (t *turn) left(now time.Time, of time.Duration) time.Duration {
	switch at := t.at.Load(); at {
	case 0:
		return 0 // other things take so long
	case -1:
		return of
	default:
		return time.Unix(0, at).Add(of).Sub(now)
	}
}

// internal is the outcome of a panic.
func internal() *outcome {
	return &outcome{problem: delivery.ProblemConfig, reason: "internal error, see the agent's log"}
}
