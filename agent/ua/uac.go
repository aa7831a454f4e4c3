package ua

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// uac is the client half of the transaction layer (RFC 3261 §17.1 with RFC 6026): it
// finds the request that a response is to. sipgo's would keep a goroutine, the
// request and the response of every INVITE for 32 s, and hand responses that came one
// after the other over in any order (docs/decisions/0009-transactions.md).
type uac struct {
	endpoint *Endpoint
	parser   *sip.Parser
	pending  pending
	write    func(way, []byte) error
	// Timers of RFC 3261 table 4.
	t1, t2, t4 time.Duration

	mu     sync.Mutex
	all    map[string]*clientTx
	closed bool
}

// receive takes a response off the wire; it was admitted. It does not block.
func (c *uac) receive(raw []byte, from netip.AddrPort, by *stream) {
	c.endpoint.received(raw, from, by)
	msg, err := c.parser.ParseSIP(raw)
	res, ok := msg.(*sip.Response)
	if err != nil || !ok || res.Via() == nil || res.CSeq() == nil || res.To() == nil || res.From() == nil || res.CallID() == nil {
		c.endpoint.count.malformed.Add(1)
		return
	}
	res.SetTransport("UDP")
	res.SetSource(from.String())
	if by != nil {
		res.SetTransport(by.network())
		res.SetSource(by.source)
	}
	c.mu.Lock()
	tx := c.all[clientKey(res.Via(), res.CSeq().MethodName)]
	c.mu.Unlock()
	if tx == nil {
		c.endpoint.count.stray.Add(1)
		return
	}
	tx.receive(res)
}

// clientKey tells our transactions apart (§17.1.3): by branch, which is ours, and
// method, since a CANCEL has the branch of its INVITE.
func clientKey(via *sip.ViaHeader, method sip.RequestMethod) string {
	branch, _ := via.Params.Get("branch")
	return branch + "\x00" + string(method)
}

// open makes a transaction of a request that is filled in, and sends it.
func (c *uac) open(req *sip.Request, out outgoing, who user) (*clientTx, error) {
	tx := &clientTx{
		client: c, key: clientKey(req.Via(), req.Method), method: req.Method, way: out.way, to: out.to, sent: time.Now(),
		user: who, req: req, raw: out.raw,
	}
	if err := c.add(tx); err != nil {
		return nil, err
	}
	c.pending.add(tx)
	return tx, tx.start()
}

func (c *uac) add(tx *clientTx) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.all[tx.key] != nil:
		return fmt.Errorf("%s was sent already", tx.method)
	case c.all == nil:
		c.all = make(map[string]*clientTx)
	}
	c.all[tx.key] = tx
	return nil
}

func (c *uac) forget(tx *clientTx) {
	c.pending.remove(tx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[tx.key] == tx {
		delete(c.all, tx.key)
	}
}

func (c *uac) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// some gives the transactions that fit.
func (c *uac) some(fit func(*clientTx) bool) []*clientTx {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*clientTx
	for _, tx := range c.all {
		if fit(tx) {
			found = append(found, tx)
		}
	}
	return found
}

// lost ends the transactions whose responses would have come by a connection. An
// INVITE that went by it for its size alone, and was taken, waits on, as one over UDP
// does: "if [the connection] is no longer open, the server SHOULD open a connection to
// the IP address in the received parameter" (RFC 3261 §18.2.2), where we listen, too.
func (c *uac) lost(by *stream) {
	for _, tx := range c.some(func(tx *clientTx) bool { return tx.way.by == by }) {
		if tx.large() && tx.taken() {
			continue
		}
		tx.fail(fmt.Errorf("%s to %s: %w", tx.method, tx.to.Addr, by.err()))
	}
}

// close ends everything.
func (c *uac) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	for _, tx := range c.some(func(*clientTx) bool { return true }) {
		tx.Terminate()
	}
}

func (c *uac) health() *health { return &c.endpoint.cfg.Locator.health }
