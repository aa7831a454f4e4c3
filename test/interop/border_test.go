package interop

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// border stands between one agent and its server, and puts itself into the way of
// the audio as a session border controller does. What it loses is decided by a
// seeded generator, so that every run loses the same packets.
type border struct {
	t      *testing.T
	server netip.AddrPort
	down   *net.UDPConn // facing the agent
	up     *net.UDPConn // facing the server
	// near faces the agent, far the other end of its calls; RTP and RTCP.
	near, far [2]*net.UDPConn

	mu             sync.Mutex
	in, out        losses // towards the agent, and from it
	agent          netip.AddrPort
	caller, callee uint16 // their RTP ports
}

// losses of one direction.
type losses struct {
	random *rand.Rand
	part   float64
}

func newLosses(part float64) losses { return losses{rand.New(rand.NewPCG(7, 11)), part} }

func (l losses) next() bool { return l.random.Float64() < l.part }

func startBorder(t *testing.T, server netip.AddrPort, lossIn, lossOut float64) *border {
	t.Helper()
	r := &border{t: t, server: server, in: newLosses(lossIn), out: newLosses(lossOut)}
	for attempt := 0; !r.listen(); attempt++ { // somebody else may be quicker
		if attempt == 20 {
			t.Fatal("no ports for a relay")
		}
	}
	read := func(from *net.UDPConn, take func(b []byte, from netip.AddrPort)) {
		go func() {
			buffer := make([]byte, 65536)
			for {
				n, addr, err := from.ReadFromUDPAddrPort(buffer)
				if err != nil {
					return
				}
				take(buffer[:n], netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()))
			}
		}()
	}
	read(r.down, r.fromAgent)
	read(r.up, r.fromServer)
	for i := range 2 {
		read(r.near[i], func(b []byte, _ netip.AddrPort) { r.pass(b, r.far[i], &r.callee, i, r.out) })
		read(r.far[i], func(b []byte, _ netip.AddrPort) { r.pass(b, r.near[i], &r.caller, i, r.in) })
	}
	return r
}

// listen takes the ports, all or none.
func (r *border) listen() bool {
	first, err := process.FreePorts(6)
	if err != nil {
		r.t.Fatal(err)
	}
	first += first % 2
	var open []*net.UDPConn
	for _, port := range []uint16{first, first + 1, first + 2, first + 3, 0, 0} {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)))
		if err != nil {
			for _, o := range open {
				_ = o.Close()
			}
			return false
		}
		open = append(open, c)
	}
	for _, c := range open {
		r.t.Cleanup(func() { _ = c.Close() })
	}
	r.near, r.far, r.down, r.up = [2]*net.UDPConn{open[0], open[1]}, [2]*net.UDPConn{open[2], open[3]}, open[4], open[5]
	return true
}

// addr is what an account names as its proxy.
func (r *border) addr() string { return r.down.LocalAddr().String() }

func (r *border) fromAgent(b []byte, from netip.AddrPort) {
	r.mu.Lock()
	r.agent = from
	out := bend(b, &r.caller, r.far[0])
	r.mu.Unlock()
	_, _ = r.up.WriteToUDPAddrPort(out, r.server)
}

func (r *border) fromServer(b []byte, _ netip.AddrPort) {
	r.mu.Lock()
	out, agent := bend(b, &r.callee, r.near[0]), r.agent
	r.mu.Unlock()
	if agent.IsValid() {
		_, _ = r.down.WriteToUDPAddrPort(out, agent)
	}
}

var (
	mediaLine  = regexp.MustCompile(`(?m)^m=audio (\d+) `)
	lengthLine = regexp.MustCompile(`(?mi)^Content-Length: *(\d+)`)
)

// bend puts a port of the relay into a description, and notes the one that was there.
func bend(message []byte, port *uint16, through *net.UDPConn) []byte {
	head, body, found := strings.Cut(string(message), "\r\n\r\n")
	m := mediaLine.FindStringSubmatch(body)
	if !found || m == nil {
		return message
	}
	was, _ := strconv.ParseUint(m[1], 10, 16)
	*port = uint16(was)
	bent := mediaLine.ReplaceAllString(body, "m=audio "+strconv.Itoa(through.LocalAddr().(*net.UDPAddr).Port)+" ")
	head = lengthLine.ReplaceAllString(head, "Content-Length: "+strconv.Itoa(len(bent)))
	return []byte(head + "\r\n\r\n" + bent)
}

// pass hands a media packet on, or loses it. RTCP is never lost.
func (r *border) pass(b []byte, out *net.UDPConn, port *uint16, rtcp int, l losses) {
	r.mu.Lock()
	to := *port
	lost := rtcp == 0 && l.next()
	r.mu.Unlock()
	if to != 0 && !lost {
		_, _ = out.WriteToUDPAddrPort(b, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to+uint16(rtcp)))
	}
}
