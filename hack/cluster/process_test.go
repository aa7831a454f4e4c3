package main

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestAProcessIsToldFromTheNextOneWithItsNumber(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !self.running() {
		t.Error("this process does not run")
	}
	later, otherBoot := self, self
	later.Started, otherBoot.Boot = "1", "another"
	for _, i := range []identity{later, otherBoot} {
		if i.running() {
			t.Errorf("%+v is taken for this process", i)
		}
		if err := i.kill(); err != nil {
			t.Error(err)
		}
	}
}

func TestKillReturnsWhenTheProcessIsGone(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is a zombie
		if err := id.kill(); err != nil {
			t.Fatal(err)
		}
		if id.running() {
			t.Error("it runs after its end")
		}
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended by %v", err)
	}
}

func TestAComponentThatEndsIsStartedAgain(t *testing.T) {
	log := t.TempDir() + "/c.log"
	c := &component{command: command{"c", []string{"sh", "-c", "echo up; exit 3"}}, log: log}
	done := make(chan struct{})
	go func() { defer close(done); c.keep(t.Context()) }()
	err := until(t.Context(), 10*time.Second, func(_ context.Context) error {
		if c.status().Restarts < 2 {
			return errUsage
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := c.status(); s.End != "exit status 3" {
		t.Errorf("status %+v", s)
	}
	if text, _ := os.ReadFile(log); strings.Count(string(text), "up\n") < 2 {
		t.Errorf("the log of the first run is lost: %q", text)
	}
}

func TestTheRelayPassesBothDirectionsAndTheirEnds(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		all, _ := io.ReadAll(conn) // until the client has no more to say
		_, _ = conn.Write([]byte("heard " + string(all)))
	}()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	go relay(front, server.Addr().String())

	conn, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); string(answer) != "heard hello" {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func TestTheAPIKeepsItsPortWhenItCan(t *testing.T) {
	l := testLayout(t)
	if got := l.lastPort(); got != 0 {
		t.Errorf("port %d before the first start", got)
	}
	if err := writePKI(l.state("pki")); err != nil {
		t.Fatal(err)
	}
	open := func(wanted int) (*net.TCPListener, string) {
		listener, err := l.listenAPI(wanted)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeKubeconfig(l.kubeconfig(), l.state("pki"), "admin", "https://"+listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
		return listener, listener.Addr().String()
	}
	first, address := open(0)
	if l.apiServerOutside() != "https://"+address {
		t.Errorf("%s is read back as %s", address, l.apiServerOutside())
	}
	if _, err := l.listenAPI(l.lastPort()); err == nil {
		t.Error("a port that was asked for and is taken was replaced by another")
	}
	first.Close()
	second, same := open(0)
	if same != address {
		t.Errorf("the port changed from %s to %s", address, same)
	}
	third, other := open(0) // with the last one taken
	if other == address {
		t.Error("one port, two listeners")
	}
	second.Close()
	third.Close()
}
