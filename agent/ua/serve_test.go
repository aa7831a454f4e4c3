package ua

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

func TestRequestsGoToTheirLine(t *testing.T) {
	e, server := listen(t), newPeer(t)
	at := []netip.AddrPort{server.addr()}
	alice := &testLine{servers: at, aorUser: "alice", aorHost: "sip.test"}
	bob := &testLine{servers: at, aorUser: "bob", aorHost: "sip.test"}
	bob2 := &testLine{servers: at, aorUser: "bob", aorHost: "other.test"}
	bind(t, e, "k3x", alice)
	bind(t, e, "p9q", bob)
	bind(t, e, "m7r", bob2)
	for name, tt := range map[string]struct {
		uri, to string
		want    string
	}{
		"by Contact user":                             {"sip:k3x@127.0.0.1", "sip:whoever@x", "200 Line alice"},
		"by Contact user, escaped":                    {"sip:p%39q@127.0.0.1", "sip:whoever@x", "200 Line bob"},
		"from the server, by user":                    {"sip:alice@127.0.0.1", "sip:alice@sip.test", "200 Line alice"},
		"from the server, by user and To's domain":    {"sip:bob@127.0.0.1", "sip:bob@other.test:5070", "200 Line bob"},
		"from the server, one of two, no help":        {"sip:bob@127.0.0.1", "sip:bob@third.test", "404 Not Found"},
		"from the server, nobody of that name":        {"sip:carol@127.0.0.1", "sip:carol@sip.test", "404 Not Found"},
		"from the server, no name, several lines":     {"sip:127.0.0.1", "sip:127.0.0.1", "404 Not Found"},
		"Contact users are not guessed by their case": {"sip:K3X@127.0.0.1", "sip:K3X@x", "404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			server.t = t
			res := server.ask(e, server.message("INFO", tt.uri, "<sip:alice@sip.test>", "<"+tt.to+">"))
			if fmt.Sprint(res.StatusCode, " ", res.Reason) != tt.want {
				t.Errorf("%d %s, want %s", res.StatusCode, res.Reason, tt.want)
			}
		})
	}
}

func TestTheOnlyLineOfAServerTakesWhatNamesNobody(t *testing.T) {
	e, server := listen(t), newPeer(t)
	bind(t, e, "k3x", &testLine{servers: []netip.AddrPort{server.addr()}, aorUser: "alice", aorHost: "sip.test"})
	for _, uri := range []string{"sip:127.0.0.1", "sip:4711@127.0.0.1"} {
		if res := server.ask(e, server.message("INVITE", uri)); res.StatusCode != 200 {
			t.Errorf("%s: %d %s", uri, res.StatusCode, res.Reason)
		}
	}
}

func TestStrangersHearNothing(t *testing.T) {
	var log logBuffer
	e := listen(t, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	})
	line := &testLine{servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5060")}, aorUser: "alice", aorHost: "sip.test"}
	bind(t, e, "k3x", line)
	scanner := newPeer(t)
	noise := []string{
		scanner.message("OPTIONS", "sip:100@127.0.0.1"),
		scanner.message("INVITE", "sip:alice@127.0.0.1"),
		scanner.message("INVITE", "sip:127.0.0.1"),
		scanner.message("REGISTER", "sip:127.0.0.1"),
		scanner.message("FROBNICATE", "sip:k3y@127.0.0.1"),
		scanner.message("INVITE", "tel:+15550100"),
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKguess\r\nCSeq: 1 REGISTER\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", "\x00\x01\x02", "INVITE", "INVITE ", "INVITE sip:", "INVITE sip:k3x", "INVITE sip:k3x@", "INVITE sip:k3x@x",
	}
	for _, text := range noise {
		scanner.send(e, text)
	}
	for _, keepalive := range []string{"\r\n\r\n", "\r\n", "\x00\x00\x00\x00"} {
		scanner.send(e, keepalive)
	}
	// What is answered comes after all the rest: only this.
	scanner.send(e, scanner.message("OPTIONS", "sip:k3x@127.0.0.1", "call-", "the-last-"))
	if res := scanner.response(); !strings.HasPrefix(res.CallID().Value(), "the-last-") {
		t.Errorf("a stranger was answered:\n%s", res)
	}
	if len(line.got()) != 0 {
		t.Errorf("the line got %s", line.got()[0])
	}
	s := e.Stats()
	if want := (Stats{Received: uint64(len(noise)) + 4, Keepalives: 3, Dropped: uint64(len(noise)) - 1, Stray: 1, Lines: 1, Open: 1}); s != want {
		t.Errorf("stats %+v, want %+v", s, want)
	}
	if log.String() != "" {
		t.Errorf("strangers wrote into the log:\n%s", log.String())
	}
}

func TestAnswersOfTheUserAgent(t *testing.T) {
	e, server := listen(t), newPeer(t)
	bind(t, e, "k3x", &testLine{servers: []netip.AddrPort{server.addr()}, aorUser: "alice", aorHost: "sip.test"})
	bind(t, e, "p9q", &testLine{servers: []netip.AddrPort{server.addr()}, aorUser: "bob", aorHost: "sip.test"})
	const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
	for name, tt := range map[string]struct {
		method, uri string
		edits       []string
		want        string
		headers     map[string]string
	}{
		"OPTIONS tells the truth (§11.2)": {"OPTIONS", "sip:k3x@x", nil, "200 OK",
			map[string]string{"Allow": allow, "Accept": "application/sdp", "Server": "test/1"}},
		"OPTIONS for the user agent itself":       {"OPTIONS", "sip:127.0.0.1", nil, "200 OK", map[string]string{"Allow": allow}},
		"OPTIONS for nobody":                      {"OPTIONS", "sip:carol@x", nil, "404 Not Found", nil},
		"a method of another kind of UA (§8.2.1)": {"SUBSCRIBE", "sip:k3x@x", nil, "405 Method Not Allowed", map[string]string{"Allow": allow}},
		"a method nobody knows (§21.5.2)":         {"FROBNICATE", "sip:k3x@x", nil, "501 Not Implemented", nil},
		"such a method for nobody":                {"FROBNICATE", "sip:carol@x", nil, "501 Not Implemented", nil},
		"an extension we lack (§8.2.2.3)": {"INVITE", "sip:k3x@x", []string{"Max-Forwards: 70", "Max-Forwards: 70\r\nRequire: 100rel, timer"},
			"420 Bad Extension", map[string]string{"Unsupported": "100rel, timer"}},
		"CANCEL of nothing (§9.2)":               {"CANCEL", "sip:k3x@x", nil, "481 Call/Transaction Does Not Exist", nil},
		"BYE of a dialog of nobody (§12.2.2)":    {"BYE", "sip:carol@x", []string{"<sip:alice@sip.test>", "<sip:alice@sip.test>;tag=2"}, "481 Call/Transaction Does Not Exist", nil},
		"another version (§21.5.6)":              {"OPTIONS", "sip:k3x@x", []string{"x SIP/2.0", "x SIP/7.0"}, "505 Version Not Supported", nil},
		"another scheme (§8.2.2.1)":              {"OPTIONS", "xyz:k3x@x", nil, "416 Unsupported URI Scheme", nil},
		"CSeq of another method":                 {"OPTIONS", "sip:k3x@x", []string{"1 OPTIONS", "1 INVITE"}, "400 CSeq method does not match", nil},
		"no From tag":                            {"OPTIONS", "sip:k3x@x", []string{";tag=1", ""}, "400 Missing From tag", nil},
		"no To":                                  {"OPTIONS", "sip:k3x@x", []string{"To: ", "X-To: "}, "400 Missing To", nil},
		"no Call-ID":                             {"OPTIONS", "sip:k3x@x", []string{"Call-ID: ", "X-Call-ID: "}, "400 Missing Call-ID", nil},
		"compact headers and odd case are legal": {"OPTIONS", "sip:k3x@x", []string{"From: ", "f: ", "To: ", "T: ", "Call-ID: ", "I: ", "CSeq: ", "cSEQ: "}, "200 OK", nil},
	} {
		t.Run(name, func(t *testing.T) {
			server.t = t
			res := server.ask(e, server.message(tt.method, tt.uri, tt.edits...))
			if got := fmt.Sprint(res.StatusCode, " ", res.Reason); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			for header, want := range tt.headers {
				if h := res.GetHeader(header); h == nil || h.Value() != want {
					t.Errorf("%s is %v, want %s", header, h, want)
				}
			}
		})
	}
}

// capable is a line with a mind of its own.
type capable struct{ testLine }

func (*capable) Allow() []sip.RequestMethod { return []sip.RequestMethod{"OPTIONS", "MESSAGE", "XYZ"} }
func (*capable) Supported() []string        { return []string{"100rel"} }

func TestLinesSayWhatTheyCan(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	line := &capable{}
	bind(t, e, "k3x", line)
	for _, tt := range []struct{ method, want string }{{"OPTIONS", "200"}, {"MESSAGE", "200"}, {"XYZ", "200"}, {"INVITE", "405"}, {"CANCEL", "481"}} {
		res := peer.ask(e, peer.message(tt.method, "sip:k3x@x", "Max-Forwards: 70", "Require: 100REL"))
		if fmt.Sprint(res.StatusCode) != tt.want {
			t.Errorf("%s: %d %s, want %s", tt.method, res.StatusCode, res.Reason, tt.want)
		}
	}
	if got := line.got(); len(got) == 0 || got[0].Method != sip.OPTIONS {
		t.Error("the line was not asked what it would say to an INVITE")
	}
	// An ACK is never refused.
	peer.send(e, peer.message("ACK", "sip:k3x@x", "Max-Forwards: 70", "Require: timer"))
	eventually(t, "the line has its ACK", func() bool { got := line.got(); return len(got) > 0 && got[len(got)-1].IsAck() })
}

func TestAckAndCancelReachTheLine(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	cancelled := make(chan struct{})
	line := &testLine{onHandle: func(req *sip.Request, tx sip.ServerTransaction) {
		if req.IsInvite() {
			tx.OnCancel(func(*sip.Request) { close(cancelled) })
			_ = tx.Respond(sip.NewResponseFromRequest(req, 180, "Ringing", nil))
		}
	}}
	bind(t, e, "k3x", line)
	// The same ACK again and again, as for a 200 sent again and again: a
	// transaction that stayed would swallow all but the first.
	ack := peer.message("ACK", "sip:k3x@x")
	eventually(t, "the line has three ACKs", func() bool {
		peer.send(e, ack)
		return len(line.got()) >= 3
	})
	invite := peer.message("INVITE", "sip:k3x@x")
	if res := peer.ask(e, invite); res.StatusCode != 180 {
		t.Fatalf("%d", res.StatusCode)
	}
	peer.send(e, strings.NewReplacer("INVITE", "CANCEL").Replace(invite))
	if ok, gone := peer.response(), peer.response(); ok.StatusCode != 200 || gone.StatusCode != 487 {
		t.Errorf("CANCEL: %d, INVITE: %d", ok.StatusCode, gone.StatusCode)
	}
	<-cancelled
}

func TestPanicsCostOneRequest(t *testing.T) {
	var log logBuffer
	e := listen(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	peer := newPeer(t)
	line := &testLine{aorUser: "alice", onHandle: func(*sip.Request, sip.ServerTransaction) { panic("line bug") }}
	bind(t, e, "k3x", line)
	res := peer.ask(e, peer.message("INVITE", "sip:k3x@x"))
	if res.StatusCode != 500 {
		t.Errorf("%d %s, want 500", res.StatusCode, res.Reason)
	}
	// In the reader itself: one datagram is lost, the next is served.
	bind(t, e, "bad", badLine{line})
	peer.send(e, peer.message("OPTIONS", "sip:127.0.0.1"))
	eventually(t, "the reader's panic is counted", func() bool { return e.Stats().Panics == 2 })
	if res = peer.ask(e, peer.message("OPTIONS", "sip:k3x@x")); res.StatusCode != 200 {
		t.Errorf("%d %s, want 200", res.StatusCode, res.Reason)
	}
	if n := strings.Count(log.String(), "panic caught"); n != 2 {
		t.Errorf("%d panics in the log:\n%s", n, log.String())
	}
}

type badLine struct{ *testLine }

func (badLine) ServerAddrs() []netip.AddrPort { panic("server bug") }

func TestBind(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	unbind, err := e.Bind("k3x", &testLine{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Bind("k3x", &testLine{}); err == nil {
		t.Error("a user was bound twice")
	}
	if _, err := e.Bind("", &testLine{}); err == nil {
		t.Error("nobody was bound")
	}
	if n := e.Stats().Lines; n != 1 {
		t.Errorf("%d lines", n)
	}
	unbind()
	unbind()
	peer.send(e, peer.message("OPTIONS", "sip:k3x@x"))
	eventually(t, "an unbound line's request is dropped", func() bool { return e.Stats().Dropped == 1 })
}

func TestServe(t *testing.T) {
	e, err := Listen(Config{Bind: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(Config{Bind: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(e.Port()))}); err == nil {
		t.Error("a port was bound twice")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Serve(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
	// A socket that breaks is an error.
	if e, err = Listen(Config{Bind: netip.MustParseAddrPort("127.0.0.1:0")}); err != nil {
		t.Fatal(err)
	}
	_ = e.conn.UDPConn.Close()
	if err := e.Serve(t.Context()); err == nil {
		t.Error("serve of a closed socket gave no error")
	}
}

// The torture tests of RFC 4475, which sipgo ships: sent by the line's server,
// so that nothing is turned away unread. Nothing may panic, and the endpoint
// goes on serving.
func TestTortureLeavesTheEndpointAlive(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "sip/testdata/torture/*/*.dat"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d torture tests found, %v", len(files), err)
	}
	e, server := listen(t), newPeer(t)
	bind(t, e, "k3x", &testLine{servers: []netip.AddrPort{server.addr()}, aorUser: "alice", aorHost: "sip.test"})
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		server.send(e, string(text))
		server.send(e, server.message("OPTIONS", "sip:k3x@x", "call-", "alive-"))
		for !strings.HasPrefix(server.response().CallID().Value(), "alive-") {
		}
	}
	if s := e.Stats(); s.Panics != 0 {
		t.Errorf("%+v", s)
	}
}

// TestAURIThatIsTooLongIsRefused (RFC 3261 §21.4.12).
func TestAURIThatIsTooLongIsRefused(t *testing.T) {
	e, peer := listen(t), newPeer(t)
	bind(t, e, "k3x", &testLine{})
	for length, want := range map[int]int{3000: 200, 5000: 414} {
		if res := peer.ask(e, peer.message("OPTIONS", "sip:k3x@x;p="+strings.Repeat("x", length))); res.StatusCode != want {
			t.Errorf("a URI of %d bytes: %d, want %d", length, res.StatusCode, want)
		}
	}
}
