package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/provisioning"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// zone is DNS as a test has it: SRV records by name, and hosts, each an address of its own.
type zone map[string]string

func (z zone) FindService(_ context.Context, label, host string) ([]ua.Place, error) {
	switch at := z[label+host]; at {
	case "":
		return nil, nil
	case "silent":
		return nil, errors.New("no answer")
	default:
		return []ua.Place{{Addr: netip.MustParseAddrPort(at), Name: host}}, nil
	}
}

func (z zone) FindHost(_ context.Context, hostport string, port uint16) ([]ua.Place, error) {
	u := ua.URI("", hostport)
	if u.Port > 0 {
		port = uint16(u.Port)
	}
	return []ua.Place{{Addr: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), port), Name: u.Host}}, nil
}

// Whom calls ask where they can be reached, and by which ways they may be relayed.
func TestWhomCallsAskForTheirAddress(t *testing.T) {
	names := zone{"_stun._udp.pbx.test": "203.0.113.5:3478", "_turn._udp.pbx.test": "203.0.113.6:3478", "_turns._tcp.pbx.test": "203.0.113.7:443", "_stun._udp.silent.test": "silent"}
	for what, c := range map[string]struct{ nodes, want string }{
		"nothing said: DNS is asked": {"<host>pbx.test</host>", "auto stun 203.0.113.5:3478"},
		"an address as domain":       {"<host>192.0.2.1</host>", "nobody"},
		"off":                        {"<host>pbx.test</host><natTraversal>off</natTraversal>", "nobody"},
		"a server":                   {"<host>192.0.2.1</host><STUN>stun.test</STUN>", "auto stun 203.0.113.1:3478"},
		"a server and its port":      {"<host>192.0.2.1</host><STUN>stun.test:5000</STUN><natTraversal>stunOnly</natTraversal>", "stunOnly stun 203.0.113.1:5000"},
		"a user: relays by DNS":      {"<host>pbx.test</host><STUNUsername>u</STUNUsername>", "auto stun 203.0.113.5:3478 udp 203.0.113.6:3478 tls 203.0.113.7:443"},
		"a user and a server: all its ways": {"<host>pbx.test</host><STUN>stun.test</STUN><STUNUsername>u</STUNUsername>",
			"auto stun 203.0.113.1:3478 udp 203.0.113.1:3478 tcp 203.0.113.1:3478 tls 203.0.113.1:5349"},
		"a server by the port of TLS":              {"<host>pbx.test</host><STUN>stun.test:5349</STUN><STUNUsername>u</STUNUsername>", "auto stun 203.0.113.1:5349 tls 203.0.113.1:5349"},
		"an address as domain, by ICE":             {"<host>192.0.2.1</host><natTraversal>ice</natTraversal>", "ice"},
		"an address as domain, by relays alone":    {"<host>192.0.2.1</host><natTraversal>turnAlways</natTraversal>", "turnAlways"},
		"relays alone, and no user":                {"<host>pbx.test</host><natTraversal>turnAlways</natTraversal>", "turnAlways stun 203.0.113.5:3478"},
		"whatever the NAT is":                      {"<host>pbx.test</host><ignoreSymmetricNat>1</ignoreSymmetricNat>", "auto whatever the NAT stun 203.0.113.5:3478"},
		"an order of candidates, and the password": {"<host>192.0.2.1</host><natTraversal>ice</natTraversal><iceDefaultCandidateOrder>host,relay,srflx</iceDefaultCandidateOrder><STUNPassword>p</STUNPassword>", "ice host,relay,srflx password"},
		"DNS says nothing":                         {"<host>silent.test</host>", "auto: no answer"},
		"DNS knows of none":                        {"<host>other.test</host>", "auto"},
	} {
		docs, _, err := account.ReadString("<account><username>1</username>"+c.nodes+"</account>", account.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := account.Effective(docs[0])
		got := "nobody"
		if ask := natOf(&target{Line: provisioning.Line{Account: a}}, names); ask != nil {
			n, err := ask(t.Context())
			got = n.Mode
			if n.IgnoreSymmetric {
				got += " whatever the NAT"
			}
			if order := strings.Join(n.Order, ","); order != "relay,srflx,host" {
				got += " " + order
			}
			if n.Password == "p" {
				got += " password"
			}
			for _, s := range n.STUN {
				got += fmt.Sprintf(" stun %s", s)
			}
			for _, r := range n.TURN {
				got += fmt.Sprintf(" %s %s", r.Transport, r.Addr)
				if !strings.HasSuffix(r.Name, ".test") || r.TLS == nil {
					t.Errorf("%s: %+v", what, r)
				}
			}
			if err != nil {
				got += ": " + err.Error()
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}
