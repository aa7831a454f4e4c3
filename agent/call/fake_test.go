package call_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"go.uber.org/goleak"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a Set between a fake network and fake audio, under fake time.
type bench struct {
	t     *testing.T
	set   *call.Set
	opts  call.Options
	net   *network
	logs  *bytes.Buffer
	mu    sync.Mutex
	audio []*fakeMedia
	seen  []call.Record // as OnChange told
}

var serverAddr = netip.MustParseAddrPort("192.0.2.1:5060")

func newAccount() *account.Account {
	return &account.Account{
		Username: "1000", Password: "top-secret", UserDisplayName: `Bob "B" \o/`,
		Settings: &account.Settings{
			Host: "pbx.test", Transport: account.UDP, CallWaiting: true, CodecOrder: []int{0, 8}, CodecOrder3G: []int{8}, Ptime: 20, Ptime3G: 30,
			DTMFOrder: []string{"rfc2833"}, SendAudioBack: true, ICM: "auto",
		},
	}
}

// simulate runs a test under fake time. Everything the set started is gone in
// the end, or the bubble does not end.
func simulate(t *testing.T, change func(*call.Options), f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, change)
		defer b.finish()
		f(b)
	})
}

// finish checks what holds after every call.
func (b *bench) finish() {
	b.set.Close("test over")
	b.net.hangUp()
	if n := b.set.Active(); n != 0 {
		b.t.Errorf("%d calls left after Close", n)
	}
	b.checkSecrets()
	over := make(map[string]bool)
	for _, r := range b.told() {
		if over[r.ID] {
			b.t.Errorf("%+v was told after the end of the call", r)
		}
		over[r.ID] = r.State == call.Ended
	}
	for i, m := range b.audio {
		if !m.has().closed {
			b.t.Errorf("audio session %d was never closed", i)
		}
	}
}

func newBench(t *testing.T, change func(*call.Options)) *bench {
	b := &bench{t: t, net: &network{t: t}, logs: new(bytes.Buffer)}
	b.opts = call.Options{
		Line: "bob", Account: newAccount(), ContactUser: "c0ntact", Endpoint: b.net,
		Server:    func(context.Context) (ua.Candidate, error) { return ua.Candidate{Addr: serverAddr}, nil },
		OpenMedia: b.openMedia,
		OnChange: func(r call.Record) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.seen = append(b.seen, r)
		},
		Log: slog.New(slog.NewTextHandler(&lockedWriter{w: b.logs}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&b.opts)
	}
	b.set = call.NewSet(b.opts)
	return b
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (b *bench) openMedia(c media.Config) (call.Media, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !c.Local.IsValid() {
		return nil, errors.New("no local address")
	}
	m := &fakeMedia{onPath: c.OnPath, local: netip.AddrPortFrom(c.Local, uint16(20000+2*len(b.audio)))}
	b.audio = append(b.audio, m)
	return m, nil
}

// checkSecrets looks for the password in everything that was told.
func (b *bench) checkSecrets() {
	b.t.Helper()
	told := b.logs.String() + fmt.Sprintf("%+v", b.told()) + fmt.Sprintf("%+v", b.set.Records())
	for _, secret := range []string{"top-secret", `response="`, "Digest "} {
		if strings.Contains(told, secret) {
			b.t.Errorf("%q was told in a log or record", secret)
		}
	}
}

// told are the records OnChange was given.
func (b *bench) told() []call.Record {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.seen)
}

// sessions counts the audio sessions ever opened.
func (b *bench) sessions() int {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.audio)
}

// session is the first audio session.
func (b *bench) session() *fakeMedia {
	b.t.Helper()
	if b.sessions() == 0 {
		b.t.Fatal("there is no audio session")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.audio[0]
}

// record gives the only call's record.
func (b *bench) record() call.Record {
	b.t.Helper()
	synctest.Wait()
	rs := b.set.Records()
	if len(rs) != 1 {
		b.t.Fatalf("%d records, want 1: %+v", len(rs), rs)
	}
	return rs[0]
}

// wantEnd checks how the only call ended.
func (b *bench) wantEnd(code int, by call.By, reason string) {
	b.t.Helper()
	r := b.record()
	if r.State != call.Ended || r.End == nil {
		b.t.Fatalf("call is %s, want it ended by %s: %s", r.State, by, reason)
	}
	if r.End.Code != code || r.End.By != by || r.End.Reason != reason {
		b.t.Errorf("call ended %+v, want %d by %s: %q", *r.End, code, by, reason)
	}
	if r.EndedAt.IsZero() {
		b.t.Error("endedAt is not set")
	}
}

func (b *bench) wantState(want call.State) {
	b.t.Helper()
	if r := b.record(); r.State != want {
		b.t.Errorf("call is %s, want %s (end %+v, treatment %q)", r.State, want, r.End, r.Treatment)
	}
}

// --- audio

type fakeMedia struct {
	restarts int
	onPath   func(string, error)
	local    netip.AddrPort
	onDTMF   func(rune)
	mu       sync.Mutex
	played
}

// played is what a session was told to do.
type played struct {
	agreed  []sdp.Negotiated
	source  media.Source
	started bool
	closed  bool
	sent    string
	stats   media.Stats
	broken  bool
	tones   string // digits sent as tones
	silent  bool   // nothing comes from the peer
}

func (m *fakeMedia) has() played {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.played
}

func (m *fakeMedia) measured(s media.Stats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stats = s
}

func (m *fakeMedia) LocalRTP() netip.AddrPort { return m.local }

func (m *fakeMedia) Start(n sdp.Negotiated, s media.Source) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.started {
		return errors.New("started twice")
	}
	m.started, m.source = true, s
	m.agreed = append(m.agreed, n)
	return nil
}

// vanish lets nothing of the peer come any more, but what stats says.
func (m *fakeMedia) vanish(s media.Stats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent, m.stats = true, s
}

// comeBack lets audio come again.
func (m *fakeMedia) comeBack() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent = false
}

// breakDown lets the next Update panic.
func (m *fakeMedia) breakDown() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = true
}

func (m *fakeMedia) Update(n sdp.Negotiated, s media.Source) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		panic("on purpose")
	}
	if !m.started || s != m.source {
		return errors.New("update before start, or of another source")
	}
	m.agreed = append(m.agreed, n)
	return nil
}

func (m *fakeMedia) SendDTMF(digits string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.agreed[len(m.agreed)-1].TelephoneEventPT < 0 {
		return media.ErrNoTelephoneEvent
	}
	m.sent += digits
	return nil
}

func (m *fakeMedia) SendTones(digits string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tones += digits
	return nil
}

func (m *fakeMedia) SetOnDTMF(f func(rune)) { m.onDTMF = f }

func (m *fakeMedia) Stats() media.Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.stats
	if m.started && !m.silent {
		s.LastPacket = time.Now()
	}
	return s
}

func (m *fakeMedia) Answered() {}

func (m *fakeMedia) RestartICE() (*sdp.ICE, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restarts++
	return &sdp.ICE{Ufrag: fmt.Sprintf("again%d", m.restarts), Pwd: "0123456789abcdefghijkl"}, nil
}

// Reach is as the mode says: relayed or not at all with turnAlways, by ICE, else at a public address.
func (m *fakeMedia) Reach(_ context.Context, n media.NAT) (media.Reach, error) {
	switch {
	case n.Mode == media.NATICE:
		r := media.Reach{RTP: m.local, RTCP: netip.AddrPortFrom(m.local.Addr(), m.local.Port()+1), Via: "ice"}
		host, _, err := sdp.ParseCandidate(fmt.Sprintf("1 1 UDP 2130706431 %s %d typ host", m.local.Addr(), m.local.Port()))
		r.ICE = &sdp.ICE{Ufrag: "first", Pwd: "0123456789abcdefghijkl", Candidates: []sdp.Candidate{host}}
		return r, err
	case n.Mode != media.NATTURNAlways:
		return media.Reach{RTP: netip.MustParseAddrPort("198.51.100.7:40000"), RTCP: netip.MustParseAddrPort("198.51.100.7:40007"), Via: "stun", Why: "seen"}, nil
	case n.Username == "":
		return media.Reach{}, media.ErrNoRelay
	}
	return media.Reach{RTP: netip.MustParseAddrPort("198.51.100.9:50000"), RTCP: netip.MustParseAddrPort("198.51.100.9:50001"), Via: "turn"}, nil
}

func (m *fakeMedia) Signs() media.Signs {
	s := m.Stats()
	return media.Signs{LastPacket: s.LastPacket, LastReport: s.LastReport, SendErrors: s.SendErrors}
}

func (m *fakeMedia) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}

func (m *fakeMedia) last(t *testing.T) sdp.Negotiated {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.agreed) == 0 {
		t.Fatal("audio was never started")
	}
	return m.agreed[len(m.agreed)-1]
}

// --- network

// network is an Endpoint whose other side is the test.
type network struct {
	t     *testing.T
	mu    sync.Mutex
	sent  []*clientTx
	acks  []*sip.Request // and whatever else was sent outside transactions
	names map[string]netip.AddrPort
}

func (n *network) Request(ctx context.Context, req *sip.Request) (sip.ClientTransaction, error) {
	if req.Destination() == "" {
		return nil, errors.New("no destination")
	}
	if req.Via() == nil {
		params := sip.NewParams()
		params.Add("branch", sip.GenerateBranch())
		req.PrependHeader(&sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "10.0.0.1", Port: 5060, Params: params})
	} else if !req.IsCancel() {
		n.t.Errorf("%s came with a Via", req.Method)
	}
	tx := &clientTx{ctx: ctx, req: req, responses: make(chan *sip.Response), done: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, tx)
	return tx, nil
}

func (n *network) Write(req *sip.Request) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.acks = append(n.acks, req)
	return nil
}

func (n *network) Resolve(_ context.Context, hostport string, _ ua.Transport) ([]ua.Candidate, error) {
	if a, ok := n.names[hostport]; ok {
		return []ua.Candidate{{Transport: ua.UDP, Addr: a}}, nil
	}
	return nil, ua.ErrHostNotFound
}

func (n *network) LocalAddrFor(context.Context, netip.AddrPort) (netip.Addr, error) {
	return netip.MustParseAddr("10.0.0.1"), nil
}

func (n *network) Port() int { return 5060 }

func (n *network) Guard(_ string, f func()) (panicked bool) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case "on purpose":
			panicked = true
		default:
			panic(v)
		}
	}()
	f()
	return false
}

// requests of a method sent so far.
func (n *network) requests(method sip.RequestMethod) []*clientTx {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	var txs []*clientTx
	for _, tx := range n.sent {
		if tx.req.Method == method {
			txs = append(txs, tx)
		}
	}
	return txs
}

// only gives the one request of a method.
func (n *network) only(method sip.RequestMethod) *clientTx {
	n.t.Helper()
	txs := n.requests(method)
	if len(txs) != 1 {
		n.t.Fatalf("%d %s sent, want 1", len(txs), method)
	}
	return txs[0]
}

// ack gives one of the ACKs sent.
func (n *network) ack(i int) *sip.Request {
	n.t.Helper()
	if i >= n.ackCount() {
		n.t.Fatalf("no ACK %d", i)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.acks[i]
}

func (n *network) ackCount() int {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.acks)
}

// hangUp ends all transactions, as closing an endpoint does.
func (n *network) hangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, tx := range n.sent {
		tx.Terminate()
	}
}

// clientTx is a client transaction whose server is the test.
type clientTx struct {
	ctx       context.Context
	req       *sip.Request
	responses chan *sip.Response
	done      chan struct{}
	once      sync.Once
	err       error
	mu        sync.Mutex
	again     sip.FnTxResponse
	final     bool // it has its answer

	withoutACK bool // the ACK of a refusal has not left yet, until end
}

func (x *clientTx) answered() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.final
}

func (x *clientTx) Terminate()                         { x.end(nil) }
func (x *clientTx) OnTerminate(sip.FnTxTerminate) bool { return true }
func (x *clientTx) Done() <-chan struct{}              { return x.done }
func (x *clientTx) Err() error                         { return x.err }
func (x *clientTx) Responses() <-chan *sip.Response    { return x.responses }

func (x *clientTx) OnRetransmission(f sip.FnTxResponse) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.again = f
	return true
}

func (x *clientTx) end(err error) { x.once.Do(func() { x.err = err; close(x.done) }) }

// respond answers; extra are whole header lines, a last one after "" is a body.
func (x *clientTx) respond(code int, reason, tag string, extra ...string) *sip.Response {
	res := sip.NewResponseFromRequest(x.req, code, reason, nil)
	if tag == "" {
		res.To().Params.Remove("tag")
	} else {
		res.To().Params.Add("tag", tag)
	}
	return x.deliver(with(res, extra...))
}

func (x *clientTx) deliver(res *sip.Response) *sip.Response {
	if !res.IsProvisional() {
		x.mu.Lock()
		x.final = true
		x.mu.Unlock()
	}
	if !ua.TellResponse(x.ctx, res) {
		x.responses <- res
	}
	synctest.Wait()
	if x.req.IsInvite() && res.StatusCode >= 300 && !x.withoutACK {
		x.end(sip.ErrTransactionTerminated)
		synctest.Wait()
	}
	return res
}

// repeat delivers a 2xx that is not the first.
func (x *clientTx) repeat(res *sip.Response) {
	x.mu.Lock()
	again := x.again
	x.mu.Unlock()
	again(res)
	synctest.Wait()
}

// with adds header lines and a body by having the parser read it all again.
func with(res *sip.Response, extra ...string) *sip.Response {
	head, _, _ := strings.Cut(res.String(), "\r\n\r\n")
	var lines []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if !strings.HasPrefix(line, "Content-Length") {
			lines = append(lines, line)
		}
	}
	return parse(append(lines, extra...)...).(*sip.Response)
}

// parse reads a message given as lines; what follows an empty one is the body.
func parse(lines ...string) sip.Message {
	head, body := lines, ""
	for i, line := range lines {
		if line == "" {
			head, body = lines[:i:i], strings.Join(lines[i+1:], "\r\n")
		}
	}
	head = append(head, fmt.Sprintf("Content-Length: %d", len(body)), "", body)
	m, err := sip.NewParser().ParseSIP([]byte(strings.Join(head, "\r\n")))
	if err != nil {
		panic(fmt.Sprintf("%v in\n%s", err, strings.Join(head, "\n")))
	}
	m.SetSource(serverAddr.String())
	m.SetTransport("UDP")
	return m
}

// serverTx is a server transaction as sipgo has it, as far as calls see it.
type serverTx struct {
	t    *testing.T
	req  *sip.Request
	acks chan *sip.Request
	done chan struct{}

	mu        sync.Mutex
	responses []*sip.Response
	at        []time.Time
	final     int
	broken    error
	onCancel  []sip.FnTxCancel
	onEnd     []sip.FnTxTerminate
}

func newServerTx(t *testing.T, req *sip.Request) *serverTx {
	return &serverTx{t: t, req: req, acks: make(chan *sip.Request), done: make(chan struct{})}
}

func (x *serverTx) Respond(res *sip.Response) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.broken != nil {
		return x.broken
	}
	if x.final != 0 && (x.final/100 != 2 || res.StatusCode/100 != 2) {
		x.t.Errorf("%s: %d after the final %d", x.req.Method, res.StatusCode, x.final)
	}
	if res.StatusCode >= 200 {
		x.final = res.StatusCode
	}
	x.responses = append(x.responses, res)
	x.at = append(x.at, time.Now())
	return nil
}

func (x *serverTx) Acks() <-chan *sip.Request { return x.acks }
func (x *serverTx) Done() <-chan struct{}     { return x.done }
func (x *serverTx) Err() error                { return nil }

func (x *serverTx) OnCancel(f sip.FnTxCancel) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.onCancel = append(x.onCancel, f)
	return !errors.Is(x.broken, sip.ErrTransactionCanceled)
}

func (x *serverTx) OnTerminate(f sip.FnTxTerminate) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.onEnd = append(x.onEnd, f)
	return true
}

func (x *serverTx) Terminate() {}

// cancel does what sipgo does with a CANCEL.
func (x *serverTx) cancel() { x.cancelWith(nil) }

func (x *serverTx) cancelWith(cancel *sip.Request) {
	x.mu.Lock()
	var fs []sip.FnTxCancel
	if x.final == 0 {
		fs = x.onCancel
		x.broken = sip.ErrTransactionCanceled
		x.responses = append(x.responses, sip.NewResponseFromRequest(x.req, 487, "Request Terminated", nil))
		x.at = append(x.at, time.Now())
	}
	x.mu.Unlock()
	for _, f := range fs {
		f(cancel)
	}
	synctest.Wait()
}

// lose does what sipgo does when a response cannot be sent.
func (x *serverTx) lose() {
	x.mu.Lock()
	fs := x.onEnd
	x.broken = sip.ErrTransactionTransport
	x.mu.Unlock()
	for _, f := range fs {
		f("", sip.ErrTransactionTransport)
	}
	synctest.Wait()
}

// codes of all responses so far.
func (x *serverTx) codes() string {
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	var codes []string
	for _, r := range x.responses {
		codes = append(codes, fmt.Sprint(r.StatusCode))
	}
	return strings.Join(codes, " ")
}

// last response.
func (x *serverTx) last() *sip.Response {
	x.t.Helper()
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.responses) == 0 {
		x.t.Fatalf("no response to %s", x.req.Method)
	}
	return x.responses[len(x.responses)-1]
}

// --- the peer of an incoming call

const offerPCMU = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n" +
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n"

func sdpBody(body string) []string { return []string{"Content-Type: application/sdp", "", body} }

// caller is who calls the set.
type caller struct {
	b      *bench
	tx     *serverTx
	callID string
	seq    int
}

// invite delivers a first INVITE; extra as in parse.
func (b *bench) invite(callID string, extra ...string) *caller {
	p := &caller{b: b, callID: callID, seq: 1}
	p.tx = b.deliver(append(p.head("INVITE", ""), extra...)...)
	return p
}

func (b *bench) deliver(lines ...string) *serverTx {
	req := parse(lines...).(*sip.Request)
	tx := newServerTx(b.t, req)
	b.set.HandleRequest(req, tx)
	synctest.Wait()
	return tx
}

func (p *caller) head(method, toTag string) []string {
	if toTag != "" {
		toTag = ";tag=" + toTag
	}
	return []string{
		method + " sip:c0ntact@10.0.0.1:5060 SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%s%s%d;rport", p.callID, method, p.seq),
		"From: <sip:2000@pbx.test>;tag=caller",
		"To: <sip:1000@pbx.test>" + toTag,
		"Call-ID: " + p.callID,
		fmt.Sprintf("CSeq: %d %s", p.seq, method),
		"Contact: <sip:2000@192.0.2.9:5070>",
		"Max-Forwards: 70",
	}
}

// tag is the set's, from its last response.
func (p *caller) tag() string { return p.tx.last().To().Params.GetOr("tag", "") }

// send delivers a request within the dialog; the CSeq counts on.
func (p *caller) send(method string, extra ...string) *serverTx {
	p.seq++
	return p.again(method, extra...)
}

// again delivers a request with the CSeq number of the one before.
func (p *caller) again(method string, extra ...string) *serverTx {
	return p.b.deliver(append(p.head(method, p.tag()), extra...)...)
}

// ack acknowledges the INVITE sent last.
func (p *caller) ack(extra ...string) { p.again("ACK", extra...) }

func asRequest(m sip.Message) *sip.Request { return m.(*sip.Request) }
