// Package echo is the least that a program can do with a call: answer it, and return each RTP datagram to where it came from,
// unread. No program that does something with audio can be cheaper, which makes it a yardstick.
package echo

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Serve answers calls at an address over UDP, until the socket fails. It knows as much of SIP as a caller on the same machine needs.
func Serve(addr netip.AddrPort) error {
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	calls := map[string]*net.UDPConn{}
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return err
		}
		m := parse(string(buffer[:n]))
		body := ""
		switch m.method {
		case "INVITE":
			if calls[m.id] == nil {
				conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr.Addr(), 0)))
				if err != nil {
					return err
				}
				calls[m.id] = conn
				go reflect(conn)
			}
			port := calls[m.id].LocalAddr().(*net.UDPAddr).Port
			body = fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP 0\r\n", addr.Addr(), port)
		case "BYE":
			if conn := calls[m.id]; conn != nil {
				_ = conn.Close()
				delete(calls, m.id)
			}
		default:
			continue
		}
		if _, err := socket.WriteToUDPAddrPort(m.ok(addr, body), from); err != nil {
			return err
		}
	}
}

func reflect(conn *net.UDPConn) {
	buffer := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		_, _ = conn.WriteToUDPAddrPort(buffer[:n], from)
	}
}

// message is what an answer needs of a request.
type message struct {
	method, id string
	headers    []string
}

func parse(text string) (m message) {
	m.method, _, _ = strings.Cut(text, " ")
	for line := range strings.SplitSeq(text, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch strings.ToLower(name) {
		case "call-id":
			m.id = strings.TrimSpace(value)
		case "via", "from", "cseq":
		case "to":
			if !strings.Contains(value, ";tag=") {
				line += ";tag=echo"
			}
		default:
			continue
		}
		m.headers = append(m.headers, line)
	}
	return m
}

func (m message) ok(at netip.AddrPort, body string) []byte {
	more := []string{"SIP/2.0 200 OK", strings.Join(m.headers, "\r\n"), fmt.Sprintf("Contact: <sip:echo@%s>", at)}
	if body != "" {
		more = append(more, "Content-Type: application/sdp")
	}
	return fmt.Appendf(nil, "%s\r\nContent-Length: %d\r\n\r\n%s", strings.Join(more, "\r\n"), len(body), body)
}
