package agent

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/delivery"
)

func listeningPort(n int) string {
	return "<listeningPort>" + strconv.Itoa(n) + "</listeningPort>"
}

// portOf is the port in a line's Contact.
func portOf(t *testing.T, l delivery.LineReport) int {
	t.Helper()
	var u sip.Uri
	if err := sip.ParseUri(strings.Trim(strings.SplitN(l.Contact, ">", 2)[0], "<"), &u); err != nil {
		t.Fatalf("Contact %q: %v", l.Contact, err)
	}
	return u.Port
}

// freePort is a port that nobody has now, for UDP and TCP.
func freePort(t *testing.T) int {
	t.Helper()
	u, l := listenBoth(t)
	defer func() { _, _ = u.Close(), l.Close() }()
	return u.LocalAddr().(*net.UDPAddr).Port
}

func TestListeningPorts(t *testing.T) {
	r := newRegistrar(t)
	wanted := freePort(t)
	g := start(t, map[string]string{
		"any.xml":    lineXML("any", r.host()),
		"other.xml":  lineXML("other", r.host()),
		"fixed.xml":  lineXML("fixed", r.host(), listeningPort(wanted)),
		"fixed2.xml": lineXML("fixed2", r.host(), listeningPort(wanted)),
		"own.xml":    lineXML("own", r.host(), listeningPort(0)),
		"own2.xml":   lineXML("own2", r.host(), listeningPort(0)),
	})
	g.sockets.linger = 50 * time.Millisecond
	ports := map[string]int{}
	for _, name := range []string{"any", "other", "fixed", "fixed2", "own", "own2"} {
		ports[name] = portOf(t, g.awaitState(name, delivery.Registered))
	}
	shared := g.sockets.shared.Port()
	switch {
	case ports["any"] != shared || ports["other"] != shared:
		t.Errorf("lines that ask for none are not on the shared port %d: %v", shared, ports)
	case ports["fixed"] != wanted || ports["fixed2"] != wanted:
		t.Errorf("lines that ask for %d do not share it: %v", wanted, ports)
	case ports["own"] == ports["own2"] || ports["own"] == shared || ports["own"] == wanted:
		t.Errorf("lines that ask for 0 have no port of their own: %v", ports)
	}
	for _, name := range []string{"any", "fixed", "own"} {
		c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", ports[name]))
		if err != nil {
			t.Errorf("%s's port takes no TCP: %v", name, err)
			continue
		}
		_ = c.Close()
	}
	// Another port is another socket: the line starts anew. 0 is a new one each time.
	g.put("own.xml", lineXML("own", r.host(), listeningPort(wanted)))
	g.await("own has moved to the fixed port", func(l map[string]delivery.LineReport) bool {
		return l["own"].State == delivery.Registered && portOf(t, l["own"]) == wanted
	})
	g.put("own.xml", lineXML("own", r.host(), listeningPort(0)))
	g.await("and to a new one", func(l map[string]delivery.LineReport) bool {
		p := 0
		if l["own"].State == delivery.Registered {
			p = portOf(t, l["own"])
		}
		return p != 0 && p != wanted && p != ports["own"]
	})
	// What no line uses any more is closed, and counted on.
	before := g.sockets.stats().Received
	for _, name := range []string{"fixed", "fixed2"} {
		g.put(name+".xml", lineXML(name, r.host()))
	}
	eventually(t, func() bool { return len(g.sockets.all()) == 3 })
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: wanted})
	if err != nil {
		t.Fatalf("the port that nobody uses is still open: %v", err)
	}
	_ = u.Close()
	if after := g.sockets.stats().Received; after < before {
		t.Errorf("datagrams received went from %d to %d", before, after)
	}
}

func TestAPortThatIsTakenIsItsLinesProblem(t *testing.T) {
	r := newRegistrar(t)
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = u.Close() }()
	taken := u.LocalAddr().(*net.UDPAddr).Port
	g := start(t, map[string]string{
		"any.xml":   lineXML("any", r.host()),
		"fixed.xml": lineXML("fixed", r.host(), listeningPort(taken)),
	})
	g.awaitState("any", delivery.Registered)
	l := g.awaitState("fixed", delivery.Error)
	if l.Problem != delivery.ProblemConfig || !strings.Contains(l.LastReason, strconv.Itoa(taken)) {
		t.Errorf("the line says %q, %q; want BadConfiguration and the port %d", l.Problem, l.LastReason, taken)
	}
	if ok, why := g.Ready(); !ok {
		t.Errorf("the agent is not ready: %s", why)
	}
	// The next change, or the next try, finds it free.
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	g.put("fixed.xml", lineXML("fixed", r.host(), listeningPort(taken), "<title>again</title>"))
	if p := portOf(t, g.awaitState("fixed", delivery.Registered)); p != taken {
		t.Errorf("registered on port %d, want %d", p, taken)
	}
}

// A port that breaks takes its lines to another one, and nothing else with it.
func TestALostPortIsOpenedAgain(t *testing.T) {
	r := newRegistrar(t)
	g := start(t, map[string]string{
		"any.xml": lineXML("any", r.host()),
		"own.xml": lineXML("own", r.host(), listeningPort(0)),
	})
	any, before := g.awaitState("any", delivery.Registered), portOf(t, g.awaitState("own", delivery.Registered))
	for _, k := range g.sockets.all()[1:] {
		_ = k.Close() // as Serve does with one that broke
		g.sockets.lose(k, 0)
	}
	g.await("own is on another port", func(l map[string]delivery.LineReport) bool {
		return l["own"].State == delivery.Registered && portOf(t, l["own"]) != before
	})
	if l := g.awaitState("any", delivery.Registered); l.Contact != any.Contact {
		t.Errorf("the other line's Contact changed from %s to %s", any.Contact, l.Contact)
	}
}
