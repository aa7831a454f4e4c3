package interop

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// closedSite runs a registrar for registrar.test that lets in whom clients vouch for.
func closedSite(t *testing.T, ca, clients *issuer, names ...string) site {
	t.Helper()
	cert, key := ca.files(t, append([]string{domain}, names...)...)
	trusted := filepath.Join(t.TempDir(), "clients.crt")
	must(t, os.WriteFile(trusted, []byte(clients.pem), 0o600))
	r, _ := registrar(t, kamailio.Config{
		TLS: &kamailio.TLS{CertFile: cert, KeyFile: key, ClientCAFile: trusted}, Domains: []string{domain},
	}, "alice", "bob")
	return site{Registrar: r, ca: ca.pem, cert: cert, key: key}
}

// serve gives the registrar a certificate of another authority, from its next start on.
func (s site) serve(t *testing.T, by *issuer) {
	t.Helper()
	cert, key := by.issue(t, 90*24*time.Hour, domain)
	must(t, os.WriteFile(s.cert, []byte(cert), 0o600))
	must(t, os.WriteFile(s.key, []byte(key), 0o600))
}

// rows of agent.json: the files of each line's certificates, CA, certificate and key.
func rows(lines map[string][3]string) string {
	var all []string
	for name, files := range lines {
		all = append(all, fmt.Sprintf(`%q:{"slot":1,"tls":{"ca":%q,"certificate":%q,"key":%q}}`, name, files[0], files[1], files[2]))
	}
	return `{"version":1,"lines":{` + strings.Join(all, ",") + `}}`
}

// connections from an agent to a port.
func connections(t *testing.T, pid int, to netip.AddrPort) int {
	t.Helper()
	own := map[string]bool{} // inodes of its sockets
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	open, err := os.ReadDir(dir)
	must(t, err)
	for _, fd := range open {
		link, _ := os.Readlink(filepath.Join(dir, fd.Name())) // it may be closed by now
		own[strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")] = true
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	must(t, err)
	n := 0
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 9 && f[3] == "01" && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", to.Port())) && own[f[9]] {
			n++
		}
	}
	return n
}

// watch notes whenever a line is not registered, or not known to the registrar, until
// it is told to stop; gaps are what it saw.
func (s *softphone) watch(r *kamailio.Registrar, line string) (gaps func() []string) {
	stop, seen := make(chan struct{}), make(chan []string, 1)
	go func() {
		var all []string
		looks := 0
		for tick := time.NewTicker(10 * time.Millisecond); ; looks++ {
			select {
			case <-stop:
				tick.Stop()
				if looks == 0 {
					all = append(all, "nobody looked")
				}
				seen <- all
				return
			case <-tick.C:
			}
			bound, err := r.Contacts(s.t.Context(), line)
			if err != nil || len(bound) != 1 {
				all = append(all, fmt.Sprintf("%v bound, %v", bound, err))
			}
			if l := s.line(line); l.State != "registered" {
				all = append(all, pretty(l))
			}
		}
	}()
	return func() []string { close(stop); return <-seen }
}

// TestRotationUnderACall: another client certificate is taken by a connection and a
// REGISTER of the line concerned, while the registrar knows it all the time, its call
// goes on, and its neighbour does not notice.
func TestRotationUnderACall(t *testing.T) {
	for _, w := range ways[2:] {
		t.Run(strings.Trim(w.transport, ":"), func(t *testing.T) {
			t.Parallel()
			ca, clients := newIssuer(t), newIssuer(t)
			s := closedSite(t, ca, clients)
			first, firstKey := clients.issue(t, 10*24*time.Hour, "phone one")
			second, secondKey := clients.issue(t, 80*24*time.Hour, "phone two")
			before := map[string][3]string{"alice": {"ca-1", "c-1", "k-1"}, "bob": {"ca-1", "c-1", "k-1"}}
			a := startAgent(t, options{files: map[string]string{
				"alice.xml": s.account(w, "alice", "secret-alice", autoAnswer), "bob.xml": s.account(w, "bob", "secret-bob"),
				"ca-1": s.ca, "c-1": first, "k-1": firstKey, "agent.json": rows(before),
			}})
			a.awaitLine("alice", "registered")
			a.awaitLine("bob", "registered")
			alice, bob := awaitBindings(t, s.Registrar, "alice", 1)[0], awaitBindings(t, s.Registrar, "bob", 1)[0]
			if n := connections(t, a.Pid, s.TLSAddr()); n != 1 {
				t.Fatalf("%d connections for two lines with the same certificates", n)
			}
			caller := callAlice(t, s.Registrar, sipp.Caller{Tone: toneFile(t, 1004), Hold: 6 * time.Second})
			a.awaitIncoming("alice", "hears sipp", func(r record) bool { return established(r) && near(r, 1004) })

			gaps := a.watch(s.Registrar, "alice")
			a.put("c-2", second)
			a.put("k-2", secondKey)
			after := map[string][3]string{"alice": {"ca-1", "c-2", "k-2"}, "bob": before["bob"]}
			a.put("agent.json", rows(after))
			began := time.Now()
			eventually(t, "alice is bound by a REGISTER of now, over a connection of its own", func() (bool, string) {
				b := contacts(t, s.Registrar, "alice")
				return len(b) == 1 && b[0].CSeq > alice.CSeq && connections(t, a.Pid, s.TLSAddr()) == 2, fmt.Sprintf("%+v", b)
			})
			took := time.Since(began)
			l := a.line("alice")
			if b := contacts(t, s.Registrar, "alice")[0]; b.Contact != alice.Contact || b.CallID != alice.CallID {
				t.Errorf("before %+v, after %+v", alice, b)
			}
			if b := contacts(t, s.Registrar, "bob")[0]; b.CSeq != bob.CSeq {
				t.Errorf("bob was registered again: %+v", b)
			}
			if ours := ofRole(l, "client"); ours.Subject != "CN=phone two" || time.Until(ours.NotAfter) < 79*24*time.Hour {
				t.Errorf("alice's certificates: %+v", l.Certificates)
			}
			finished(t, caller) // BYE and its answer found their way
			end := a.awaitIncoming("alice", "ended", ended)
			if end.End.By != "remote" || !near(end, 1004) || end.RTP.Received < 250 || end.RTP.Lost > 5 {
				t.Errorf("the call: %s", pretty(end))
			}
			finished(t, callAlice(t, s.Registrar, sipp.Caller{Hold: 100 * time.Millisecond}))
			if all := gaps(); len(all) != 0 {
				t.Errorf("%d times not registered, first: %s", len(all), all[0])
			}

			// Now the neighbour as well: nobody is left on the first connection.
			after["bob"] = after["alice"]
			a.put("agent.json", rows(after))
			eventually(t, "bob is bound by a REGISTER of now", func() (bool, string) {
				b := contacts(t, s.Registrar, "bob")
				return len(b) == 1 && b[0].CSeq > bob.CSeq, fmt.Sprintf("%+v", b)
			})
			began = time.Now()
			lookEvery(t, 100*time.Millisecond, "the first connection is closed", func() (bool, string) {
				n := connections(t, a.Pid, s.TLSAddr())
				return n == 1, fmt.Sprintf("%d connections", n)
			})
			closed := time.Since(began)
			if strings.Contains(a.Log(), "connection lost") {
				t.Error("a line lost its connection")
			}
			outcome(t, "kamailio/"+w.transport, "client certificate rotated under a call: bound anew after %s, no gap, call heard %s, old connection closed %s after its last line left",
				ms(took), heard(end), ms(closed))
		})
	}
}

func ofRole(l lineStatus, role string) certificate {
	for _, c := range l.Certificates {
		if c.Role == role {
			return c
		}
	}
	return certificate{}
}

// TestRotationOfNothing, and of what is broken: neither registers anybody again; the
// one is not seen at all, the other is reported.
func TestRotationOfNothing(t *testing.T) {
	t.Parallel()
	w := ways[2]
	ca, clients := newIssuer(t), newIssuer(t)
	s := closedSite(t, ca, clients)
	cert, key := clients.issue(t, 10*24*time.Hour, "phone")
	files := [3]string{"ca-1", "c-1", "k-1"}
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": s.account(w, "alice", "secret-alice"), "ca-1": s.ca, "c-1": cert, "k-1": key, "agent.json": rows(map[string][3]string{"alice": files}),
	}})
	a.awaitLine("alice", "registered")
	before := awaitBindings(t, s.Registrar, "alice", 1)[0]
	l := a.line("alice")
	server := ofRole(l, "server")
	if left := time.Until(server.NotAfter); server.Subject != "CN="+domain || left < 89*24*time.Hour || left > 90*24*time.Hour {
		t.Errorf("the server's certificate: %+v", l.Certificates)
	}
	_, page := a.request("GET", "/metrics", "")
	for _, c := range l.Certificates {
		if want := fmt.Sprintf("softphone_certificate_expiry_timestamp_seconds{account=\"alice\",role=%q} %v\n", c.Role, float64(c.NotAfter.Unix())); !strings.Contains(string(page), want) {
			t.Errorf("no metric %s", want)
		}
	}
	if said := strings.Count(a.Log(), "certificate ends soon"); said != 1 || !strings.Contains(a.Log(), `subject="CN=phone"`) {
		t.Errorf("the client certificate that ends in ten days is warned of %d times", said)
	}

	a.put("ca-2", "# renamed, and with a remark\n"+s.ca)
	a.put("agent.json", rows(map[string][3]string{"alice": {"ca-2", "c-1", "k-1"}}))
	eventually(t, "the row is taken over", func() (bool, string) {
		now := a.line("alice")
		return now.ConfigHash != l.ConfigHash, pretty(now)
	})
	a.put("agent.json", rows(map[string][3]string{"alice": {"ca-3", "c-1", "k-1"}}))
	rejected := func(reason string) {
		t.Helper()
		eventually(t, "the broken files are reported: "+reason, func() (bool, string) {
			all := a.status().Rejected
			return len(all) == 1 && all[0].File == "alice.xml" && strings.Contains(all[0].Reason, reason), pretty(all)
		})
	}
	rejected("ca-3: agent.json names it, but it is not there")
	a.put("ca-3", s.ca[:200])
	rejected("ca-3: what follows certificate 0 is cut off")
	a.put("agent.json", rows(map[string][3]string{"alice": {"ca-2", "c-1", "k-1"}}))
	eventually(t, "nothing is refused any more", func() (bool, string) { all := a.status().Rejected; return len(all) == 0, pretty(all) })
	if b := contacts(t, s.Registrar, "alice")[0]; b.CSeq != before.CSeq || connections(t, a.Pid, s.TLSAddr()) != 1 || strings.Count(a.Log(), "msg=connected") != 1 {
		t.Errorf("for nothing the line was registered again: %+v after %+v", b, before)
	}
	outcome(t, "kamailio/tls", "same authorities under another name: nothing happens; a broken bundle is refused by name, the old one stays")
}

// TestRotationOfTheAuthority: the server's certificate is signed by another authority.
// A bundle with both, before, makes that pass unnoticed; a line that trusts only the old
// one says so, and registers as soon as it is given the new one.
func TestRotationOfTheAuthority(t *testing.T) {
	t.Parallel()
	w := ways[3]
	old, clients := newIssuer(t), newIssuer(t)
	s := closedSite(t, old, clients)
	cert, key := clients.issue(t, 90*24*time.Hour, "phone")
	both := [3]string{"both", "c", "k"}
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": s.account(w, "alice", "secret-alice"), "bob.xml": s.account(w, "bob", "secret-bob"),
		"old": s.ca, "c": cert, "k": key, "agent.json": rows(map[string][3]string{"alice": {"old", "c", "k"}, "bob": {"old", "c", "k"}}),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	before := awaitBindings(t, s.Registrar, "alice", 1)[0]
	fresh := newIssuer(t)
	a.put("both", s.ca+fresh.pem)
	gaps := a.watch(s.Registrar, "alice")
	a.put("agent.json", rows(map[string][3]string{"alice": both, "bob": {"old", "c", "k"}}))
	eventually(t, "alice is bound by a REGISTER of now, over a connection of its own", func() (bool, string) {
		b := contacts(t, s.Registrar, "alice")
		return len(b) == 1 && b[0].CSeq > before.CSeq && connections(t, a.Pid, s.TLSAddr()) == 2, fmt.Sprintf("%+v", b)
	})
	if all := gaps(); len(all) != 0 {
		t.Errorf("%d times not registered, first: %s", len(all), all[0])
	}
	s.serve(t, fresh)
	must(t, s.Restart(t.Context()))
	awaitBindings(t, s.Registrar, "alice", 1)
	a.awaitLine("alice", "registered")
	l, _ := a.awaitLine("bob", "error")
	if l.Problem != "Certificate" || !strings.Contains(l.LastReason, "unknown authority") || ofRole(l, "server").Subject == "" {
		t.Errorf("bob says %+v", l)
	}
	a.put("agent.json", rows(map[string][3]string{"alice": both, "bob": both}))
	_, took := a.awaitLine("bob", "registered")
	outcome(t, "kamailio/tls+sip:", "authority rotated: no gap with both in the bundle; without: %s; registered %s after the new bundle", l.LastReason, ms(took))
}

// TestClientCertificateIsAskedFor by the registrar, and refused when another authority
// signed it.
func TestClientCertificateIsAskedFor(t *testing.T) {
	t.Parallel()
	w := ways[2]
	ca, clients, strangers := newIssuer(t), newIssuer(t), newIssuer(t)
	s := closedSite(t, ca, clients)
	strange, strangeKey := strangers.issue(t, time.Hour, "stranger")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": s.account(w, "alice", "secret-alice"), "bob.xml": s.account(w, "bob", "secret-bob"), "ca.crt": s.ca,
		"c": strange, "k": strangeKey, "agent.json": `{"lines":{"bob":{"tls":{"certificate":"c","key":"k"}}}}`,
	}})
	var reasons []string
	for _, name := range []string{"alice", "bob"} {
		l, _ := a.awaitLine(name, "error")
		if l.Problem != "Certificate" || !strings.Contains(l.LastReason, "the server refuses our certificate") {
			t.Errorf("%s says %+v", name, l)
		}
		_, reason, _ := strings.Cut(l.LastReason, "/tls: ")
		reasons = append(reasons, reason)
	}
	if reasons[0] == reasons[1] {
		t.Errorf("nobody can tell a stranger's certificate from none: %s", reasons[0])
	}
	good, goodKey := clients.issue(t, time.Hour, "phone")
	a.put("client.key", goodKey)
	a.put("client.crt", good)
	a.awaitLine("alice", "registered") // by the agent's
	if l := a.line("bob"); l.State == "registered" {
		t.Errorf("bob, who shows a stranger's, says %+v", l)
	}
	a.put("agent.json", `{"lines":{}}`)
	a.awaitLine("bob", "registered")
	outcome(t, "kamailio/tls", "a client certificate is required: none: %s; a stranger's: %s; the right one: registered", reasons[0], reasons[1])
}
