package registration

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// serve answers on a socket until it is closed. What is sent again gets the
// same answer again.
func (g *registrar) serve(c *net.UDPConn) {
	answered := make(map[string]string)
	b := make([]byte, 65536)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		msg, err := sip.ParseMessage(b[:n])
		if err != nil {
			continue // a keepalive
		}
		req := msg.(*sip.Request)
		req.SetSource(from.String())
		branch, _ := req.Via().Params.Get("branch")
		if _, again := answered[branch]; !again {
			if res := g.answer(req); res != nil {
				answered[branch] = res.String()
			}
		}
		if text := answered[branch]; text != "" {
			_, _ = c.WriteToUDPAddrPort([]byte(text), from)
		}
	}
}

func loopback(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func endpoint(t testing.TB) *ua.Endpoint {
	t.Helper()
	e, err := ua.Listen(ua.Config{Bind: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// await gives the first status that is as wanted.
func await(t testing.TB, said <-chan Status, wanted func(Status) bool) Status {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case s := <-said:
			if wanted(s) {
				return s
			}
		case <-deadline:
			t.Fatal("the status never came")
		}
	}
}

func TestOverTheWire(t *testing.T) {
	g, socket := newRegistrar(), loopback(t)
	g.passwords = map[string]string{"alice": "secret"}
	g.algorithm = "SHA-256"
	served := make(chan struct{})
	go func() { defer close(served); g.serve(socket) }()
	e, said := endpoint(t), make(chan Status, 100)
	cfg := Config{
		Name: "desk", AOR: AOR{User: "alice", Host: "sip.test"}, Proxy: socket.LocalAddr().String(), Password: "wrong",
		ContactUser: "k3x", Instance: "urn:uuid:1", RInstance: "base",
	}
	r := New(cfg, e, func(s Status) { said <- s })
	r.Start(t.Context())
	s := await(t, said, func(s Status) bool { return s.State == delivery.Unauthorized })
	if s.LastReason != "401 Unauthorized: the registrar refused the password of user alice" {
		t.Errorf("%+v", s)
	}
	cfg.Password = "secret"
	r.Update(cfg)
	s = await(t, said, func(s Status) bool { return s.State == delivery.Registered })
	here := fmt.Sprintf("127.0.0.1:%d", e.Port())
	contact := "sip:k3x@" + here + ";rinstance=base-1"
	if s.Contact != contact || s.Public != here || s.Server != socket.LocalAddr().String()+"/udp" {
		t.Errorf("%+v", s)
	}
	if got := g.bound("alice"); !slices.Equal(got, []string{contact}) {
		t.Errorf("bound: %q", got)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := g.bound("alice"); len(got) != 0 {
		t.Errorf("bound after stop: %q", got)
	}
	// A registrar that is gone is known to be at once.
	_ = socket.Close()
	<-served
	r.Start(t.Context())
	s = await(t, said, func(s Status) bool { return s.State == delivery.Error })
	if s.Problem != delivery.ProblemUnreachable || !strings.HasSuffix(s.LastReason, "is unreachable: connection refused") {
		t.Errorf("%+v", s)
	}
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// processEnv makes the test binary a registrar, so that its memory is its own.
const processEnv = "REGISTRATION_TEST_REGISTRAR"

// registrarProcess serves until its standard input ends.
func registrarProcess() {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	g := newRegistrar()
	g.forgetful = true
	g.passwords = make(map[string]string)
	for i := range mostLines {
		g.passwords[fmt.Sprintf("line%d", i)] = "secret"
	}
	go g.serve(c)
	fmt.Println(c.LocalAddr())
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// startRegistrar starts a registrar process and gives its address.
func startRegistrar(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), processEnv+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the registrar did not start: %v", err)
	}
	return strings.TrimSpace(line)
}
