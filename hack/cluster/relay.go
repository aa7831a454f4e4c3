package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
)

// relay joins every connection of a listener to a new one to address. The
// listener may belong to another network namespace: it is how the API server,
// and nothing else, is reached from outside the box.
func relay(listener net.Listener, address string) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer near.Close()
			far, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer far.Close()
			go func() {
				_, _ = io.Copy(far, near)
				_ = far.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.Copy(near, far)
		}()
	}
}

var serverPort = regexp.MustCompile(`server: "https://127\.0\.0\.1:(\d+)"`)

// lastPort returns the API's loopback port in the kubeconfig, or 0.
func (l layout) lastPort() int {
	text, err := os.ReadFile(l.kubeconfig())
	if err != nil {
		return 0
	}
	m := serverPort.FindSubmatch(text)
	if m == nil {
		return 0
	}
	port, _ := strconv.Atoi(string(m[1]))
	return port
}

func (l layout) apiServerOutside() string { return fmt.Sprintf("https://127.0.0.1:%d", l.lastPort()) }

// listenAPI opens the API's loopback port on this machine: the wanted one, or
// the last one if it is free, so that shells keep working, or any.
func (l layout) listenAPI(wanted int) (*net.TCPListener, error) {
	listen := func(port int) (*net.TCPListener, error) {
		return net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	}
	if wanted != 0 {
		listener, err := listen(wanted)
		if err != nil {
			return nil, fmt.Errorf("--port: %w", err)
		}
		return listener, nil
	}
	if last := l.lastPort(); last != 0 {
		if listener, err := listen(last); err == nil {
			return listener, nil
		}
	}
	return listen(0)
}
