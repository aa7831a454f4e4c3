package interop

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/coturn"
	"github.com/softphone-operator/softphone-operator/test/peer/home"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// natPage tells who hears whom from behind which NAT.
var natPage = drill.Page{
	File: "nat.md", Title: "Audio from behind NATs",
	Intro: "Calls of three seconds from a line of an agent in a network namespace behind a router in another one, each side sending a tone of its own. " +
		"Called is a softphone (baresip) at a public address, or a line like it behind another NAT of the kind. Its audio goes to where our description says, and nowhere " +
		"else. (With ICE, the one at a public address is a line, too: this baresip pairs no address that it learns from a check.) A port-keeping NAT is nftables' `masquerade`, a symmetric one is `masquerade fully-random`: another port for every destination. Neither lets in who was not spoken to. " +
		"STUN and TURN server is coturn with two addresses. After the semicolon: the way of our audio as the call's record tells it, with ICE the candidates of both sides.",
	Columns: []string{"no NAT", "port-keeping NAT", "symmetric NAT", "port-keeping NATs at both ends", "symmetric NATs at both ends"},
}

// Addresses on the internet that a test is for its homes: the registrar's, the two of the STUN and TURN server, and the phone's.
var (
	registrarAt = netip.MustParseAddr("198.51.100.1")
	coturnAt    = []netip.Addr{netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("198.51.100.3")}
	phoneAt     = netip.MustParseAddr("198.51.100.4")
)

// natMode is a way of a line to be reached, and what must come of its calls from behind each kind of NAT; "" = it is not tried.
type natMode struct {
	name, nodes              string
	none, keeping, symmetric string // called: a phone on the internet
	bothKeeping, bothSym     string // called: a line like it behind another NAT of the kind
}

func natModes(server string) []natMode {
	mode := func(name string) string { return "<natTraversal>" + name + "</natTraversal>" }
	stun := "<STUN>" + server + "</STUN>"
	turn := stun + fmt.Sprintf("<STUNUsername>%s</STUNUsername><STUNPassword>%s</STUNPassword>", coturn.User, coturn.Password)
	const (
		asIs, byStun, byTurn = "both ways; plain", "both ways; stun", "both ways; turn"
		deaf                 = "one way: they hear us, as the record says; "
		byICE                = "both ways; ice "
	)
	return []natMode{
		{"off", mode("off") + stun, "both ways; off", deaf + "off", deaf + "off", "", ""},
		{"auto, without a relay", mode("auto") + stun, "", byStun, deaf + "plain", "", "nobody hears anybody, as the record says; plain"},
		{"auto, with a relay", mode("auto") + turn, asIs, byStun, byTurn, byStun, byTurn},
		{"stunOnly", mode("stunOnly") + turn, asIs, byStun, deaf + "plain", "", ""},
		{"turnAlways", mode("turnAlways") + turn, byTurn, byTurn, byTurn, "", ""},
		{"ice", mode("ice") + turn, byICE + "host/host", byICE + "host/host", byICE + "host/host", byICE + "host/(srflx|prflx)", byICE + "(relay/.*|.*/relay)"},
	}
}

// TestNATModesBehindNATs calls from behind each kind of NAT by each mode, and holds what is heard against what must be.
func TestNATModesBehindNATs(t *testing.T) {
	t.Parallel()
	if !inNetworkOf(t, "-test.parallel", "4") {
		return
	}
	home.Internet(t, append([]netip.Addr{phoneAt, registrarAt}, coturnAt...)...)
	server := coturn.Start(t, coturn.Config{Transports: []string{"udp"}, Addrs: coturnAt})
	modes := natModes(server.Addr().String())
	kinds := []home.NAT{home.None, home.Keeping, home.Symmetric}
	var users []string
	nearOf, farOf, callees := map[home.NAT]accounts{}, map[home.NAT]accounts{}, accounts{}
	for _, kind := range kinds {
		nearOf[kind], farOf[kind] = accounts{}, accounts{}
		for i, m := range modes {
			nearOf[kind][fmt.Sprintf("%s%d", kind, i)], farOf[kind][fmt.Sprintf("far%s%d", kind, i)] = m.nodes, m.nodes
			if users = append(users, fmt.Sprintf("phone%s%d", kind, i)); m.name == "ice" {
				callees[fmt.Sprintf("phone%s%d", kind, i)] = m.nodes
			}
		}
		users = slices.Concat(users, slices.Collect(maps.Keys(nearOf[kind])), slices.Collect(maps.Keys(farOf[kind])))
	}
	r, host := registrar(t, kamailio.Config{Listen: netip.AddrPortFrom(registrarAt, 5060)}, users...)
	g := newGrid(t, &natPage)
	public := behindNAT(t, home.Config{Number: 9, Beyond: phoneAt, NAT: home.None}, host, callees)
	for n, kind := range kinds {
		near := behindNAT(t, home.Config{Number: 2*n + 1, Beyond: phoneAt, NAT: kind}, host, nearOf[kind])
		far := near
		if kind != home.None {
			far = behindNAT(t, home.Config{Number: 2*n + 2, Beyond: phoneAt, NAT: kind}, host, farOf[kind])
		}
		for i, m := range modes {
			want, both := []string{m.none, m.keeping, m.symmetric}[n], []string{"", m.bothKeeping, m.bothSym}[n]
			g.row(m.name)
			line, to := fmt.Sprintf("%s%d", kind, i), fmt.Sprintf("phone%s%d", kind, i)
			try := func(column, want string, call func(t *testing.T) string) {
				if want == "" {
					return
				}
				t.Run(column+"/"+m.name, func(t *testing.T) {
					t.Parallel()
					g.cell(t, m.name, column, call(t), want)
				})
			}
			try(natPage.Columns[n], want, func(t *testing.T) string {
				if m.name == "ice" {
					return callsALine(t, near, public, line, to)
				}
				return callsThePhone(t, near, r, line, to)
			})
			if kind != home.None {
				try(natPage.Columns[n+2], both, func(t *testing.T) string { return callsALine(t, near, far, line, "far"+line) })
			}
		}
	}
}

// accounts are lines by name, and their nodes.
type accounts map[string]string

// behindNAT runs an agent in a home of its own. Calls are answered, and echoed.
func behindNAT(t *testing.T, c home.Config, host string, lines accounts) *softphone {
	t.Helper()
	h := home.New(t, c)
	files := map[string]string{"agent.json": `{"version":1}`}
	for name, nodes := range lines {
		files[name+".xml"] = accountXML(name, "secret-"+name, host, autoAnswer, "<contactIP>external</contactIP><keepAlive>1</keepAlive><keepAlivePeriod>10</keepAlivePeriod>", nodes)
	}
	a := startAgent(t, options{files: files, home: h})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", h.Inside(), h.Translations())
		}
	})
	for name := range lines {
		a.awaitLine(name, "registered")
	}
	return a
}

// callsThePhone calls a baresip on the internet, which sends 700 Hz.
func callsThePhone(t *testing.T, a *softphone, r *kamailio.Registrar, line, phone string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	account := baresip.Account{User: phone, Host: r.Addr().String(), Password: "secret-" + phone, Register: true, AutoAnswer: true, Interface: phoneAt.String()}
	b := baresip.ForTest(t, baresip.Config{ToneHz: 700, Account: account})
	awaitBindings(t, r, phone, 1)
	id := a.dial(fmt.Sprintf(`{"line":%q,"to":%q,"seconds":3,"toneHz":1004}`, line, phone))
	end := a.awaitCall(id, "has ended", ended)
	_, err := b.Await(ctx, "CALL_CLOSED")
	must(t, err)
	must(t, b.Close())
	hz, share, err := b.Heard() // an error says that it heard nothing
	return reached(t, end, near(end, 700), err == nil && hz > 1002 && hz < 1006 && share > 0.5)
}

// callsALine calls a line in another home, which echoes: what comes back went both ways.
func callsALine(t *testing.T, a, far *softphone, line, to string) string {
	t.Helper()
	end := a.awaitCall(a.dial(fmt.Sprintf(`{"line":%q,"to":%q,"seconds":3,"toneHz":1004}`, line, to)), "has ended", ended)
	there := far.awaitIncoming(to, "ended", ended)
	return reached(t, end, near(end, 1004), near(there, 1004))
}

// reached tells what came of a call. The record must know whether the other side was heard.
func reached(t *testing.T, end record, we, they bool) string {
	t.Helper()
	says := ""
	if told := slices.Contains(end.Trouble, "one-way"); told != !we {
		t.Errorf("heard them: %v; the record says %s", we, pretty(end))
	} else if told {
		says = ", as the record says"
	}
	return whoHears(we, they) + says + "; " + end.NAT
}
