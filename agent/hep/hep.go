// Package hep sends copies of SIP messages to a capture server (HEPv3, as Homer,
// heplify-server and kamailio's sipcapture take it). It exists apart from package trace
// because it talks to the network: it must never hold up a call, so what the server or
// the way there cannot take is dropped, and counted.
package hep

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/trace"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Exporter sends messages. All methods may be called from any goroutine, except that
// Set and Close are one goroutine's.
type Exporter struct {
	node string
	log  *slog.Logger

	sent, dropped atomic.Uint64
	queue         atomic.Pointer[chan trace.Message]

	now  delivery.HEP
	stop context.CancelFunc
	done sync.WaitGroup
}

const (
	// mostWaiting messages for the server; further ones are dropped.
	mostWaiting = 1024
	// resolveEvery the address is looked up anew; failedWait after it was not found.
	resolveEvery = time.Minute
	failedWait   = 5 * time.Second
	dialTimeout  = 5 * time.Second
)

// New gives an exporter that sends nothing yet. node is how it calls itself.
func New(node string, log *slog.Logger) *Exporter { return &Exporter{node: node, log: log} }

// Set says where messages go from now on.
func (e *Exporter) Set(to delivery.HEP) {
	if to == e.now {
		return
	}
	e.Close()
	e.now = to
	if !to.Enabled() {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	queue := make(chan trace.Message, mostWaiting)
	e.stop = stop
	e.done.Go(func() { e.run(ctx, to, queue) })
	e.queue.Store(&queue)
	e.log.Info("SIP messages are sent to a capture server", "server", to.Address)
}

// Close ends the sending; what waits is dropped.
func (e *Exporter) Close() {
	e.queue.Store(nil)
	if e.stop != nil {
		e.stop()
		e.stop = nil
	}
	e.done.Wait()
	e.now = delivery.HEP{}
}

// Message takes a message to send. It does not block.
func (e *Exporter) Message(m trace.Message) {
	queue := e.queue.Load()
	if queue == nil {
		return
	}
	select {
	case *queue <- m:
	default:
		e.dropped.Add(1)
	}
}

// Counts of messages that were sent, and that were not.
func (e *Exporter) Counts() (sent, dropped uint64) { return e.sent.Load(), e.dropped.Load() }

// run sends what waits, by a connection that is made anew now and then: the server's
// address may change.
func (e *Exporter) run(ctx context.Context, to delivery.HEP, queue <-chan trace.Message) {
	who := identity{captureID: to.CaptureID, password: to.Password, node: e.node}
	var conn net.Conn
	var due time.Time
	var told bool
	var buffer []byte
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	for {
		var m trace.Message
		select {
		case m = <-queue:
		case <-ctx.Done():
			return
		}
		if now := time.Now(); !now.Before(due) {
			fresh, err := dial(ctx, to.Address)
			switch {
			case err == nil:
				if conn != nil {
					_ = conn.Close()
				}
				conn, due, told = fresh, now.Add(resolveEvery), false
			case ctx.Err() != nil:
				return
			default:
				due = now.Add(failedWait)
				if !told {
					e.log.Warn("capture server not found: messages are not sent", "server", to.Address, "error", err)
				}
				told = true
			}
		}
		if conn == nil {
			e.dropped.Add(1)
			continue
		}
		buffer = who.encode(buffer[:0], m)
		if _, err := conn.Write(buffer); err != nil { // an ICMP error for an earlier one, as a rule
			e.dropped.Add(1)
			continue
		}
		e.sent.Add(1)
	}
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return new(net.Dialer).DialContext(ctx, "udp", address)
}
