package agent

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// ear is a server that is there by UDP and by TCP, at the same port, and notes
// what is asked of it. It takes every line, and no call.
type ear struct {
	name string
	at   string

	mu    sync.Mutex
	heard map[string]string // by method: the server's name, the transport and the Route of the first
	text  map[string]string // and all of it; a keepalive's method is ""
	from  map[string]string // and where it came from, by UDP
	says  string            // a header of every answer to REGISTER
	sees  string            // what Via's rport becomes in answers; "" = it stays
}

// listenBoth takes a port that is free for UDP and for TCP; one of them alone may be.
func listenBoth(t *testing.T) (*net.UDPConn, *net.TCPListener) {
	t.Helper()
	for {
		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: u.LocalAddr().(*net.UDPAddr).Port})
		if err == nil {
			return u, l
		}
		_ = u.Close()
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}

func newEar(t *testing.T, name string) *ear {
	t.Helper()
	u, l := listenBoth(t)
	e := &ear{name: name, at: u.LocalAddr().String(), heard: map[string]string{}, text: map[string]string{}, from: map[string]string{}}
	var work sync.WaitGroup
	work.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := u.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if answer := e.hear(string(buf[:n]), "udp", from.String()); answer != "" {
				_, _ = u.WriteToUDPAddrPort([]byte(answer), from)
			}
		}
	})
	work.Go(func() {
		for {
			c, err := l.AcceptTCP()
			if err != nil {
				return
			}
			work.Go(func() { e.listen(c) })
		}
	})
	t.Cleanup(func() { u.Close(); l.Close(); work.Wait() })
	return e
}

var routeOf = regexp.MustCompile(`(?m)^Route: *<([^>]*)>`)

// listen takes each read for a message, as messages are written whole.
func (e *ear) listen(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if answer := e.hear(string(buf[:n]), "tcp", ""); answer != "" {
			_, _ = c.Write([]byte(answer))
		}
	}
}

// hear notes a request and gives the answer to it.
func (e *ear) hear(message, over, from string) string {
	method, _, _ := strings.Cut(strings.TrimSpace(message), " ")
	said := e.name + " by " + over
	for i, route := range routeOf.FindAllStringSubmatch(message, -1) {
		if i == 0 {
			said += " routed"
		}
		said += " " + route[1]
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.heard[method] == "" {
		e.heard[method], e.text[method], e.from[method] = said, message, from
	}
	status := map[string]string{"REGISTER": "200 OK", "OPTIONS": "200 OK", "INVITE": "486 Busy Here"}[method]
	if status == "" {
		return ""
	}
	answer := "SIP/2.0 " + status + "\r\n"
	if e.says != "" && method == "REGISTER" {
		answer += e.says + "\r\n"
	}
	for line := range strings.SplitSeq(message, "\r\n") {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "Via":
			if e.sees != "" {
				line = strings.Replace(line, ";rport", e.sees, 1)
			}
			answer += line + "\r\n"
		case "From", "Call-ID", "CSeq", "Contact", "Expires":
			answer += line + "\r\n"
		case "To":
			answer += line + ";tag=ear\r\n"
		}
	}
	return answer + "Content-Length: 0\r\n\r\n"
}

func (e *ear) first(method string) (said string) { said, _ = e.whole(method); return said }

func (e *ear) whole(method string) (said, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard[method], e.text[method]
}

// Where requests of a line go, the first REGISTER and the first INVITE alike, by
// the nodes that say so.
func TestNodesShapeTheWay(t *testing.T) {
	for sentence, c := range map[string]struct{ nodes, want string }{
		"to the host":                          {"", "host by udp"},
		"to the proxy":                         {"<proxy>%s</proxy>", "proxy by udp"},
		"by the transport":                     {"<transport>tcp</transport>", "host by tcp"},
		"to the outbound proxy, named":         {"<outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>%s</outboundProxy_host>", "proxy by udp routed sip:%s;lr"},
		"not to one that is off":               {"<outboundProxy_enabled>0</outboundProxy_enabled><outboundProxy_host>%s</outboundProxy_host>", "host by udp"},
		"not to one without a name":            {"<outboundProxy_enabled>1</outboundProxy_enabled><proxy>%s</proxy>", "proxy by udp"},
		"to the outbound proxy before a proxy": {"<proxy>proxy.invalid</proxy><outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>%s</outboundProxy_host>", "proxy by udp routed sip:%s;lr"},
		"to the proxy by the transport":        {"<transport>tcp</transport><proxy>%s</proxy>", "proxy by tcp"},
		"to the outbound proxy, its own way":   {"<outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>%s</outboundProxy_host><outboundProxy_transport>tcp</outboundProxy_transport>", "proxy by tcp routed sip:%s;transport=tcp;lr"},
		"to the outbound proxy, the account's": {"<transport>tcp</transport><outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>%s</outboundProxy_host>", "proxy by tcp routed sip:%s;transport=tcp;lr"},
	} {
		t.Run(sentence, func(t *testing.T) {
			host, proxy := newEar(t, "host"), newEar(t, "proxy")
			fill := func(s string) string { return strings.ReplaceAll(s, "%s", proxy.at) }
			g := start(t, map[string]string{"alice.xml": lineXML("alice", host.at, fill(c.nodes))})
			g.awaitState("alice", delivery.Registered)
			if _, err := g.Dial(t.Context(), control.Dial{Line: "alice", Dial: call.Dial{To: "bob"}}); err != nil {
				t.Fatal(err)
			}
			for _, method := range []string{"REGISTER", "INVITE"} {
				got := ""
				eventually(t, func() bool { got = host.first(method) + proxy.first(method); return got != "" })
				if got != fill(c.want) {
					t.Errorf("%s goes to the %s, want the %s", method, got, fill(c.want))
				}
			}
		})
	}
}

// The registrar's Service-Route is the Route set of calls, not of REGISTERs: alone, or
// behind the outbound proxy of the nodes, which goes out once if it is that.
func TestTheServiceRouteShapesTheWay(t *testing.T) {
	const outbound = "<outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>%s</outboundProxy_host>"
	for sentence, c := range map[string]struct{ nodes, route, register, invite string }{
		"to its first hop":           {"", "<sip:%s;lr>, <sip:core.test;lr>", "host by udp", "proxy by udp routed sip:%s;lr sip:core.test;lr"},
		"to the proxy":               {"<proxy>%s</proxy>", "<sip:core.test;lr>", "proxy by udp", "proxy by udp routed sip:core.test;lr"},
		"behind the outbound proxy":  {outbound, "<sip:core.test;lr>", "proxy by udp routed sip:%s;lr", "proxy by udp routed sip:%s;lr sip:core.test;lr"},
		"from the outbound proxy on": {outbound, "<sip:%s;lr;x=1>, <sip:core.test;lr>", "proxy by udp routed sip:%s;lr", "proxy by udp routed sip:%s;lr;x=1 sip:core.test;lr"},
	} {
		t.Run(sentence, func(t *testing.T) {
			host, proxy := newEar(t, "host"), newEar(t, "proxy")
			fill := func(s string) string { return strings.ReplaceAll(s, "%s", proxy.at) }
			for _, e := range []*ear{host, proxy} {
				e.mu.Lock()
				e.says = "Service-Route: " + fill(c.route)
				e.mu.Unlock()
			}
			g := start(t, map[string]string{"alice.xml": lineXML("alice", host.at, fill(c.nodes))})
			g.awaitState("alice", delivery.Registered)
			if _, err := g.Dial(t.Context(), control.Dial{Line: "alice", Dial: call.Dial{To: "bob"}}); err != nil {
				t.Fatal(err)
			}
			for method, want := range map[string]string{"REGISTER": c.register, "INVITE": c.invite} {
				got := ""
				eventually(t, func() bool { got = host.first(method) + proxy.first(method); return got != "" })
				if got != fill(want) {
					t.Errorf("%s goes to the %s, want the %s", method, got, fill(want))
				}
			}
			if lines := g.Status().Lines; len(lines) != 1 || strings.Join(lines[0].ServiceRoute, ", ") != strings.NewReplacer("<", "", ">", "").Replace(fill(c.route)) {
				t.Errorf("the status has %+v", lines)
			}
		})
	}
}

// What a REGISTER says by the nodes, and does not say without them.
func TestNodesShapeTheRegister(t *testing.T) {
	for node, c := range map[string]struct{ nodes, want string }{
		"expires":         {"<expires>77</expires>", "\r\nExpires: 77\r\n"},
		"userDisplayName": {"<userDisplayName>Front desk</userDisplayName>", "\r\nTo: \"Front desk\" <sip:alice@"},
		"headers":         {`<headers><header method="REGISTER" name="X-Site" value="north"/></headers>`, "\r\nX-Site: north\r\n"},
	} {
		with, without := newEar(t, "with"), newEar(t, "without")
		g := start(t, map[string]string{"alice.xml": lineXML("alice", with.at, c.nodes), "other.xml": lineXML("alice", without.at)})
		g.awaitState("alice", delivery.Registered)
		g.awaitState("other", delivery.Registered)
		if _, text := with.whole("REGISTER"); !strings.Contains(text, c.want) {
			t.Errorf("%s: no %q in\n%s", node, c.want, text)
		}
		if _, text := without.whole("REGISTER"); strings.Contains(text, c.want) {
			t.Errorf("%s: said without the node:\n%s", node, text)
		}
	}
}

// Under which address others are told to reach the line: in Contact and Via, of calls
// too. This host has 127.0.0.1, and the server sees another.
func TestNodesShapeTheContact(t *testing.T) {
	for nodes, want := range map[string]string{
		"": "127.0.0.1:own",
		"<contactIP>internal</contactIP><forcedContact>198.51.100.9</forcedContact>": "127.0.0.1:own",
		"<contactIP>static</contactIP><forcedContact>198.51.100.9</forcedContact>":   "198.51.100.9:own",
		"<contactIP>external</contactIP>":                                            "203.0.113.7:40000",
	} {
		server := newEar(t, "server")
		server.mu.Lock()
		server.sees = ";received=203.0.113.7;rport=40000"
		server.mu.Unlock()
		g := start(t, map[string]string{"alice.xml": lineXML("alice", server.at, nodes)})
		registered := ""
		g.await("the address is registered", func(lines map[string]delivery.LineReport) bool {
			registered = lines["alice"].Contact
			return strings.Contains(lines["alice"].Contact, "@"+strings.Split(want, ":")[0]+":")
		})
		if _, err := g.Dial(t.Context(), control.Dial{Line: "alice", Dial: call.Dial{To: "bob"}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return server.first("INVITE") != "" })
		_, text := server.whole("INVITE")
		server.mu.Lock()
		own := strings.TrimPrefix(server.from["INVITE"], "127.0.0.1")
		server.mu.Unlock()
		for what, said := range map[string][]string{
			"Contact": contactSaid.FindStringSubmatch(text), "Via": sentByOf.FindStringSubmatch(text), "Contact registered": contactSaid.FindStringSubmatch("Contact: <" + registered + ">"),
		} {
			if want := strings.Replace(want, ":own", own, 1); len(said) == 0 || said[1] != want {
				t.Errorf("%s: %s %q, want %s", nodes, what, said, want)
			}
		}
	}
}

var (
	sentByOf    = regexp.MustCompile(`(?m)^Via: SIP/2.0/UDP ([^;]*);`)
	contactSaid = regexp.MustCompile(`(?m)^Contact: *<sip:[^@]*@([^;>]*)`)
)

// vpnStartupUrl is asked before the line registers; that it fails is counted and
// shown, and the line registers all the same.
func TestNodesAskForTheVPN(t *testing.T) {
	server, alone := newEar(t, "server"), newEar(t, "alone")
	var mu sync.Mutex
	code, early, asked := http.StatusOK, "", 0
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked == 1 {
			early = alone.first("REGISTER")
		}
		if r.URL.Query().Get("who") != "alice" {
			code = http.StatusTeapot
		}
		w.WriteHeader(code)
		code = http.StatusBadGateway // from then on
	}))
	defer service.Close()
	nodes := "<vpnStartupUrl>" + service.URL + "/?who=%account[username]%</vpnStartupUrl>"
	g := start(t, map[string]string{"alice.xml": lineXML("alice", alone.at, nodes), "bob.xml": lineXML("bob", server.at)})
	g.awaitState("alice", delivery.Registered)
	g.awaitState("bob", delivery.Registered)
	vpn := func(line string) *control.WebService {
		for _, l := range g.Status().Lines {
			if l.Name == line {
				return l.VPNStartup
			}
		}
		return nil
	}
	eventually(t, func() bool {
		s := vpn("alice")
		return s != nil && s.Requests == 1 && s.Failures == 0 && s.LastCode == 200
	})
	if vpn("bob") != nil {
		t.Error("a line without the node has asked")
	}
	g.put("alice.xml", lineXML("alice", alone.at, nodes, "<expires>77</expires>"))
	eventually(t, func() bool {
		s := vpn("alice")
		return s != nil && s.Requests == 2 && s.Failures == 1 && s.LastCode == 502 && strings.HasSuffix(s.LastReason, ": 502 Bad Gateway")
	})
	g.awaitState("alice", delivery.Registered)
	mu.Lock()
	defer mu.Unlock()
	if early != "" {
		t.Errorf("asked behind the REGISTER: %s", early)
	}
}

// Keepalives go out where keepAlive asks for them, every keepAlivePeriod.
func TestNodesShapeTheKeepalives(t *testing.T) {
	t.Parallel() // it waits for five seconds, the shortest period there is
	often, seldom, never := newEar(t, "often"), newEar(t, "seldom"), newEar(t, "never")
	// The one without keepalives is there first, so that its time would have come, too.
	g := start(t, map[string]string{"never.xml": lineXML("never", never.at, "<keepAlive>0</keepAlive><keepAlivePeriod>5</keepAlivePeriod>")})
	g.awaitState("never", delivery.Registered)
	registered := time.Now()
	g.put("seldom.xml", lineXML("seldom", seldom.at, "<keepAlive>1</keepAlive><keepAlivePeriod>3600</keepAlivePeriod>"))
	g.awaitState("seldom", delivery.Registered)
	g.put("often.xml", lineXML("often", often.at, "<keepAlive>1</keepAlive><keepAlivePeriod>5</keepAlivePeriod>"))
	g.awaitState("often", delivery.Registered)
	eventually(t, func() bool { return often.first("") != "" })
	if after := time.Since(registered); after < 4*time.Second {
		t.Errorf("the first keepalive came after %v", after)
	}
	if said := seldom.first("") + never.first(""); said != "" {
		t.Errorf("a keepalive at the one that asked for it %s", said)
	}
}

// The title is what people know a line by: /statusz has it. Another one is nothing
// to the registrar.
func TestTheTitleIsShown(t *testing.T) {
	r := newRegistrar(t)
	g := start(t, map[string]string{"alice.xml": lineXML("alice", r.host(), "<title>Front desk</title>")})
	for _, title := range []string{"Front desk", "Night desk"} {
		g.put("alice.xml", lineXML("alice", r.host(), "<title>"+title+"</title>"))
		eventually(t, func() bool {
			lines := g.Status().Lines
			return len(lines) == 1 && lines[0].Title == title && lines[0].State == delivery.Registered
		})
	}
	if n := len(r.all()); n != 1 {
		t.Errorf("another title made the registrar hear %d requests", n)
	}
}
