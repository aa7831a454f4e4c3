package webservice

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/account"
)

func document(t *testing.T, nodes string) *account.Document {
	t.Helper()
	docs, problems, err := account.ReadString("<account><title>t</title><username>al ice</username><password>s3cret</password><host>pbx.test</host><cloud_username>cloud</cloud_username><cloud_password>c1oud</cloud_password>"+nodes+"</account>", account.ReadOptions{})
	if err != nil || len(docs) != 1 {
		t.Fatalf("%v %v", err, problems)
	}
	return docs[0]
}

func TestPlaceholders(t *testing.T) {
	doc := document(t, "<custom>a&amp;b</custom><myToken>t0ken</myToken>")
	known := lookup{values: map[string]string{"targetNumber": "+1 555", "uri": "sip:x"}, node: func(name string) string { return valueOf(doc, name) }}
	for template, want := range map[string]string{
		"":                            "",
		"plain":                       "plain",
		"n=%targetNumber%&u=%uri%":    "n=+1 555&u=sip:x",
		"%account[username]%":         "al ice",
		"%account[custom]%":           "a&b",
		"%account[expires]%":          "600",
		"%account[nothing]%.":         ".",
		"%account[password]%":         hidden,
		"%account[myToken]%":          hidden,
		"%sha1(abc)%":                 "a9993e364706816aba3e25717850c26c9cd0d89d",
		"%sha1(%account[password]%)%": sha1Of(hidden),
		"%sha1((a)%uri%(b))%":         sha1Of("(a)sip:x(b)"),
		"%sha1(open":                  "%sha1(open",
		"%sha1(%sha256(abc)%)%":       sha1Of("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
		"100% of %uri%":               "100% of sip:x",
		"%unknown% %uri%":             "%unknown% sip:x",
		"%20%account[username]%":      "%20al ice",
		"%account[username%":          "%account[username%",
		"%":                           "%",
	} {
		if got := expand(template, known, asIs); got != want {
			t.Errorf("%s: %q, want %q", template, got, want)
		}
	}
	if got := expand("?n=%targetNumber%&p=%account[password]%", lookup{known.values, known.node, true}, escaped); got != "?n=%2B1%20555&p=s3cret" {
		t.Errorf("to a safe URL: %s", got)
	}
}

func sha1Of(s string) string { return functions["sha1"](s) }

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"%sha1(%account[password]%)%", "%a%%", "%sha1(%sha1(%sha1(%sha1(%sha1(x)%)%)%)%)%", "100%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, template string) {
		known := lookup{node: func(string) string { return "s3cret-of-the-account" }}
		if got := expand(template, known, asIs); strings.Contains(template, "password") && !strings.Contains(template, "s3cret") &&
			strings.Count(template, "account[") == strings.Count(template, "account[password]") && strings.Contains(got, "s3cret-of-the-account") {
			t.Errorf("%q tells a password: %q", template, got)
		}
	})
}

// What a service is asked, by its nodes, over TLS and without.
func TestServices(t *testing.T) {
	const path = "/up?u=%account[username]%&p=%account[password]%"
	for name, c := range map[string]struct {
		nodes      string
		secure     bool
		code       int
		want, fail string
	}{
		"GET without more": {"<vpnStartupUrl>URL</vpnStartupUrl>", false, 204, "GET /up?u=al%20ice&p=%2A%2A%2A%2A%2A%2A%2A%2A", ""},
		"POST with a body": {"<vpnStartupUrl>URL</vpnStartupUrl><vpnStartupPostData>n=%account[username]%</vpnStartupPostData>", false, 200,
			"POST /up?u=al%20ice&p=%2A%2A%2A%2A%2A%2A%2A%2A application/x-www-form-urlencoded n=al%20ice", ""},
		"JSON is written as it is": {"<vpnStartupUrl>URL</vpnStartupUrl><vpnStartupPostData>{\"n\":\"%account[username]%\"}</vpnStartupPostData><vpnStartupContentType>application/json</vpnStartupContentType><vpnStartupMethod>PUT</vpnStartupMethod>", false, 200,
			"PUT /up?u=al%20ice&p=%2A%2A%2A%2A%2A%2A%2A%2A application/json {\"n\":\"al ice\"}", ""},
		"headers":                    {"<vpnStartupUrl>URL</vpnStartupUrl><vpnStartupCustomHeaders>X-Line: %account[username]%\nX-Site: north</vpnStartupCustomHeaders>", false, 200, "GET /up?u=al%20ice&p=%2A%2A%2A%2A%2A%2A%2A%2A al ice north", ""},
		"TLS is told who asks":       {"<vpnStartupUrl>URL</vpnStartupUrl>", true, 200, "GET /up?u=al%20ice&p=s3cret cloud:c1oud", ""},
		"with a name of its own":     {"<vpnStartupUrl>URL</vpnStartupUrl><vpnStartupAuthUsername>vpn</vpnStartupAuthUsername><vpnStartupAuthPassword>k3y</vpnStartupAuthPassword>", true, 200, "GET /up?u=al%20ice&p=s3cret vpn:k3y", ""},
		"a refusal is none of these": {"<vpnStartupUrl>URL</vpnStartupUrl>", false, 503, "GET /up?u=al%20ice&p=%2A%2A%2A%2A%2A%2A%2A%2A", ": 503 Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Method + " " + r.URL.RequestURI()
				body, _ := io.ReadAll(r.Body)
				user, password, auth := r.BasicAuth()
				for _, more := range []string{r.Header.Get("Content-Type"), r.Header.Get("X-Line"), r.Header.Get("X-Site"), string(body)} {
					if more != "" {
						asked += " " + more
					}
				}
				if auth {
					asked += " " + user + ":" + password
				}
				w.WriteHeader(c.code)
			})
			server := httptest.NewServer(answer)
			if c.secure {
				server.Close()
				server = httptest.NewTLSServer(answer)
				before := client.Transport
				client.Transport = server.Client().Transport
				defer func() { client.Transport = before }()
			}
			defer server.Close()
			s, ok := New(document(t, strings.ReplaceAll(c.nodes, "URL", strings.ReplaceAll(server.URL+path, "&", "&amp;"))), VPNStartup)
			if !ok {
				t.Fatal("there is no service")
			}
			a, err := s.Do(t.Context(), nil)
			if fmt.Sprint(err) != "<nil>" && (c.fail == "" || !strings.HasSuffix(err.Error(), c.fail)) || err == nil && c.fail != "" || a.Code != c.code {
				t.Errorf("%+v, %v", a, err)
			}
			if asked != c.want {
				t.Errorf("asked %s\nwant  %s", asked, c.want)
			}
		})
	}
}

// What fails says where, and nothing of a password.
func TestFailuresTellNoSecrets(t *testing.T) {
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	leading := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/?p=s3cret", http.StatusFound)
	}))
	defer leading.Close()
	before := client.Transport
	client.Transport = leading.Client().Transport
	defer func() { client.Transport = before }()
	for at, want := range map[string]string{away.URL: "connection refused", leading.URL: "a redirection away from TLS"} {
		s, _ := New(document(t, "<vpnStartupUrl>"+at+"/?p=%account[password]%</vpnStartupUrl>"), VPNStartup)
		if _, err := s.Do(t.Context(), nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "?") {
			t.Errorf("%v; want %s", err, want)
		}
	}
	if _, ok := New(document(t, ""), VPNStartup); ok {
		t.Error("a service without a URL")
	}
}

// A service that does not answer is waited for as long as its node says.
func TestATimeout(t *testing.T) {
	silent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	defer server.Close()
	defer close(silent)
	for seconds, want := range map[string]time.Duration{"": usualTimeout, "1": time.Second, "0": usualTimeout, "86400": mostTimeout} {
		s, _ := New(document(t, "<vpnStartupUrl>"+server.URL+"</vpnStartupUrl><vpnStartupTimeout>"+seconds+"</vpnStartupTimeout>"), VPNStartup)
		if s.timeout != want {
			t.Errorf("%q: %s, want %s", seconds, s.timeout, want)
		}
		if seconds == "1" {
			if _, err := s.Do(t.Context(), nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		}
	}
}
