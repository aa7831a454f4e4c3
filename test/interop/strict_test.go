package interop

import (
	"cmp"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/relay"
)

// offer is a challenge: algorithm and qop as it writes them, "" = not at all.
type offer struct{ algorithm, qop string }

func (o offer) String() string {
	return cmp.Or(o.algorithm, "no algorithm") + ", " + cmp.Or(o.qop, "no qop")
}

// hashes by the names of RFC 8760, without -sess.
var hashes = map[string]func() hash.Hash{"": md5.New, "MD5": md5.New, "SHA-256": sha256.New, "SHA-512-256": sha512.New512_256}

// strict is a registrar over UDP for one user. It challenges with whatever it is
// told to, and shares nothing with the agent: the digests it computes from
// RFC 7616 §3.4 by itself. Of a nonce it wants every count once, in order.
type strict struct {
	conn           *net.UDPConn
	user, password string
	offers         []offer
	uses           int // of a nonce, until it is stale; 0 = for ever
	expires        int // seconds granted

	mu     sync.Mutex
	nonce  string
	count  int
	taken  []offer
	stale  int
	wrongs int
}

const strictRealm = "strict.test"

func newStrict(t *testing.T, user, password string, offers []offer) *strict {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s := &strict{conn: conn, user: user, password: password, offers: offers, expires: 600, nonce: rand.Text()}
	go s.serve()
	return s
}

func (s *strict) addr() string { return s.conn.LocalAddr().String() }

// seen tells how answers were made, and how often a nonce was called stale.
func (s *strict) seen() ([]offer, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]offer(nil), s.taken...), s.stale
}

func (s *strict) refused() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrongs
}

func (s *strict) serve() {
	buffer := make([]byte, 65535)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if m, ok := relay.Parse(buffer[:n]); ok && m.Method == "REGISTER" {
			_, _ = s.conn.WriteToUDPAddrPort([]byte(s.answer(m)), from)
		}
	}
}

// answer a REGISTER.
func (s *strict) answer(m relay.Message) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := m.Header("Authorization")
	ours := parameter(said, "nonce") == s.nonce
	switch {
	case said == "":
		return s.challenge(m, false)
	case !ours, s.uses > 0 && s.count >= s.uses:
		s.stale++
		return s.challenge(m, true)
	case !s.right(m, said):
		s.wrongs++
		return s.challenge(m, false)
	}
	expires := fmt.Sprint(s.expires)
	if m.Header("Expires") == "0" || strings.Contains(m.Header("Contact"), "expires=0") {
		expires = "0"
	}
	contact, _, _ := strings.Cut(m.Header("Contact"), ">")
	return respond(m, "200 OK", "Contact: "+contact+">;expires="+expires)
}

// challenge with a new nonce.
func (s *strict) challenge(m relay.Message, stale bool) string {
	s.nonce, s.count = rand.Text(), 0
	var headers []string
	for _, o := range s.offers {
		h := fmt.Sprintf(`WWW-Authenticate: Digest realm="%s", nonce="%s", opaque="o,p=q"`, strictRealm, s.nonce)
		if o.algorithm != "" {
			h += ", algorithm=" + o.algorithm
		}
		if o.qop != "" {
			h += fmt.Sprintf(`, qop="%s"`, o.qop)
		}
		if stale {
			h += ", stale=true"
		}
		headers = append(headers, h)
	}
	return respond(m, "401 Unauthorized", headers...)
}

// right computes what the answer has to be (RFC 7616 §3.4.1 to §3.4.3).
func (s *strict) right(m relay.Message, said string) bool {
	get := func(name string) string { return parameter(said, name) }
	algorithm, session := strings.CutSuffix(get("algorithm"), "-sess")
	make, known := hashes[algorithm]
	if !known || get("username") != s.user || get("realm") != strictRealm {
		return false
	}
	h := func(parts ...string) string {
		sum := make()
		sum.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum.Sum(nil))
	}
	a1 := h(s.user, strictRealm, s.password)
	if session {
		a1 = h(a1, get("nonce"), get("cnonce"))
	}
	_, body, _ := strings.Cut(m.Text, "\r\n\r\n")
	a2 := h(m.Method, get("uri"))
	if get("qop") == "auth-int" {
		a2 = h(m.Method, get("uri"), h(body))
	}
	s.count++
	want := h(a1, get("nonce"), get("nc"), get("cnonce"), get("qop"), a2)
	if get("qop") == "" {
		want = h(a1, get("nonce"), a2)
	} else if get("nc") != fmt.Sprintf("%08x", s.count) {
		return false
	}
	s.taken = append(s.taken, offer{get("algorithm"), get("qop")})
	return get("response") == want
}

// respond to a request.
func respond(m relay.Message, status string, headers ...string) string {
	lines := []string{"SIP/2.0 " + status, "Via: " + m.Header("Via"), "From: " + m.Header("From"), "To: " + m.Header("To") + ";tag=strict",
		"Call-ID: " + m.Header("Call-ID"), "CSeq: " + m.Header("CSeq")}
	return strings.Join(append(lines, headers...), "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
}
