package call_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// silence is an outcome, as are response codes.
const silence = 0

// torture is one message of RFC 4475 and what the line may answer: the line is a
// user agent that rings, so what the RFC has registrars and proxies do is 405 here.
type torture struct {
	section, name string
	allowed       []int
	tcp           []int // over a stream, where that differs
}

// tortures are the 49 messages of RFC 4475, in its order.
var tortures = []torture{
	{"3.1.1.1", "wsinv", []int{481}, nil}, // its To has a tag: of a dialog that is not here
	{"3.1.1.2", "intmeth", []int{501, 405}, nil},
	{"3.1.1.3", "esc01", []int{180}, nil},
	{"3.1.1.4", "escnull", []int{405}, nil},
	{"3.1.1.5", "esc02", []int{501, 405}, nil},
	{"3.1.1.6", "lwsdisp", []int{200}, nil},
	{"3.1.1.7", "longreq", []int{180}, nil},
	{"3.1.1.8", "dblreq", []int{405}, []int{405, silence}}, // a second request is no part of a datagram; of a stream, what follows that one is junk
	{"3.1.1.9", "semiuri", []int{200}, nil},
	{"3.1.1.10", "transports", []int{200}, nil},
	{"3.1.1.11", "mpart01", []int{200, 415, 405}, nil},
	{"3.1.1.12", "unreason", []int{silence}, nil},
	{"3.1.1.13", "noreason", []int{silence}, nil},
	{"3.1.2.1", "badinv01", []int{400}, nil},
	{"3.1.2.2", "clerr", []int{400}, []int{silence}}, // of a stream, the rest may still come
	{"3.1.2.3", "ncl", []int{400}, nil},
	{"3.1.2.4", "scalar02", []int{400}, nil},
	{"3.1.2.5", "scalarlg", []int{silence}, nil},
	{"3.1.2.6", "quotbal", []int{400}, nil},
	{"3.1.2.7", "ltgtruri", []int{400}, nil},
	{"3.1.2.8", "lwsruri", []int{400}, nil},
	{"3.1.2.9", "lwsstart", []int{400, 180}, nil}, // "some implementations may be liberal"
	{"3.1.2.10", "trws", []int{400, 200}, nil},
	{"3.1.2.11", "escruri", []int{400, 180}, nil},
	{"3.1.2.12", "baddate", []int{400, 180}, nil}, // or Date is ignored
	{"3.1.2.13", "regbadct", []int{400, 405}, nil},
	{"3.1.2.14", "badaspec", []int{400, 200}, nil},
	{"3.1.2.15", "baddn", []int{400, 200}, []int{silence}},
	{"3.1.2.16", "badvers", []int{505}, nil},
	{"3.1.2.17", "mismatch01", []int{400}, nil},
	{"3.1.2.18", "mismatch02", []int{400, 501}, nil},
	{"3.1.2.19", "bigcode", []int{silence}, nil},
	{"3.2.1", "badbranch", []int{200}, nil},
	{"3.3.1", "insuf", []int{400, silence}, nil}, // or "treat the request as malformed and not respond"
	{"3.3.2", "unkscm", []int{416}, nil},
	{"3.3.3", "novelsc", []int{416}, nil},
	{"3.3.4", "unksm2", []int{405}, nil},
	{"3.3.5", "bext01", []int{420}, nil},
	{"3.3.6", "invut", []int{415}, nil},
	{"3.3.7", "regaut01", []int{405}, nil},
	{"3.3.8", "multi01", []int{400}, nil},
	{"3.3.9", "mcl01", []int{400}, nil},
	{"3.3.10", "bcast", []int{silence}, nil},
	{"3.3.11", "zeromf", []int{200}, nil}, // 483 is for proxies
	{"3.3.12", "cparam01", []int{405}, nil},
	{"3.3.13", "cparam02", []int{405}, nil},
	{"3.3.14", "regescrt", []int{405}, nil},
	{"3.3.15", "sdp01", []int{406}, nil},
	{"3.4.1", "inv2543", []int{180}, []int{400}},
}

// tortureFiles are the messages as sipgo's module brings them, by name.
func tortureFiles(t testing.TB) map[string][]byte {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	if err != nil {
		t.Fatalf("where sipgo's module is: %v", err)
	}
	paths, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "sip", "testdata", "torture", "*", "*.dat"))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(path), ".dat")] = text
	}
	return files
}

// victim is a line whose server sends it whatever there is.
type victim struct {
	*phone
	servers []netip.AddrPort
}

func (v *victim) ServerAddrs() []netip.AddrPort { return v.servers }

// newVictim is a line that rings and takes messages, the only one of servers at these
// addresses, which are of one family.
func newVictim(t *testing.T, servers ...netip.AddrPort) *victim {
	t.Helper()
	local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if servers[0].Addr().Is6() {
		local = netip.IPv6Loopback()
	}
	p := newPhoneAt(t, newProxy(t), local, "alice", func(o *call.Options) { o.Account.AllowMessage = true })
	v := &victim{p, servers}
	unbind, err := p.ep.Bind("victim", v)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unbind)
	return v
}

// tormentor sends from an address of its own, so that it can listen on whatever port
// a message asks to be answered at.
type tormentor struct {
	t    *testing.T
	v    *victim
	conn net.Conn // connected; UDP or TCP
	in   []byte   // what came by TCP, not yet looked at
}

// answerPort is the port of the first Via; 5060 when it names none.
func answerPort(message []byte) int {
	text := regexp.MustCompile(`\r\n[ \t]+`).ReplaceAllString(string(message), " ")
	via := regexp.MustCompile(`(?im)^(?:via|v)[ \t]*:[ \t]*SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*[a-z0-9-]+[ \t]+([^\r\n;,]*)`).FindStringSubmatch(text)
	if via == nil || strings.Contains(text, ";rport") {
		return 5060
	}
	if _, port, err := net.SplitHostPort(strings.TrimSpace(via[1])); err == nil {
		if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 65536 {
			return n
		}
	}
	return 5060
}

func newTormentor(t *testing.T, v *victim, network string, from netip.AddrPort) *tormentor {
	t.Helper()
	port := v.ep.Port()
	var conn net.Conn
	var err error
	to := net.JoinHostPort(victimAddr(from), strconv.Itoa(port))
	if network == "udp" {
		conn, err = (&net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(from)}).Dial("udp", to)
	} else {
		conn, err = (&net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from.Addr(), 0))}).Dial("tcp", to)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &tormentor{t: t, v: v, conn: conn}
}

func victimAddr(from netip.AddrPort) string {
	if from.Addr().Is6() {
		return "::1"
	}
	return "127.0.0.1"
}

func (m *tormentor) send(b []byte) {
	m.t.Helper()
	if _, err := m.conn.Write(b); err != nil {
		m.t.Fatal(err)
	}
}

// errQuiet: nothing came; errClosed: the connection was closed.
var errQuiet = errors.New("nothing came")

// answer is a response, read without a parser that might refuse what was copied into it.
type answer struct {
	code         int
	text, reason string
}

// header is the value of a header; "" when it is not there.
func (a answer) header(name string) string {
	found := regexp.MustCompile(`(?im)^` + name + `:[ \t]*([^\r\n]*)`).FindStringSubmatch(a.text)
	if found == nil {
		return ""
	}
	return found[1]
}

// response gives what comes next within d.
func (m *tormentor) response(d time.Duration) (a answer, err error) {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		m.t.Fatal(err)
	}
	for {
		if text, ok := m.framed(); ok {
			a.text = string(text)
			line, _, _ := strings.Cut(a.text, "\r\n")
			if n, err := fmt.Sscanf(line, "SIP/2.0 %d", &a.code); n != 1 || a.code < 100 || a.code > 699 {
				m.t.Fatalf("%v in\n%s", err, text)
			}
			a.reason = strings.TrimPrefix(line, "SIP/2.0 ")
			return a, nil
		}
		b := make([]byte, 65536)
		n, err := m.conn.Read(b)
		var late net.Error
		switch {
		case errors.As(err, &late) && late.Timeout():
			return a, errQuiet
		case err != nil:
			return a, err
		}
		m.in = append(m.in, b[:n]...)
	}
}

// framed cuts the next response; those of ours always tell their length.
func (m *tormentor) framed() ([]byte, bool) {
	head, rest, ok := bytes.Cut(m.in, []byte("\r\n\r\n"))
	if !ok {
		return nil, false
	}
	n := 0
	if found := regexp.MustCompile(`(?i)\r\nContent-Length: ([0-9]+)`).FindSubmatch(head); found != nil {
		n, _ = strconv.Atoi(string(found[1]))
	}
	if len(rest) < n {
		return nil, false
	}
	text := append(append(append([]byte(nil), head...), "\r\n\r\n"...), rest[:n]...)
	m.in = append([]byte(nil), rest[n:]...)
	return text, true
}

var probes int

// probe is a request that the line always answers.
func (m *tormentor) probe() (text []byte, id string) {
	probes++
	id = fmt.Sprintf("probe-%d", probes)
	network := strings.ToUpper(m.conn.LocalAddr().Network())
	return []byte("OPTIONS sip:victim@victim.test SIP/2.0\r\nVia: SIP/2.0/" + network + " " + m.conn.LocalAddr().String() + ";rport;branch=z9hG4bK" + id +
		"\r\nFrom: <sip:probe@probe.test>;tag=1\r\nTo: <sip:victim@victim.test>\r\nCall-ID: " + id +
		"\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"), id
}

// settled is how long a response may take that nobody announced.
const settled = 150 * time.Millisecond

// outcome sends a message and gives what came of it: the first response that is more
// than Trying, or silence. Whatever comes, the line must answer afterwards.
func (m *tormentor) outcome(message []byte, want []int) (code int, says string) {
	m.t.Helper()
	before := m.v.ep.Stats()
	m.send(message)
	limit := 3 * time.Second
	if slices.Contains(want, silence) {
		seen := func() uint64 {
			s := m.v.ep.Stats()
			return s.Received + s.TurnedAway - before.Received - before.TurnedAway
		}
		for end := time.Now().Add(limit); seen() == 0 && m.conn.LocalAddr().Network() == "udp"; {
			if time.Now().After(end) {
				m.t.Fatal("the message did not arrive")
			}
			time.Sleep(time.Millisecond)
		}
		limit = settled
	}
	for {
		res, err := m.response(limit)
		switch {
		case errors.Is(err, errQuiet):
			return silence, "silence"
		case err != nil:
			return silence, "closed"
		case res.code > 100:
			m.check(res)
			return res.code, res.reason
		}
	}
}

// check: a response carries what RFC 3261 §8.2.6.2 asks for, as far as the request had
// it, and says what would do where the RFC wants that.
func (m *tormentor) check(a answer) {
	m.t.Helper()
	if to := a.header("To"); to != "" && !strings.Contains(to, "tag=") {
		m.t.Errorf("a response without a To tag:\n%s", a.text)
	}
	if a.header("Via") == "" || a.header("CSeq") == "" {
		m.t.Errorf("a response that nobody can match:\n%s", a.text)
	}
	if says := map[int]string{405: "Allow", 415: "Accept(?:-Encoding)?", 420: "Unsupported"}[a.code]; says != "" && a.header(says) == "" {
		m.t.Errorf("it does not say what would do:\n%s", a.text)
	}
}

// alive ends what rings and asks the line whether it is there; by a new connection
// when this one was closed.
func (m *tormentor) alive() {
	m.t.Helper()
	for _, r := range m.v.set.Records() {
		if err := m.v.set.Hangup(r.ID); err != nil {
			m.t.Error(err)
		}
	}
	from := m.conn.LocalAddr().String()
	p := newTormentor(m.t, m.v, "udp", netip.AddrPortFrom(netip.MustParseAddrPort(from).Addr(), 0))
	text, id := p.probe()
	p.send(text)
	for {
		res, err := p.response(10 * time.Second)
		if err != nil {
			m.t.Fatalf("the line does not answer any more: %v", err)
		}
		if res.header("Call-ID") == id {
			if res.code != 200 {
				m.t.Fatalf("the line answers %s", res.reason)
			}
			if s := m.v.ep.Stats(); s.Panics != 0 {
				m.t.Fatalf("%d panics were caught", s.Panics)
			}
			return
		}
	}
}

// TestRFC4475 sends every message of "SIP Torture Test Messages" over UDP and TCP.
func TestRFC4475(t *testing.T) {
	files := tortureFiles(t)
	if len(tortures) != 49 {
		t.Fatalf("%d messages in the table; the RFC has 49", len(tortures))
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nNAME\tRFC 4475\tOVER UDP\tOVER TCP\tALLOWED")
	for i, c := range tortures {
		text, ok := files[c.name]
		if !ok {
			t.Errorf("%s (§%s) is not among sipgo's files", c.name, c.section)
			continue
		}
		said := make(map[string]string)
		for n, network := range []string{"udp", "tcp"} {
			t.Run(c.name+" over "+network, func(t *testing.T) {
				allowed := c.allowed
				if network == "tcp" && c.tcp != nil {
					allowed = c.tcp
				}
				// Lines and addresses of their own: some have the same branch, and would
				// be one request that came again.
				from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 44, 75, byte(2*i + n + 1)}), uint16(answerPort(text)))
				v := newVictim(t, from)
				m := newTormentor(t, v, network, from)
				code, says := m.outcome(text, allowed)
				said[network] = says
				if !slices.Contains(allowed, code) {
					t.Errorf("§%s over %s: %s, allowed %v", c.section, network, says, allowed)
				}
				m.alive()
			})
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.name, c.section, said["udp"], said["tcp"], outcomes(c.allowed))
	}
	_ = w.Flush()
	t.Log(table.String())
}

// TestTortureOnOneLine sends all messages into one line, one after the other and then
// all at once.
func TestTortureOnOneLine(t *testing.T) {
	from := netip.MustParseAddrPort("127.44.76.1:5060")
	v := newVictim(t, from)
	m := newTormentor(t, v, "udp", from)
	files := tortureFiles(t)
	for range 3 {
		for _, text := range files {
			m.send(text)
		}
		m.alive()
	}
	if s := v.ep.Stats(); s.Panics != 0 || s.Received < uint64(3*len(files)) {
		t.Errorf("%+v", s)
	}
}

// outcomes writes what is allowed.
func outcomes(codes []int) string {
	s := make([]string, len(codes))
	for i, c := range codes {
		s[i] = strconv.Itoa(c)
		if c == silence {
			s[i] = "silence"
		}
	}
	return strings.Join(s, " or ")
}
