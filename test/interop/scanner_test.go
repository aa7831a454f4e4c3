package interop

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// probe is what a scanner sends: any method to any user, by a name that exists or not.
func probe(n int, from net.Addr, transport string) (user, text string) {
	users := []string{"100", "alice", "admin", "bob", strconv.Itoa(n), "alice"}
	method := []string{"OPTIONS", "INVITE", "REGISTER"}[n%3]
	user = users[n/3%len(users)]
	return user, strings.Join([]string{
		fmt.Sprintf("%s sip:%s@127.0.0.1 SIP/2.0", method, user),
		fmt.Sprintf("Via: SIP/2.0/%s %s;branch=z9hG4bKscan%d;rport", transport, from, n),
		"From: <sip:scan@scanner.invalid>;tag=s" + strconv.Itoa(n), "To: <sip:" + user + "@127.0.0.1>",
		"Call-ID: scan-" + strconv.Itoa(n), "CSeq: 1 " + method, "Max-Forwards: 70", "Content-Length: 0",
	}, "\r\n") + "\r\n\r\n"
}

// TestScanner knocks at the agent's port a thousand times a second, over UDP and by
// connections, while a call runs. Nothing changes for the lines, and no user name
// is told apart from another: nobody hears anything.
func TestScanner(t *testing.T) {
	_, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host), "bob.xml": accountXML("bob", "secret-bob", host, autoAnswer),
	}})
	alice, _ := a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	id := a.dial(`{"line":"alice","to":"bob","seconds":6,"toneHz":1004}`)
	a.awaitCall(id, "hears its echo", func(r record) bool { return near(r, 1004) })
	target := fmt.Sprintf("127.0.0.1:%d", a.sip)
	goroutines, memory := a.metric("go_goroutines"), a.metric("process_resident_memory_bytes")

	socket, err := net.ListenPacket("udp4", "127.0.0.2:0") // 127.0.0.1 is the lines' server
	must(t, err)
	defer func() { _ = socket.Close() }()
	to, err := net.ResolveUDPAddr("udp4", target)
	must(t, err)
	const perSecond, seconds, connections = 1000, 3, 30
	beat := time.NewTicker(time.Second / 100)
	defer beat.Stop()
	began := time.Now()
	for n := 0; n < perSecond*seconds; n++ {
		if n%(perSecond/100) == 0 {
			<-beat.C
		}
		_, text := probe(n, socket.LocalAddr(), "UDP")
		_, err := socket.WriteTo([]byte(text), to)
		must(t, err)
	}
	rate := perSecond * seconds / time.Since(began).Seconds()
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 3)}}
	for n := range connections {
		c, err := from.DialContext(t.Context(), "tcp4", target)
		must(t, err)
		user, text := probe(n, c.LocalAddr(), "TCP")
		_, err = c.Write([]byte(text))
		must(t, err)
		must(t, c.SetReadDeadline(time.Now().Add(patience)))
		// Closed, and without a word: for those who exist as for those who do not.
		if got, err := c.Read(make([]byte, 2048)); got != 0 || err == nil {
			t.Errorf("a stranger that asked for %s by TCP heard %d bytes, %v", user, got, err)
		}
		_ = c.Close()
	}
	end := a.awaitCall(id, "ended", ended)
	if end.RTP.Lost != 0 || end.RTP.Received < 200 || end.End.Code != 200 {
		t.Errorf("the call was disturbed: %s", pretty(end))
	}
	must(t, socket.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	if got, _, err := socket.ReadFrom(make([]byte, 2048)); err == nil {
		t.Errorf("a stranger heard %d bytes by UDP", got)
	}
	if now := a.line("alice"); now.State != alice.State || now.Contact != alice.Contact || now.LastCode != alice.LastCode {
		t.Errorf("the line changed from %+v to %+v", alice, now)
	}
	dropped := a.metric("softphone_sip_dropped_total")
	if dropped < perSecond*seconds*9/10 {
		t.Errorf("%v of %d were seen and dropped", dropped, perSecond*seconds)
	}
	eventually(t, "goroutines are as few as before", func() (bool, string) {
		now := a.metric("go_goroutines")
		return now <= goroutines, fmt.Sprintf("%v, were %v", now, goroutines)
	})
	if after := a.metric("process_resident_memory_bytes"); after > memory+8<<20 {
		t.Errorf("memory went from %d to %d kB", memory>>10, after>>10)
	}
	outcome(t, "scanner", "%.0f/s, %v dropped unanswered, %d connections closed unheard; call sent/received/lost %d/%d/%d",
		rate, dropped, connections, end.RTP.Sent, end.RTP.Received, end.RTP.Lost)
}
