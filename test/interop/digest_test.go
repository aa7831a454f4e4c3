package interop

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/relay"
)

// watched runs a registrar behind a relay that sees every message. Accounts made
// by its method go through the relay.
type watched struct {
	*kamailio.Registrar
	relay *relay.Relay
}

func newWatched(t *testing.T, c kamailio.Config, users ...string) watched {
	t.Helper()
	c.Domains = []string{domain}
	r, _ := registrar(t, c, users...)
	return watched{r, relay.ForTest(t, relay.Config{Upstream: r.Addr()})}
}

// account of a user, which is registered through the relay.
func (w watched) account(user, password string, more ...string) string {
	return accountXML(user, password, domain, append(more, "<proxy>"+w.relay.Addr().String()+"</proxy>")...)
}

// parameter of a header like "Digest a=1, b="2"".
func parameter(value, name string) string {
	for _, p := range strings.Split(strings.TrimPrefix(value, "Digest "), ",") {
		if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); k == name {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}

// answersIn gives, of every request of a method, its Authorization (or
// Proxy-Authorization); "" of one without.
func answersIn(seen []relay.Message, method, header string) (all []string) {
	for _, m := range relay.Requests(seen, method) {
		all = append(all, m.Header(header))
	}
	return all
}

// sha256Site is a registrar that challenges with SHA-256 alone (RFC 8760).
func sha256Site(t *testing.T, c kamailio.Config, users ...string) watched {
	t.Helper()
	c.Algorithm = "SHA-256"
	return newWatched(t, c, users...)
}

func TestSHA256RegistersAndCalls(t *testing.T) {
	t.Parallel()
	w := sha256Site(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": w.account("alice", "secret-alice", autoAnswer), "bob.xml": w.account("bob", "secret-bob"),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	awaitBindings(t, w.Registrar, "alice", 1)
	out := a.awaitCall(a.dial(`{"line":"bob","to":"alice","seconds":2,"toneHz":852}`), "has ended", ended)
	if !near(out, 852) || out.End.By != "local" || out.End.Code != 200 {
		t.Errorf("bob's call: %s", pretty(out))
	}
	for header, method := range map[string]string{"Authorization": "REGISTER", "Proxy-Authorization": "INVITE"} {
		answered := false
		for _, c := range answersIn(w.relay.Seen(time.Time{}), method, header) {
			answered = answered || parameter(c, "algorithm") == "SHA-256" && len(parameter(c, "response")) == 64
		}
		if !answered {
			t.Errorf("no %s was answered with SHA-256", method)
		}
	}
	outcome(t, "kamailio/SHA-256", "REGISTER answered 401 and INVITE 407 with SHA-256; bob calls alice: echo of %s", heard(out))
}

// TestSHA256WrongPassword counts what a wrong password costs: one answer, however
// often the registrar challenges again.
func TestSHA256WrongPassword(t *testing.T) {
	t.Parallel()
	w := sha256Site(t, kamailio.Config{}, "alice")
	a := startAgent(t, options{files: map[string]string{"alice.xml": w.account("alice", "wrong")}})
	l, _ := a.awaitLine("alice", "unauthorized")
	tried := 0
	for _, c := range answersIn(w.relay.Seen(time.Time{}), "REGISTER", "Authorization") {
		if c != "" {
			tried++
		}
	}
	if l.Problem != "Unauthorized" || tried != 1 {
		t.Errorf("%d answers; the line says %+v", tried, l)
	}
	a.put("alice.xml", w.account("alice", "secret-alice"))
	a.awaitLine("alice", "registered")
	outcome(t, "kamailio/SHA-256", "wrong password: %s after %d answer; mended: registered", l.LastReason, tried)
}

// TestSHA256NonceIsReused: refreshes answer before they are asked, counting, until
// the registrar challenges again because the nonce is too old for it.
func TestSHA256NonceIsReused(t *testing.T) {
	t.Parallel()
	w := sha256Site(t, kamailio.Config{MaxExpires: 10 * time.Second, Extra: kamailio.Extra{Modules: `modparam("auth", "nonce_expire", 8)`}}, "alice")
	a := startAgent(t, options{files: map[string]string{"alice.xml": w.account("alice", "secret-alice")}})
	a.awaitLine("alice", "registered")
	var counts []string
	eventually(t, "an old nonce was replaced", func() (bool, string) {
		counts = nil
		for _, c := range answersIn(w.relay.Seen(time.Time{}), "REGISTER", "Authorization") {
			counts = append(counts, strings.TrimLeft(parameter(c, "nc"), "0"))
		}
		return len(counts) >= 5, strings.Join(counts, ",")
	})
	// Asked; answered; refreshed; refreshed with what is too old now; answered anew.
	if got := strings.Join(counts[:5], ","); got != ",1,2,3,1" {
		t.Errorf("nonce counts %q", got)
	}
	if l, _ := a.awaitLine("alice", "registered"); l.LastCode != 200 {
		t.Errorf("the line says %+v", l)
	}
	outcome(t, "kamailio/SHA-256", "nonce reused with nc=1, 2, 3; too old: answered with the new one")
}

// TestSHA256IsPreferred: RFC 8760 §2.4 has a server offer several, and a client
// answer the topmost it supports; ours takes the strongest, wherever it stands.
func TestSHA256IsPreferred(t *testing.T) {
	const md5 = `append_to_reply("WWW-Authenticate: Digest realm=\"$fd\", nonce=\"of-nobody\", qop=\"auth\", algorithm=MD5\r\n");`
	t.Parallel()
	w := sha256Site(t, kamailio.Config{Extra: kamailio.Extra{Request: `if (is_method("REGISTER") && $au==$null) { ` + md5 + ` }`}}, "alice")
	a := startAgent(t, options{files: map[string]string{"alice.xml": w.account("alice", "secret-alice")}})
	a.awaitLine("alice", "registered")
	offered := ""
	for _, m := range w.relay.Seen(time.Time{}) {
		if m.Code == "401" {
			offered = m.Text
		}
	}
	if first, second := strings.Index(offered, "algorithm=MD5"), strings.Index(offered, "algorithm=SHA-256"); first < 0 || second < 0 {
		t.Fatalf("the registrar offered:\n%s", offered)
	}
	answers := answersIn(w.relay.Seen(time.Time{}), "REGISTER", "Authorization")
	if last := answers[len(answers)-1]; len(answers) != 2 || parameter(last, "algorithm") != "SHA-256" || strings.Contains(last, "of-nobody") {
		t.Errorf("answered %q", answers)
	}
	outcome(t, "kamailio/SHA-256", "MD5 and SHA-256 offered: SHA-256 answered, MD5 not")
}

// TestDigestOfAStrictRegistrar goes through what kamailio cannot ask for, with a
// registrar that computes every answer by itself.
func TestDigestOfAStrictRegistrar(t *testing.T) {
	t.Parallel()
	for says, c := range map[string]struct {
		offers []offer
		want   offer // which is answered
	}{
		"SHA-256, auth-int":              {[]offer{{"SHA-256", "auth-int"}}, offer{"SHA-256", "auth-int"}},
		"SHA-256, auth and auth-int":     {[]offer{{"SHA-256", "auth-int,auth"}}, offer{"SHA-256", "auth"}},
		"SHA-256-sess":                   {[]offer{{"SHA-256-sess", "auth"}}, offer{"SHA-256-sess", "auth"}},
		"SHA-256-sess, auth-int":         {[]offer{{"SHA-256-sess", "auth-int"}}, offer{"SHA-256-sess", "auth-int"}},
		"SHA-512-256":                    {[]offer{{"SHA-512-256", "auth"}}, offer{"SHA-512-256", "auth"}},
		"MD5-sess":                       {[]offer{{"MD5-sess", "auth"}}, offer{"MD5-sess", "auth"}},
		"MD5 without qop, as RFC 2069":   {[]offer{{"", ""}}, offer{"", ""}},
		"SHA-256 before MD5":             {[]offer{{"SHA-256", "auth"}, {"MD5", "auth"}}, offer{"SHA-256", "auth"}},
		"SHA-256 after MD5":              {[]offer{{"MD5", "auth"}, {"SHA-256", "auth"}}, offer{"SHA-256", "auth"}},
		"MD5 beside what nobody has":     {[]offer{{"SHA3-256", "auth"}, {"MD5", "auth"}}, offer{"MD5", "auth"}},
		"the nonce stale after its uses": {[]offer{{"SHA-256", "auth"}}, offer{"SHA-256", "auth"}},
	} {
		t.Run(strings.ReplaceAll(says, " ", ""), func(t *testing.T) {
			t.Parallel()
			r := newStrict(t, "alice", "secret-alice", c.offers)
			if strings.Contains(says, "stale") {
				r.uses, r.expires = 1, 2 // seconds: refreshed after one
			}
			a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", r.addr())}})
			a.awaitLine("alice", "registered")
			eventually(t, "the registrar has taken what it wants", func() (bool, string) {
				taken, stale := r.seen()
				return len(taken) > 0 && (r.uses == 0 || stale > 1 && len(taken) > 2), fmt.Sprint(taken, stale)
			})
			taken, stale := r.seen()
			for _, o := range taken {
				if o != c.want {
					t.Errorf("answered %v, not %v", o, c.want)
				}
			}
			if wrong := r.refused(); wrong != 0 {
				t.Errorf("%d answers were wrong", wrong)
			}
			if l := a.line("alice"); l.State != "registered" {
				t.Errorf("the line says %+v", l)
			}
			outcome(t, "strict registrar", "offered %v, answered with %v; answers %d, stale %d", c.offers, c.want, len(taken), stale)
		})
	}
}
