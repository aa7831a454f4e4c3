package registration

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// registrar is a small one (RFC 3261 §10.3) with moods, for tests. It checks
// digests with code of its own.
type registrar struct {
	mu        sync.Mutex
	passwords map[string]string // by username; nil = nobody is asked
	algorithm string            // of the challenge; "" = MD5
	nonce     string
	stale     bool // the next credentials are stale
	min       time.Duration
	most      time.Duration // granted at most; 0 = what is asked
	silent    bool
	code      int // answer this to everything
	headers   []string
	says      []string // in every 200
	lacking   bool     // a proxy before it does not know flows
	strict    bool     // goes by instance and reg-id, never by the URI alone
	restless  bool     // the NAT before it shows another port each time
	public    string   // rewrites Via's received and rport
	bindings  map[string]map[string]binding
	requests  []*sip.Request
	forgetful bool           // keeps no requests
	refused   int            // credentials that were wrong
	asked     []*sip.Request // OPTIONS
}

type binding struct {
	value   string // Contact header's value without expires
	expires time.Time
	callID  string
	cseq    uint32
}

func newRegistrar() *registrar {
	return &registrar{nonce: "n1", bindings: make(map[string]map[string]binding)}
}

// set changes the registrar's mood.
func (g *registrar) set(change func(*registrar)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(g)
}

func (g *registrar) answer(req *sip.Request) *sip.Response {
	g.mu.Lock()
	defer g.mu.Unlock()
	if req.Method == sip.OPTIONS {
		g.asked = append(g.asked, req.Clone())
		if g.silent {
			return nil
		}
		return g.respond(req, cmp.Or(g.code, 200), "OK")
	}
	if !g.forgetful {
		g.requests = append(g.requests, req.Clone())
	}
	switch {
	case g.silent:
		return nil
	case g.code != 0:
		return received(g.respond(req, g.code, "Because", g.headers...))
	case g.passwords != nil && !g.authorized(req):
		if req.GetHeader("Authorization") != nil {
			g.refused++
		}
		algorithm := ""
		if g.algorithm != "" {
			algorithm = ", algorithm=" + g.algorithm
		}
		return g.respond(req, 401, "Unauthorized", fmt.Sprintf(`WWW-Authenticate: Digest realm="test", nonce="%s", qop="auth"%s`, g.nonce, algorithm))
	case g.lacking && strings.Contains(req.GetHeader("Supported").Value(), "outbound"):
		return g.respond(req, 439, "First Hop Lacks Outbound Support")
	case g.stale:
		g.stale = false
		g.nonce += "x"
		return g.respond(req, 401, "Unauthorized", fmt.Sprintf(`WWW-Authenticate: Digest realm="test", nonce="%s", qop="auth", stale=true`, g.nonce))
	}
	return g.save(req)
}

func (g *registrar) respond(req *sip.Request, code int, reason string, headers ...string) *sip.Response {
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		res.AppendHeader(sip.NewHeader(name, value))
	}
	if g.public != "" && res.Via() != nil {
		a := netip.MustParseAddrPort(g.public)
		if g.restless {
			g.public = netip.AddrPortFrom(a.Addr(), a.Port()+1).String()
		}
		res.Via().Params.Add("received", a.Addr().String())
		res.Via().Params.Add("rport", strconv.Itoa(int(a.Port())))
	}
	return res
}

var authParam = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([^\s,]+))`)

func (g *registrar) authorized(req *sip.Request) bool {
	h := req.GetHeader("Authorization")
	if h == nil {
		return false
	}
	p := make(map[string]string)
	for _, m := range authParam.FindAllStringSubmatch(h.Value(), -1) {
		p[m[1]] = m[2] + m[3]
	}
	hash := func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }
	if g.algorithm == "SHA-256" {
		hash = func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	}
	password, ok := g.passwords[p["username"]]
	a1, a2 := hash(p["username"]+":test:"+password), hash("REGISTER:"+req.Recipient.String())
	return ok && p["nonce"] == g.nonce && p["uri"] == req.Recipient.String() &&
		p["response"] == hash(strings.Join([]string{a1, p["nonce"], p["nc"], p["cnonce"], p["qop"], a2}, ":"))
}

// save is RFC 3261 §10.3, steps 6 to 8.
func (g *registrar) save(req *sip.Request) *sip.Response {
	aor := req.To().Address.User
	if g.bindings[aor] == nil {
		g.bindings[aor] = make(map[string]binding)
	}
	now := time.Now()
	for _, h := range req.GetHeaders("Contact") {
		c := sip.ContactHeader{Params: sip.NewParams()}
		text := h.Value()
		uri := text[strings.Index(text, "<")+1 : strings.Index(text, ">")]
		if err := sip.ParseUri(uri, &c.Address); err != nil {
			return g.respond(req, 400, "Bad Contact")
		}
		value, asked, _ := strings.Cut(text, ";expires=")
		seconds, err := strconv.Atoi(asked)
		if err != nil {
			return g.respond(req, 400, "Bad expires")
		}
		expires := time.Duration(seconds) * time.Second
		if expires > 0 && expires < g.min {
			return g.respond(req, 423, "Interval Too Brief", fmt.Sprintf("Min-Expires: %d", int(g.min.Seconds())))
		}
		if g.most > 0 {
			expires = min(expires, g.most)
		}
		old, known := g.bindings[aor][uri]
		if known && old.callID == req.CallID().Value() && req.CSeq().SeqNo <= old.cseq {
			return g.respond(req, 500, "CSeq out of order")
		}
		if expires == 0 && g.strict && !strings.Contains(value, "reg-id=") {
			continue
		}
		if expires == 0 {
			delete(g.bindings[aor], uri)
			continue
		}
		g.bindings[aor][uri] = binding{value: value, expires: now.Add(expires), callID: req.CallID().Value(), cseq: req.CSeq().SeqNo}
	}
	return g.list(req, aor, now)
}

func (g *registrar) list(req *sip.Request, aor string, now time.Time) *sip.Response {
	res := g.respond(req, 200, "OK", g.says...)
	for uri, b := range g.bindings[aor] {
		if now.After(b.expires) {
			delete(g.bindings[aor], uri)
			continue
		}
		res.AppendHeader(sip.NewHeader("Contact", fmt.Sprintf("%s;expires=%d", b.value, int(b.expires.Sub(now).Seconds()))))
	}
	return received(res)
}

// received is a response as it comes from the network: the parser has its say.
func received(res *sip.Response) *sip.Response {
	msg, err := sip.ParseMessage([]byte(res.String()))
	if err != nil {
		panic(err)
	}
	parsed := msg.(*sip.Response)
	parsed.SetDestination(res.Destination())
	return parsed
}

// bound gives the URIs bound for a user.
func (g *registrar) bound(user string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var uris []string
	for uri, b := range g.bindings[user] {
		if time.Now().Before(b.expires) {
			uris = append(uris, uri)
		}
	}
	return uris
}

func (g *registrar) received() []*sip.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*sip.Request(nil), g.requests...)
}

// fakeEndpoint leads to a registrar without a network: time is the test's.
type fakeEndpoint struct {
	mu         sync.Mutex
	registrars map[netip.AddrPort]*registrar
	found      []netip.AddrPort
	hosts      map[string]netip.AddrPort // where else
	resolveErr error
	sendErr    error
	resolved   int         // names
	panics     int         // Do panics that often
	attached   int         // waiting now
	lose       func(error) // ends the newest connection
	keepalives []netip.AddrPort
	guarded    int
	local      netip.Addr // ours; zero = 10.244.0.7
	probes     []func(netip.AddrPort, error)
	probedAt   []time.Time
	answers    bool // every probe at once
}

var serverAddr = netip.MustParseAddrPort("10.77.0.1:5060")

func newFake(g *registrar) *fakeEndpoint {
	return &fakeEndpoint{registrars: map[netip.AddrPort]*registrar{serverAddr: g}, found: []netip.AddrPort{serverAddr}}
}

func (f *fakeEndpoint) set(change func(*fakeEndpoint)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fakeEndpoint) Resolve(_ context.Context, host string, t ua.Transport) ([]ua.Candidate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resolved++
	if f.resolveErr != nil {
		return nil, f.resolveErr
	}
	if a, ok := f.hosts[host]; ok {
		return []ua.Candidate{{Transport: t, Addr: a}}, nil
	}
	var c []ua.Candidate
	for _, a := range f.found {
		c = append(c, ua.Candidate{Transport: t, Addr: a})
	}
	return c, nil
}

// lookups so far.
func (f *fakeEndpoint) lookups() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.resolved
}

func (f *fakeEndpoint) LocalAddrFor(context.Context, netip.AddrPort) (netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.local.IsValid() {
		return f.local, nil
	}
	return netip.MustParseAddr("10.244.0.7"), nil
}

// Probe keeps who waits for an answer.
func (f *fakeEndpoint) Probe(_ ua.Candidate, result func(netip.AddrPort, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.probes, f.probedAt = append(f.probes, result), append(f.probedAt, time.Now())
	if f.answers {
		go result(netip.AddrPort{}, nil)
	}
}

func (f *fakeEndpoint) Port() int { return 5060 }

func (f *fakeEndpoint) Do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	f.mu.Lock()
	g, err := f.registrars[netip.MustParseAddrPort(req.Destination())], f.sendErr
	f.panics--
	panics := f.panics >= 0
	f.mu.Unlock()
	if panics {
		panic("boom")
	}
	if err != nil {
		return nil, err
	}
	req = req.Clone()
	req.PrependHeader(&sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "10.244.0.7", Port: 5060, Params: sip.NewParams()})
	if g != nil {
		if res := g.answer(req); res != nil {
			return res, nil
		}
	}
	select {
	case <-time.After(32 * time.Second): // 64·T1
		return nil, fmt.Errorf("REGISTER: %w", ua.ErrTimeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fakeEndpoint) Keepalive(server ua.Candidate) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keepalives = append(f.keepalives, server.Addr)
	return nil
}

// Attach keeps who waits for the end of the connection.
func (f *fakeEndpoint) Attach(server ua.Candidate, lost func(error)) (detach func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attached++
	f.lose = lost
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.attached--
	}
}

func (f *fakeEndpoint) Guard(_ string, do func()) (panicked bool) {
	defer func() {
		if recover() != nil {
			panicked = true
			f.mu.Lock()
			f.guarded++
			f.mu.Unlock()
		}
	}()
	do()
	return false
}
