package ua

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

func TestDigestOfTheRFCs(t *testing.T) {
	mufasa := challenge{realm: "http-auth@example.org", nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", qop: []string{"auth", "auth-int"}}
	with := func(c challenge, algorithm string) challenge { c.algorithm = algorithm; return c }
	for name, tt := range map[string]struct {
		digest   digest
		password Secret
		want     string
	}{
		"RFC 7616 §3.9.1, MD5": {
			digest{challenge: with(mufasa, "MD5"), username: "Mufasa", method: "GET", uri: "/dir/index.html",
				cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", nc: 1},
			"Circle of Life", "8ca523f5e9506fed4657c9700eebdbec",
		},
		"RFC 7616 §3.9.1, SHA-256": {
			digest{challenge: with(mufasa, "SHA-256"), username: "Mufasa", method: "GET", uri: "/dir/index.html",
				cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", nc: 1},
			"Circle of Life", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
		},
		"RFC 7616 §3.9.2, SHA-512-256, as corrected by erratum 4897": {
			digest{challenge: challenge{realm: "api@example.org", nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
				qop: []string{"auth"}, algorithm: "SHA-512-256"}, username: "Jäsøn Doe", method: "GET", uri: "/doe.json",
				cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", nc: 1},
			"Secret, or not?", "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
		},
		"RFC 2617 §3.5": {
			digest{challenge: challenge{realm: "testrealm@host.com", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", qop: []string{"auth", "auth-int"}},
				username: "Mufasa", method: "GET", uri: "/dir/index.html", cnonce: "0a4f113b", nc: 1},
			"Circle Of Life", "6629fae49393a05397450978507c4ef1",
		},
		"RFC 2069 §2.4, no qop, as corrected by erratum 749": {
			digest{challenge: challenge{realm: "testrealm@host.com", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093"},
				username: "Mufasa", method: "GET", uri: "/dir/index.html"},
			"CircleOfLife", "1949323746fe6a43ef61f9606e7febea",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.digest.response(tt.password); got != tt.want {
				t.Errorf("response %s, want %s", got, tt.want)
			}
		})
	}
}

// Neither -sess nor auth-int have an example in the RFCs; this is the formula
// of RFC 7616 §3.4.2 and §3.4.3 written out.
func TestDigestOfSessionAndBody(t *testing.T) {
	h := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	d := digest{
		challenge: challenge{realm: "r", nonce: "n", algorithm: "sha-256-sess", qop: []string{"auth-int"}},
		username:  "u", method: "INVITE", uri: "sip:x@y", body: []byte("v=0\r\n"), cnonce: "c", nc: 10,
	}
	a1 := h(h("u:r:p") + ":n:c")
	a2 := h("INVITE:sip:x@y:" + h("v=0\r\n"))
	if want := h(a1 + ":n:0000000a:c:auth-int:" + a2); d.response("p") != want {
		t.Errorf("response %s, want %s", d.response("p"), want)
	}
}

// Other hands' -sess: what curl 7.88.1 answered to these challenges.
func TestDigestOfSessionAsCurlComputesIt(t *testing.T) {
	for algorithm, c := range map[string]struct{ cnonce, want string }{
		"MD5-sess":     {"Y2M5NWI4OWYzMTc3OWE0YWE5NzcwZGE3OWM0MmYzNGY=", "3575888afcbcbda4be4b971b1fa8e679"},
		"SHA-256-sess": {"NDg4OWM2NmJmMWZiYmE2MDg5ZDQwNTk3ZjZjMDA3OTc=", "93fc1bae7f5374055d5730b7a5c08323f6020b32aba475ef6ed5ea242a00a03c"},
	} {
		d := digest{
			challenge: challenge{realm: "registrar.test", nonce: "b3a1c5", algorithm: algorithm, qop: []string{"auth"}},
			username:  "alice", method: "GET", uri: "/sip:registrar.test", cnonce: c.cnonce, nc: 1,
		}
		if got := d.response("secret-alice"); got != c.want {
			t.Errorf("%s: response %s, want %s", algorithm, got, c.want)
		}
	}
}

func TestParseChallenges(t *testing.T) {
	for name, tt := range map[string]struct {
		value  string
		want   []challenge
		others []string
		err    string
	}{
		"as kamailio sends it": {
			value: `Digest realm="sip.test", nonce="Zb+/abc=", qop="auth"`,
			want:  []challenge{{realm: "sip.test", nonce: "Zb+/abc=", qop: []string{"auth"}}},
		},
		"names and scheme in any case, quoted algorithm, odd spaces": {
			value: `digest  Realm = "a" ,NONCE="b",Algorithm="sha-256",qop=" auth , auth-int ",Stale=TRUE,opaque=""`,
			want:  []challenge{{realm: "a", nonce: "b", algorithm: "sha-256", qop: []string{"auth", "auth-int"}, stale: true, hasOpaque: true}},
		},
		"commas, equal signs and escaped quotes inside quotes": {
			value: `Digest realm="a, b=\"c\"", nonce="n=,"`,
			want:  []challenge{{realm: `a, b=\"c\"`, nonce: "n=,"}},
		},
		"several challenges in one header": {
			value: `Digest realm="a", nonce="1", algorithm=SHA-256, Basic realm="x", Digest realm="a", nonce="2"`,
			want: []challenge{
				{realm: "a", nonce: "1", algorithm: "SHA-256"}, {realm: "a", nonce: "2"},
			},
			others: []string{"Basic"},
		},
		"of a name given twice the first counts": {
			value: `Digest realm="a", nonce="1", nonce="2"`,
			want:  []challenge{{realm: "a", nonce: "1"}},
		},
		"no nonce":        {value: `Digest realm="a"`, err: "realm and nonce are needed"},
		"no scheme":       {value: `realm="a"`, err: "without a scheme"},
		"nothing":         {value: ``, err: "without a scheme"},
		"open quotes":     {value: `Digest realm="a, nonce=b`, err: "quotes are not closed"},
		"no value":        {value: `Digest realm, nonce="b"`, err: "has no value"},
		"quotes unasked":  {value: `Digest "a"`, err: "no parameter"},
		"escape at end":   {value: `Digest realm="a\`, err: "quotes are not closed"},
		"equals unasked":  {value: `Digest ="a"`, err: "no parameter"},
		"only the scheme": {value: `Digest `, err: "realm and nonce are needed"},
	} {
		t.Run(name, func(t *testing.T) {
			got, others, err := parseChallenges(tt.value)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) || !reflect.DeepEqual(others, tt.others) {
				t.Errorf("got %+v, %v, %v; want %+v, %v", got, others, err, tt.want, tt.others)
			}
		})
	}
}

func FuzzParseChallenges(f *testing.F) {
	f.Add(`Digest realm="sip.test", nonce="Zb+/abc=", qop="auth"`)
	f.Add(`Digest realm="a", nonce="1", algorithm=SHA-256, Basic realm="x", Digest realm="\"a", nonce="2",stale=true`)
	f.Add(`Digest realm="a\`)
	f.Fuzz(func(t *testing.T, value string) {
		found, _, err := parseChallenges(value)
		if err != nil && found != nil {
			t.Errorf("challenges beside an error: %v", found)
		}
		for _, c := range found {
			if c.unsupported() != "" {
				continue
			}
			// What we answer must be readable by the same grammar and name the same nonce.
			answer := digest{challenge: c, username: `al"ice`, method: "REGISTER", uri: "sip:x", cnonce: "c", nc: 1}.header("p")
			back, _, err := parseChallenges(answer)
			if err != nil || len(back) != 1 || back[0].nonce != c.nonce || back[0].realm != c.realm {
				t.Errorf("%q\nanswered by %q\nread back as %+v, %v", value, answer, back, err)
			}
		}
	})
}

func response(code int, challenges ...string) *sip.Response {
	res := sip.NewResponse(code, "Unauthorized")
	name := "WWW-Authenticate"
	if code == 407 {
		name = "Proxy-Authenticate"
	}
	for _, c := range challenges {
		res.AppendHeader(sip.NewHeader(name, c))
	}
	return res
}

func register() *sip.Request {
	req := sip.NewRequest(sip.REGISTER, URI("", "sip.test"))
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 7, MethodName: sip.REGISTER})
	return req
}

func credentials(t *testing.T, req *sip.Request, name string) (texts []string) {
	t.Helper()
	for _, h := range req.GetHeaders(name) {
		texts = append(texts, h.Value())
	}
	return texts
}

func TestStrongestChallengeIsAnswered(t *testing.T) {
	for name, tt := range map[string]struct {
		challenges []string
		want       string // in the Authorization header
		err        string
	}{
		"SHA-256 before MD5, whatever the order": {
			[]string{`Digest realm="a", nonce="m", algorithm=MD5`, `Digest realm="a", nonce="s", algorithm=SHA-256`}, "algorithm=SHA-256", "",
		},
		"MD5 when the stronger one is unknown": {
			[]string{`Digest realm="a", nonce="m"`, `Digest realm="a", nonce="s", algorithm=SHA3-512`}, `nonce="m"`, "",
		},
		"auth before auth-int": {[]string{`Digest realm="a", nonce="m", qop="auth-int,auth"`}, "qop=auth,", ""},
		"auth-int alone":       {[]string{`Digest realm="a", nonce="m", qop="auth-int"`}, "qop=auth-int,", ""},
		"unknown algorithm":    {[]string{`Digest realm="a", nonce="m", algorithm=AKAv1-MD5`}, "", `unsupported challenge: algorithm "AKAv1-MD5"`},
		"unknown qop":          {[]string{`Digest realm="a", nonce="m", qop="conf"`}, "", `unsupported challenge: qop "conf"`},
		"Basic":                {[]string{`Basic realm="a"`}, "", `unsupported challenge: scheme "Basic"`},
		"no challenge":         {nil, "", "unsupported challenge: 401 without WWW-Authenticate"},
	} {
		t.Run(name, func(t *testing.T) {
			req := register()
			err := Credentials{"alice", "secret"}.Authorize(req, response(401, tt.challenges...), nil)
			if tt.err != "" {
				var unsupported *UnsupportedError
				if !errors.As(err, &unsupported) || err.Error() != tt.err {
					t.Errorf("error %q, want %q", err, tt.err)
				}
				return
			}
			if got := credentials(t, req, "Authorization"); err != nil || len(got) != 1 || !strings.Contains(got[0], tt.want) {
				t.Errorf("Authorization %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestAuthorizeAnswersEveryRealmOnce(t *testing.T) {
	req, nonces := register(), &NonceCache{}
	alice := Credentials{"alice", "secret"}
	two := response(407, `Digest realm="a", nonce="1"`, `Digest realm="b", nonce="2"`)
	for range 2 {
		if err := alice.Authorize(req, two, nonces); err != nil {
			t.Fatal(err)
		}
	}
	if got := credentials(t, req, "Proxy-Authorization"); len(got) != 2 {
		t.Errorf("want one header a realm, got %q", got)
	}
}

func TestNoncesAreReusedAndCounted(t *testing.T) {
	var nonces NonceCache
	alice := Credentials{"alice", "secret"}
	first := alice.Session(&nonces)
	req := register()
	first.Prepare(req)
	if got := credentials(t, req, "Authorization"); got != nil {
		t.Fatalf("authorized without a challenge: %q", got)
	}
	next, err := first.Next(req, response(401, `Digest realm="a", nonce="1", qop="auth"`))
	if err != nil {
		t.Fatal(err)
	}
	if next.CSeq().SeqNo != 8 || req.CSeq().SeqNo != 7 {
		t.Errorf("CSeq %d after %d", next.CSeq().SeqNo, req.CSeq().SeqNo)
	}
	for i, want := range []string{"nc=00000002", "nc=00000003"} {
		req := register()
		alice.Session(&nonces).Prepare(req)
		if got := credentials(t, req, "Authorization"); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("request %d: %q, want %s", i+2, got, want)
		}
	}
	nonces.Forget()
	req = register()
	alice.Session(&nonces).Prepare(req)
	if got := credentials(t, req, "Authorization"); got != nil {
		t.Errorf("authorized with a forgotten nonce: %q", got)
	}
}

// TestCredentialsForWhoAsks: a proxy's challenge says that it is the proxy who wants
// credentials, so a call through it does not carry the registrar's as well; what
// somebody in this exchange asked for stays, and a REGISTER carries all.
func TestCredentialsForWhoAsks(t *testing.T) {
	invite := func() *sip.Request {
		req := register()
		req.Method, req.CSeq().MethodName = sip.INVITE, sip.INVITE
		return req
	}
	const a, b = `Digest realm="a", nonce="1", qop="auth"`, `Digest realm="b", nonce="1", qop="auth"`
	alice := Credentials{"alice", "secret"}
	var nonces NonceCache
	if err := alice.Authorize(register(), response(401, a), &nonces); err != nil {
		t.Fatal(err)
	}
	carries := func(when string, req *sip.Request, own, proxy int) {
		t.Helper()
		if n, m := len(credentials(t, req, "Authorization")), len(credentials(t, req, "Proxy-Authorization")); n != own || m != proxy {
			t.Errorf("%s: %d Authorization and %d Proxy-Authorization, want %d and %d", when, n, m, own, proxy)
		}
	}
	next := func(s *Authorizer, req *sip.Request, res *sip.Response) *sip.Request {
		t.Helper()
		req, err := s.Next(req, res)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}

	s, req := alice.Session(&nonces), invite()
	s.Prepare(req)
	carries("a PBX that asks by 401 is told at once", req, 1, 0)
	req = next(s, req, response(407, a))
	carries("a proxy of the realm asked instead", req, 0, 1)

	s, req = alice.Session(&nonces), invite()
	s.Prepare(req)
	carries("the next call", req, 0, 1)
	req = next(s, req, response(401, a))
	carries("who is called asks as well", req, 1, 1)
	req = next(s, req, response(407, b))
	carries("another proxy on the way, too", req, 1, 2)

	s, req = alice.Session(&nonces), register()
	s.Prepare(req)
	carries("a REGISTER", req, 1, 2)
	carries("a REGISTER that a proxy asks again", next(s, req, response(407, strings.Replace(a, `"1"`, `"2"`, 1))), 1, 2)
}

func TestRefusedCredentials(t *testing.T) {
	const challenge = `Digest realm="a", nonce="1", qop="auth"`
	for name, tt := range map[string]struct {
		remembered bool
		responses  []*sip.Response
		want       error
	}{
		"challenged once":                     {false, []*sip.Response{response(401, challenge)}, nil},
		"challenged again for a fresh nonce":  {false, []*sip.Response{response(401, challenge), response(401, challenge)}, ErrRefused},
		"a remembered nonce is given one try": {true, []*sip.Response{response(401, `Digest realm="a", nonce="2"`)}, nil},
		"a stale nonce is no refusal": {false, []*sip.Response{
			response(401, challenge), response(401, `Digest realm="a", nonce="2", stale=true`)}, nil},
		"registrar behind a proxy": {false, []*sip.Response{
			response(407, challenge), response(401, challenge)}, nil},
		"stale for ever": {false, []*sip.Response{
			response(401, challenge), response(401, challenge+`, stale=true`), response(401, challenge+`, stale=true`),
			response(401, challenge+`, stale=true`), response(401, challenge+`, stale=true`), response(401, challenge+`, stale=true`)}, ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			var nonces NonceCache
			alice := Credentials{"alice", "secret"}
			if tt.remembered {
				if err := alice.Authorize(register(), response(401, challenge), &nonces); err != nil {
					t.Fatal(err)
				}
			}
			req, session := register(), alice.Session(&nonces)
			session.Prepare(req)
			var err error
			for _, res := range tt.responses {
				if req, err = session.Next(req, res); err != nil {
					break
				}
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestNoPassword(t *testing.T) {
	_, err := Credentials{Username: "alice"}.Session(nil).Next(register(), response(401, `Digest realm="a", nonce="1"`))
	if !errors.Is(err, ErrNoPassword) {
		t.Errorf("error %v, want ErrNoPassword", err)
	}
}
