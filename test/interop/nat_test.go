package interop

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/coturn"
	"github.com/softphone-operator/softphone-operator/test/peer/dnsmasq"
)

// throughTURN are the nodes of a line that is always relayed.
func throughTURN(server string) string {
	return fmt.Sprintf("<natTraversal>turnAlways</natTraversal><STUN>%s</STUN><STUNUsername>%s</STUNUsername><STUNPassword>%s</STUNPassword>",
		server, coturn.User, coturn.Password)
}

// TestCallsThroughTURN relays calls by coturn, reached by each transport, in both directions; baresip, which knows nothing of it,
// talks to the relay.
func TestCallsThroughTURN(t *testing.T) {
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			keys := newPKI(t)
			keys.serve(t, keys.ca.issue(t, "turn.carrier.test"))
			server := coturn.Start(t, coturn.Config{Transports: []string{transport}, CertFile: keys.serverCert, KeyFile: keys.serverKey})
			names := dnsmasq.Start(t, dnsmasq.Config{Hosts: map[string][]netip.Addr{"turn.carrier.test": {netip.MustParseAddr("127.0.0.1")}}})
			at := fmt.Sprintf("turn.carrier.test:%d", server.Addr().Port())
			a, b, ctx := withBaresipIn(t, options{
				files: map[string]string{"ca.crt": string(keys.ca.pem)}, args: []string{"--resolver", names.Addr().String()},
			}, baresip.Account{AutoAnswer: true}, autoAnswer, throughTURN(at))
			a.awaitMedia("alice", "reachable Relayed by turn")
			id := a.dial(`{"line":"alice","to":"bob","seconds":4,"toneHz":1004}`)
			a.awaitCall(id, "hears bob", func(r record) bool { return near(r, 700) && r.RTP.Received > 100 })
			provoke(t, a)
			call := a.awaitCall(id, "has ended", ended)
			if _, err := b.Await(ctx, "CALL_CLOSED"); err != nil {
				t.Fatal(err)
			}
			if call.NAT != "turn" || !strings.Contains(strings.Join(call.Treatment, "\n"), "relayed by") {
				t.Errorf("the record says %s", pretty(call))
			}
			must(t, b.Dial(ctx, "alice"))
			in := a.awaitIncoming("alice", "echoes", func(r record) bool { return r.ID != id && near(r, 700) && r.RTP.Received > 100 })
			must(t, b.Hangup(ctx))
			a.awaitCall(in.ID, "has ended", ended)
			hz, share := baresipHeard(t, b)
			if math.Abs(hz-700) > 2 || share < 0.5 || in.NAT != "turn" {
				t.Errorf("it heard %.0f Hz (%.2f) of its echo; the record says %s", hz, share, pretty(in))
			}
			outcome(t, "coturn", "%s: both ways through the relay, lost %d of %d", transport, call.RTP.Lost, call.RTP.Received)
		})
	}
}

// awaitMedia waits until a line says this of the way of its audio.
func (s *softphone) awaitMedia(line, want string) {
	s.t.Helper()
	eventually(s.t, "the audio of "+line+" is "+want, func() (bool, string) {
		l := s.line(line)
		if l.Media == nil {
			return false, pretty(l)
		}
		return strings.TrimSuffix(l.Media.Reach+" "+l.Media.Finding+" by "+l.Media.Way, " by ") == want, pretty(l)
	})
}

// provoke sends what ended programs built on an older library (GHSA-34rh-wp3j-6cxc) to every UDP port of the agent, the TURN client's
// among them: a Data indication with an XOR-PEER-ADDRESS of no length, 24 bytes, from anybody.
func provoke(t *testing.T, a *softphone) {
	t.Helper()
	poison := []byte{0, 0x17, 0, 4, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0x12, 0, 0}
	conn, err := net.ListenPacket("udp4", "127.0.0.3:0")
	must(t, err)
	defer func() { _ = conn.Close() }()
	ports := a.udpPorts()
	if len(ports) < 3 { // SIP, RTP, RTCP
		t.Errorf("the agent has the ports %v", ports)
	}
	for _, port := range ports {
		_, err := conn.WriteTo(poison, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		must(t, err)
	}
}

// udpPorts of the agent, as the kernel has them.
func (s *softphone) udpPorts() (ports []int) {
	s.t.Helper()
	for port := range s.udpDrops() {
		ports = append(ports, port)
	}
	return ports
}

// udpDrops are the datagrams for which there was no room any more at each port of the agent.
func (s *softphone) udpDrops() map[int]int {
	s.t.Helper()
	sockets, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.Pid))
	must(s.t, err)
	own := map[string]bool{}
	for _, fd := range sockets {
		if to, err := os.Readlink(fd); err == nil {
			own[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/udp", s.Pid))
	must(s.t, err)
	drops := map[int]int{}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line) // sl local remote st queues tr tm retrnsmt uid timeout inode ref pointer drops
		if len(fields) < 13 || !own[fields[9]] {
			continue
		}
		_, port, _ := strings.Cut(fields[1], ":")
		n, err := strconv.ParseUint(port, 16, 16)
		must(s.t, err)
		drops[int(n)], err = strconv.Atoi(fields[12])
		must(s.t, err)
	}
	return drops
}

// TestNoRelayNoCall has a line that must be relayed, and a server that is not there or does not know it.
func TestNoRelayNoCall(t *testing.T) {
	t.Parallel()
	server := coturn.Start(t, coturn.Config{Transports: []string{"udp"}})
	for what, nodes := range map[string]string{
		"no server":        throughTURN("127.0.0.1:9"),
		"a wrong password": strings.Replace(throughTURN(server.Addr().String()), coturn.Password, "wrong", 1),
	} {
		a, _, _ := withBaresip(t, baresip.Account{AutoAnswer: true}, nodes)
		a.awaitMedia("alice", "unreachable NoRelay")
		if l := a.line("alice"); strings.Contains(l.Media.Detail, "wrong") {
			t.Errorf("%s: the password is in %s", what, pretty(l))
		}
		began := time.Now()
		end := a.awaitCall(a.dial(`{"line":"alice","to":"bob","seconds":4}`), "has ended", ended)
		if end.End.Code != 503 || !strings.Contains(end.End.Reason, "no relay") || strings.Contains(end.End.Reason, "wrong") {
			t.Errorf("%s: the record says %s", what, pretty(end))
		}
		outcome(t, "coturn", "%s: no call after %s: %s", what, ms(time.Since(began)), end.End.Reason)
	}
}

// TestSTUNSaysThatThereIsNoNAT asks coturn, found by SRV, where the line's ports are seen: where they are.
func TestSTUNSaysThatThereIsNoNAT(t *testing.T) {
	t.Parallel()
	server := coturn.Start(t, coturn.Config{Transports: []string{"udp"}})
	a, _, _ := withBaresip(t, baresip.Account{AutoAnswer: true}, "<natTraversal>auto</natTraversal><STUN>"+server.Addr().String()+"</STUN>")
	a.awaitMedia("alice", "reachable Direct by plain")
	end := a.awaitCall(a.dial(`{"line":"alice","to":"bob","seconds":2,"toneHz":1004}`), "has ended", ended)
	if end.NAT != "plain" || !strings.Contains(strings.Join(end.Treatment, "\n"), "there is no NAT") || !near(end, 700) {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "coturn", "STUN: %s", end.Treatment[len(end.Treatment)-1])
}
