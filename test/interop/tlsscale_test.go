package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// registeredOverTLS runs an agent with n lines over TLS and waits until all are
// registered; each has a domain, and so a connection, of its own, or all share one.
// more is its agent.json, if any.
func registeredOverTLS(t *testing.T, n int, share bool, more ...string) (a *softphone, s site) {
	t.Helper()
	users, domains := make([]string, n), make([]string, n)
	for i := range n {
		users[i], domains[i] = fmt.Sprintf("line%04d", i), domain
		if !share {
			domains[i] = fmt.Sprintf("d%04d.test", i)
		}
	}
	names := domains
	if share {
		names = domains[:1]
	}
	ca := newIssuer(t)
	cert, key := ca.files(t, names...)
	files := map[string]string{"ca.crt": ca.pem}
	if len(more) > 0 {
		files["agent.json"] = more[0]
	}
	// Debian's kamailio ends by signal 11 at times, of OpenSSL 3 and many handshakes (kamailio/kamailio#3791): then all begins anew.
	for range 4 {
		r, _ := registrar(t, kamailio.Config{TLS: &kamailio.TLS{CertFile: cert, KeyFile: key}, Domains: names, Children: 1}, users...)
		for i, u := range users {
			files[u+".xml"] = accountXML(u, "secret-"+u, domains[i], "<transport>tls</transport>", "<proxy>"+r.TLSAddr().String()+"</proxy>")
		}
		if a = startAgent(t, options{files: files}); allRegistered(t, a, r, n) {
			return a, site{Registrar: r, ca: ca.pem, cert: cert, key: key}
		}
		t.Log("kamailio has crashed")
		a.kill()
	}
	t.Fatal("kamailio crashed each time")
	return nil, site{}
}

// allRegistered waits until all lines are registered; false = the registrar has ended meanwhile.
func allRegistered(t *testing.T, a *softphone, r *kamailio.Registrar, n int) bool {
	t.Helper()
	lookEvery(t, 100*time.Millisecond, fmt.Sprintf("%d lines are registered", n), func() (bool, string) {
		registered, other := 0, ""
		for _, l := range a.status().Lines {
			if l.State == "registered" {
				registered++
			} else {
				other = pretty(l)
			}
		}
		return registered == n || !r.Running(), fmt.Sprintf("%d registered, another one says %s", registered, other)
	})
	return r.Running()
}

// TestMemoryOfLinesOverTLS prints what a line costs over TLS: one of many on a
// connection, and one with a connection to itself.
func TestMemoryOfLinesOverTLS(t *testing.T) {
	one, _ := registeredOverTLS(t, 1, true)
	var said []string
	for _, c := range []struct {
		says  string
		lines int
		share bool
		most  float64 // kB a line at rest
	}{
		{"on one connection", 1000, true, 25}, {"on a connection each", 200, false, 75},
	} {
		many, s := registeredOverTLS(t, c.lines, c.share)
		if n, want := connections(t, many.Pid, s.TLSAddr()), map[bool]int{true: 1, false: c.lines}[c.share]; n != want {
			t.Errorf("%s: %d connections, want %d", c.says, n, want)
		}
		perLine := func() float64 {
			return float64(residentKB(t, many.Pid)-residentKB(t, one.Pid)) / float64(c.lines-1)
		}
		after := perLine()
		rest := after
		lookEvery(t, 500*time.Millisecond, fmt.Sprintf("a line costs at most %.0f kB", c.most), func() (bool, string) {
			rest = perLine()
			return rest < c.most, fmt.Sprintf("%.1f kB a line", rest)
		})
		registrationPage.Measured(t, "memory of a registered TLS line, "+c.says, "%d lines: %.1f kB RSS a line right after registration, %.1f at rest", c.lines, after, rest)
		densityPage.Measured(t, fmt.Sprintf("%d lines over TLS, %s", c.lines, c.says), "resident %.1f kB a line after registration, %.1f kB at rest", after, rest)
		said = append(said, fmt.Sprintf("%d lines %s: %.1f kB RSS a line after registration, %.1f at rest", c.lines, c.says, after, rest))
	}
	outcome(t, "kamailio/tls", "%s", strings.Join(said, "; "))
}

// TestRotationOfManyLines: a bundle that two hundred lines share is replaced. They move
// to one new connection at the pace that their registrar is to be asked at, and none
// is missing there at any time.
func TestRotationOfManyLines(t *testing.T) {
	t.Parallel()
	const lines, pace = 200, 50
	a, s := registeredOverTLS(t, lines, true, fmt.Sprintf(`{"registrar":{"requestsPerSecond":%d}}`, pace))
	seqs := func() map[string]int {
		all, err := s.Dump(t.Context())
		must(t, err)
		seqs := map[string]int{}
		for _, b := range all {
			seqs[b.AOR] = b.CSeq
		}
		return seqs
	}
	before := seqs()
	if len(before) != lines {
		t.Fatalf("%d lines are bound", len(before))
	}
	began := time.Now()
	a.put("ca.crt", s.ca+newIssuer(t).pem)
	lookEvery(t, 50*time.Millisecond, "all lines are bound by a REGISTER of now", func() (bool, string) {
		now, n := seqs(), 0
		for line, seq := range before {
			if now[line] == 0 {
				t.Fatalf("%s is bound no more", line)
			}
			if now[line] > seq {
				n++
			}
		}
		return n == lines, fmt.Sprintf("%d are", n)
	})
	took := time.Since(began)
	for _, l := range a.status().Lines {
		if l.State != "registered" {
			t.Errorf("%+v", l)
		}
	}
	if n := strings.Count(a.Log(), "msg=connected"); n != 2 {
		t.Errorf("%d connections were made, one before and one after are needed", n)
	}
	if limit := time.Duration(lines-2*pace) * time.Second / pace; took < limit {
		t.Errorf("%d lines moved within %s, at %d a second that takes %s and longer", lines, took, pace, limit)
	}
	outcome(t, "kamailio/tls", "bundle of %d lines rotated: one new connection, all bound anew after %s (at most %d REGISTERs a second), none missing meanwhile", lines, ms(took), pace)
}
