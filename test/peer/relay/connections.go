package relay

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pair of connections: a client's and the one to the registrar that goes with it.
type pair struct{ client, server *net.TCPConn }

func (p *pair) close() {
	_ = p.client.Close()
	_ = p.server.Close()
}

// reset closes by RST instead of FIN.
func (p *pair) reset() {
	_ = p.client.SetLinger(0)
	_ = p.server.SetLinger(0)
	p.close()
}

func (r *Relay) accept(life context.Context, l *net.TCPListener) {
	for {
		client, err := l.AcceptTCP()
		if err != nil {
			if over(life, err) {
				return
			}
			continue
		}
		r.work.Go(func() { r.connect(life, client) })
	}
}

// connect passes a connection on; to a registrar that is away, it is reset.
func (r *Relay) connect(life context.Context, client *net.TCPConn) {
	conn, err := new(net.Dialer).DialContext(life, "tcp", r.upstream.String())
	if err != nil {
		_ = client.SetLinger(0)
		_ = client.Close()
		return
	}
	p := &pair{client, conn.(*net.TCPConn)}
	r.mu.Lock()
	r.pairs[p] = struct{}{}
	r.mu.Unlock()
	if life.Err() != nil { // Down was between
		p.reset()
	}
	var both sync.WaitGroup
	both.Go(func() { r.pass(p.server, p.client, true); p.close() })
	r.pass(p.client, p.server, false)
	p.close()
	both.Wait()
	r.mu.Lock()
	delete(r.pairs, p)
	r.mu.Unlock()
}

// pass copies one direction until it ends.
func (r *Relay) pass(to io.Writer, from io.Reader, up bool) {
	if r.opaque {
		_, _ = io.Copy(to, from)
		return
	}
	reader := bufio.NewReaderSize(from, mostDatagram)
	for {
		unit, err := readUnit(reader)
		if err != nil {
			return
		}
		r.note(unit, time.Now(), up)
		if _, err := to.Write(unit); err != nil {
			return
		}
	}
}

// readUnit takes a message off a connection (RFC 3261 §18.3: Content-Length tells
// its end), or the CRLF of a keepalive.
func readUnit(from *bufio.Reader) ([]byte, error) {
	var unit bytes.Buffer
	length := 0
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return nil, err
		}
		unit.WriteString(line)
		if strings.TrimSpace(line) == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		if name = strings.ToLower(strings.TrimSpace(name)); name == "content-length" || name == "l" {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return nil, err
			}
		}
	}
	_, err := io.CopyN(&unit, from, int64(length))
	return unit.Bytes(), err
}
