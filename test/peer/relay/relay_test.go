package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// message is a REGISTER or its answer.
func sipMessage(first, user string, cseq int) string {
	return fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%s%d;rport\r\nFrom: \"X\" <sip:%s@h>;tag=1\r\nCSeq: %d REGISTER\r\nContent-Length: 2\r\n\r\nhi", first, user, cseq, user, cseq)
}

// upstream answers every message with 200, over both transports.
func upstream(t *testing.T) netip.AddrPort {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	addr := tcp.Addr().(*net.TCPAddr).AddrPort()
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	go func() {
		b := make([]byte, 2000)
		for {
			_, from, err := udp.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = udp.WriteToUDPAddrPort([]byte(sipMessage("SIP/2.0 200 OK", "a", 1)), from)
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			go func() {
				reader := bufio.NewReader(c)
				for {
					if _, err := readUnit(reader); err != nil {
						return
					}
					_, _ = io.WriteString(c, sipMessage("SIP/2.0 200 OK", "a", 1))
				}
			}()
		}
	}()
	return addr
}

func TestEveryMessageIsPassedAndSeen(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			r := ForTest(t, Config{Upstream: upstream(t)})
			c, err := net.Dial(network, r.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			began := time.Now()
			answer := make([]byte, 2000)
			for _, cseq := range []int{1, 1, 2} { // one of them a retransmission
				if _, err := io.WriteString(c, sipMessage("REGISTER sip:h SIP/2.0", "a", cseq)); err != nil {
					t.Fatal(err)
				}
				if n, err := c.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "SIP/2.0 200 ") || !strings.HasSuffix(string(answer[:n]), "hi") {
					t.Fatalf("answered %q, %v", answer[:n], err)
				}
			}
			seen := r.Seen(began.Add(-time.Second))
			if len(seen) != 6 || seen[0].User() != "a" || seen[1].Code != "200" || seen[1].Method != "REGISTER" || seen[0].At.Before(began.Add(-time.Millisecond)) {
				t.Errorf("%d messages: %+v", len(seen), seen)
			}
			if n := len(Requests(seen, "REGISTER")); n != 2 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestAResetIsSeenByTheClient(t *testing.T) {
	r := ForTest(t, Config{Upstream: upstream(t), Opaque: true})
	c, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, sipMessage("REGISTER sip:h SIP/2.0", "a", 1))
	if _, err := c.Read(make([]byte, 2000)); err != nil {
		t.Fatal(err)
	}
	if n := r.Reset(); n != 1 {
		t.Errorf("%d connections reset", n)
	}
	if _, err := c.Read(make([]byte, 2000)); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the client reads %v", err)
	}
}

func TestDownIsRefusedByTheKernel(t *testing.T) {
	r := ForTest(t, Config{Upstream: upstream(t)})
	r.Down()
	if c, err := net.Dial("tcp", r.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("a connection is taken while down")
	}
	if err := r.Up(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

func TestCountsPerSecond(t *testing.T) {
	at := func(ms ...int64) (all []Message) {
		for _, m := range ms {
			all = append(all, Message{At: time.UnixMilli(m)})
		}
		return all
	}
	all := at(1000, 1900, 2100, 2800, 4000)
	if got := fmt.Sprint(PerSecond(all)); got != "[2 2 0 1]" {
		t.Errorf("counted %s", got)
	}
}

func TestBusiestSecondBeginsAnywhere(t *testing.T) {
	at := func(ms int) Message { return Message{At: time.Unix(100, 0).Add(time.Duration(ms) * time.Millisecond)} }
	if n := Busiest(nil); n != 0 {
		t.Errorf("%d of none", n)
	}
	// Two in each second of the clock, three from 0.9 s on; a second is over after one.
	if n := Busiest([]Message{at(0), at(900), at(1899), at(1100), at(2000), at(2900)}); n != 3 {
		t.Errorf("%d, want 3", n)
	}
}
