package interop

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/relay"
)

// field is what the drill plays on: one agent with lines over every transport,
// one registrar that asks TLS clients for certificates, and relays between them.
type field struct {
	t        *testing.T
	dice     *rand.Rand
	began    time.Time
	r        *kamailio.Registrar
	plain    *relay.Relay // UDP and TCP
	secured  *relay.Relay // TLS
	pki      *pki
	a        *softphone
	lines    []string
	password map[string]string
	count    map[string]int // of events, by name
}

// event of the drill. It leaves things whole: what it broke is there again, and
// whether the lines come back is seen between events and in the end.
type event struct {
	name   string
	weight int
	do     func(f *field) string
}

var drillEvents = []event{
	{"registrar killed", 2, func(f *field) string {
		away := f.between(time.Second, drill.Pick(5*time.Second, 40*time.Second))
		must(f.t, f.r.Stop())
		f.plain.Down()
		f.secured.Down()
		pass(f.t, away)
		must(f.t, f.r.Restart(f.t.Context()))
		must(f.t, f.plain.Up())
		must(f.t, f.secured.Up())
		return "for " + ms(away)
	}},
	{"registrar frozen", 1, func(f *field) string {
		away := f.between(time.Second, drill.Pick(4*time.Second, 40*time.Second))
		must(f.t, f.r.Pause())
		pass(f.t, away)
		must(f.t, f.r.Resume())
		return "for " + ms(away)
	}},
	{"connections reset", 3, func(f *field) string {
		return fmt.Sprintf("%d TCP, %d TLS", f.plain.Reset(), f.secured.Reset())
	}},
	{"certificates rotated", 2, rotateCertificates},
	{"passwords rotated", 3, rotatePasswords},
	{"agent stopped", 2, func(f *field) string {
		away := f.between(time.Second, drill.Pick(4*time.Second, 15*time.Second))
		must(f.t, f.a.Signal(syscall.SIGSTOP))
		pass(f.t, away)
		must(f.t, f.a.Signal(syscall.SIGCONT))
		return "for " + ms(away)
	}},
	{"call placed", 4, placeCall},
}

// between draws a time.
func (f *field) between(least, most time.Duration) time.Duration {
	return least + time.Duration(f.dice.Int64N(int64(most-least)))
}

// draw an event by weight.
func (f *field) draw() event {
	total := 0
	for _, e := range drillEvents {
		total += e.weight
	}
	n := f.dice.IntN(total)
	for _, e := range drillEvents {
		if n -= e.weight; n < 0 {
			return e
		}
	}
	panic("unreachable: weights sum up")
}

// rotateCertificates changes the authority, and with it the registrar's
// certificate and the agent's, in the order in which nobody is locked out: first
// both trust both, then each shows the new, then the old is forgotten.
func rotateCertificates(f *field) string {
	old, next := f.pki.ca, newAuthority(f.t)
	both := slices.Concat(old.pem, next.pem)
	f.a.put("ca.crt", string(both))
	must(f.t, os.WriteFile(f.pki.clientCA, both, 0o600))
	f.pki.ca = next
	f.pki.serve(f.t, next.issue(f.t, domain))
	must(f.t, f.r.ReloadTLS(f.t.Context()))
	f.showCertificate()
	pass(f.t, f.between(500*time.Millisecond, 2*time.Second))
	f.a.put("ca.crt", string(next.pem))
	must(f.t, os.WriteFile(f.pki.clientCA, next.pem, 0o600))
	must(f.t, f.r.ReloadTLS(f.t.Context()))
	return "registrar's, agent's and their authority"
}

// showCertificate gives the agent a new certificate: two files, one after the other.
func (f *field) showCertificate() {
	c := f.pki.ca.issue(f.t, "agent.test")
	f.a.put("client.crt", string(c.cert))
	f.a.put("client.key", string(c.key))
}

// rotatePasswords changes them at the registrar and in the accounts' files. A line
// that has a new one before its registrar knows it is refused, and waits minutes
// before it tries what was refused again: that order is for long times only.
func rotatePasswords(f *field) string {
	var who []string
	for _, i := range f.dice.Perm(len(f.lines))[:1+f.dice.IntN(4)] {
		line := f.lines[i]
		f.password[line] = fmt.Sprintf("secret-%s-%d", line, f.dice.Uint32())
		change := []func(){
			func() { must(f.t, f.r.SetPassword(f.t.Context(), line, f.password[line])) },
			func() { f.a.put(line+".xml", f.account(line)) },
		}
		if early := f.dice.IntN(4) == 0; early && drill.Pick(false, true) {
			slices.Reverse(change)
		}
		for _, c := range change {
			c()
			pass(f.t, f.between(0, 500*time.Millisecond))
		}
		who = append(who, line)
	}
	return strings.Join(who, ", ")
}

// placeCall calls one line by another, and goes on while it lasts. What becomes of
// it is its own affair: the registrar may be killed under it.
func placeCall(f *field) string {
	pair := f.dice.Perm(len(f.lines))
	from, to := f.lines[pair[0]], f.lines[pair[1]]
	code, answer := f.a.request("POST", "/calls", fmt.Sprintf(`{"line":%q,"to":%q,"seconds":%d}`, from, to, 1+f.dice.IntN(5)))
	if code != 201 {
		return fmt.Sprintf("%s to %s: %d %s", from, to, code, bytes.TrimSpace(answer))
	}
	return from + " to " + to
}

// ways of the drill's lines, by turns.
func (f *field) wayOf(line string) way { return ways[slices.Index(f.lines, line)%len(ways)] }

// account of a line. A short keepalive finds out a connection that went silent.
func (f *field) account(line string) string {
	w, at := f.wayOf(line), f.plain
	if w.secure() {
		at = f.secured
	}
	return accountXML(line, f.password[line], domain, "<transport>"+w.transport+"</transport>", "<proxy>"+at.Addr().String()+"</proxy>",
		"<keepAlive>1</keepAlive><keepAlivePeriod>5</keepAlivePeriod>", autoAnswer)
}

// newField sets everything up, and returns when every line is registered.
func newField(t *testing.T, lines int, seed uint64) *field {
	f := &field{
		t: t, dice: rand.New(rand.NewPCG(seed, seed)), pki: newPKI(t), password: map[string]string{}, count: map[string]int{},
	}
	for i := range lines {
		line := fmt.Sprintf("line%02d", i)
		f.lines = append(f.lines, line)
		f.password[line] = "secret-" + line
	}
	f.r = kamailio.ForTest(t, kamailio.Config{
		Subscribers: f.password, Domains: []string{domain}, MaxExpires: 20 * time.Second,
		TLS: &kamailio.TLS{CertFile: f.pki.serverCert, KeyFile: f.pki.serverKey, ClientCAFile: f.pki.clientCA},
	})
	f.plain = relay.ForTest(t, relay.Config{Upstream: f.r.Addr()})
	f.secured = relay.ForTest(t, relay.Config{Upstream: f.r.TLSAddr(), Opaque: true})
	ours := f.pki.ca.issue(t, "agent.test")
	files := map[string]string{
		// A goodbye that is lost with the registrar leaves the other side in its call.
		"agent.json": `{"version":1,"caps":{"maxCallSeconds":20}}`,
		"ca.crt":     string(f.pki.ca.pem), "client.crt": string(ours.cert), "client.key": string(ours.key),
	}
	for _, line := range f.lines {
		files[line+".xml"] = f.account(line)
	}
	f.a = startAgent(t, options{files: files})
	awaitAll(t, f.a, lines)
	f.began = time.Now()
	return f
}

// TestDrill plays a random schedule of everything that goes wrong, and worse, on
// lines of every transport. In the end every line is registered, with one binding,
// and the agent is no bigger than it was.
func TestDrill(t *testing.T) {
	t.Parallel()
	lasts, lines := drill.Lasts(45*time.Second, 30*time.Minute), drill.Pick(24, 80)
	s := drill.Seed()
	t.Logf("to try this schedule again: -run TestDrill -drill %s -seed %d", drill.Times(), s)
	f := newField(t, lines, s)
	for _, e := range drillEvents { // each once, to grow to size
		f.play(e)
	}
	f.settle()
	before := f.a.footprint()
	t.Logf("after one of each: %s", before)
	for f.began = time.Now(); time.Since(f.began) < lasts; {
		f.play(f.draw())
		pass(t, f.between(0, drill.Pick(2*time.Second, 15*time.Second)))
	}
	took := f.settle()
	after := f.a.awaitFootprint(before)
	var played []string
	for _, e := range drillEvents {
		played = append(played, fmt.Sprintf("%s %d times", e.name, f.count[e.name]))
	}
	registrationPage.Measured(t, fmt.Sprintf("drill of %s, %d lines over UDP, TCP and TLS", lasts, lines),
		"%s (seed %d); every line registered %s after the last event, one binding each; before %s; after %s",
		strings.Join(played, ", "), s, ms(took), before, after)
	outcome(t, "kamailio", "drill of %s with seed %d: every line registered once; before %s; after %s", lasts, s, before, after)
}

// play an event and tell of it.
func (f *field) play(e event) {
	f.t.Helper()
	f.count[e.name]++
	at := time.Since(f.began)
	f.t.Logf("%8s %s: %s", at.Round(100*time.Millisecond), e.name, e.do(f))
}

// settle waits until every line is registered with one binding, its own, and tells
// how long that took. A line that was refused may be minutes away.
func (f *field) settle() time.Duration {
	f.t.Helper()
	began := time.Now()
	limit := began.Add(drill.Pick(time.Minute, 6*time.Minute))
	for slow := false; ; {
		why, at := f.unsettled()
		if why == "" {
			return time.Since(began)
		}
		if took := time.Since(began); took > 8*time.Second && !slow && at != "" {
			slow = true
			_, ladder := f.a.request("GET", at+"/ladder", "")
			f.t.Logf("after %s: %s\n%s", ms(took), why, ladder[max(0, len(ladder)-8000):])
		}
		if time.Now().After(limit) {
			f.t.Fatalf("after %s: %s", time.Since(began), why)
		}
		pass(f.t, 200*time.Millisecond)
	}
}

// unsettled says what is not as it should be, if only for now, and where its trace is.
func (f *field) unsettled() (why, at string) {
	st := f.a.status()
	for _, l := range st.Lines {
		if l.State != "registered" {
			return pretty(l), "/lines/" + l.Name
		}
	}
	if len(st.Lines) != len(f.lines) || len(st.Rejected) > 0 {
		return fmt.Sprintf("%d lines, rejected %v", len(st.Lines), st.Rejected), ""
	}
	all, err := f.r.Dump(context.WithoutCancel(f.t.Context()))
	if err != nil {
		return err.Error(), ""
	}
	held := map[string][]string{}
	for _, b := range all {
		held[b.AOR] = append(held[b.AOR], b.Contact)
	}
	for _, l := range st.Lines {
		// Contacts over connections carry an alias of kamailio's own.
		if c := held[l.Name]; len(c) != 1 || !strings.HasPrefix(c[0], l.Contact) {
			return fmt.Sprintf("%s says %s, held are %v", l.Name, l.Contact, c), "/lines/" + l.Name
		}
	}
	for _, c := range st.Calls {
		if c.State != "ended" {
			return "a call goes on: " + pretty(c), "/calls/" + c.ID
		}
	}
	return "", ""
}
