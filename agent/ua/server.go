package ua

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// uas is the server half of the transaction layer (RFC 3261 §17.2 with RFC 6026):
// it tells new requests from those sent again, and answers the latter. sipgo's
// would keep goroutine, request and response of every one for 32 s
// (docs/decisions/0009-transactions.md), and hand requests over in any order.
type uas struct {
	endpoint *Endpoint
	parser   *sip.Parser
	handover handover
	// Timers of RFC 3261 table 4.
	t1, t2, t4 time.Duration

	mu     sync.Mutex
	all    map[string]*serverTx
	closed bool
}

// mostTransactions at a time; what comes beyond is lost, and sent again.
const mostTransactions = 1 << 16

// way is how the responses to a request go back (RFC 3261 §18.2.2, RFC 3581 §4).
type way struct {
	by *stream        // nil for UDP
	to netip.AddrPort // for UDP
}

// receive takes a request off the wire; it was admitted. It does not block.
func (s *uas) receive(raw []byte, from netip.AddrPort, by *stream) {
	s.endpoint.received(raw, from, by)
	tooLarge := oversized(raw)
	if tooLarge {
		raw = firstHeaders(raw)
	}
	raw = straighten(raw)
	msg, err := s.parser.ParseSIP(raw)
	req, ok := msg.(*sip.Request)
	if err != nil || !ok || req.Via() == nil {
		s.endpoint.count.malformed.Add(1)
		s.refuseUnreadable(raw, from, by, err)
		return
	}
	tidy(req)
	back := wayBack(req, from, by)
	if by == nil {
		req.SetTransport("UDP")
		req.SetSource(from.String())
	} else {
		req.SetTransport(by.network())
		req.SetSource(by.source)
	}
	if req.CSeq() == nil || req.CallID() == nil {
		// There is no telling it from others, so it makes no transaction.
		s.endpoint.count.malformed.Add(1)
		if code, reason := inspect(req); code != 0 && !req.IsAck() {
			_ = s.write(back, []byte(sip.NewResponseFromRequest(req, code, reason, nil).String()))
		}
		return
	}
	pass := s.pass
	if tooLarge {
		s.endpoint.count.malformed.Add(1)
		pass = s.refuseSize
	}
	if end := bytes.IndexByte(raw, '\n'); end > mostRequestLine {
		pass = s.refuseURI
	}
	s.match(req, back, pass)
}

// tidy takes the blanks off the parameters that transactions and dialogs are told by:
// there may be some around ";" and "=" (RFC 3261 §25.1; RFC 4475 §3.1.1.1).
func tidy(m sip.Message) {
	for _, h := range m.GetHeaders("Via") {
		if via, ok := h.(*sip.ViaHeader); ok {
			trim(via.Params)
		}
	}
	if from := m.From(); from != nil {
		trim(from.Params)
	}
	if to := m.To(); to != nil {
		trim(to.Params)
	}
}

func trim(params sip.HeaderParams) {
	for i := range params {
		params[i].K, params[i].V = strings.TrimSpace(params[i].K), strings.TrimSpace(params[i].V)
	}
}

// refuseSize answers a request of which only a part was looked at (RFC 3261 §21.5.7).
func (s *uas) refuseSize(req *sip.Request, tx *serverTx) {
	s.endpoint.answer(req, tx, 513, "Message Too Large")
}

// mostRequestLine is more than any URI takes that makes sense.
const mostRequestLine = 4096

// refuseURI answers a request whose URI is longer than we care to interpret (RFC 3261
// §21.4.12).
func (s *uas) refuseURI(req *sip.Request, tx *serverTx) {
	s.endpoint.answer(req, tx, 414, "Request-URI Too Long")
}

// match finds the transaction a request belongs to, or makes one and passes it on.
func (s *uas) match(req *sip.Request, back way, pass func(*sip.Request, *serverTx)) {
	tx, fresh := s.open(req, back)
	switch {
	case tx == nil:
		s.endpoint.count.overflow.Add(1)
	case !fresh && req.IsAck():
		tx.acknowledged(req)
	case !fresh:
		tx.repeated()
	case !s.handover.run(tx.callID, func() { pass(req, tx) }):
		s.endpoint.count.overflow.Add(1)
		tx.Terminate()
	default:
		tx.begin()
	}
}

// pass gives a new request to its line, after all that came before it.
func (s *uas) pass(req *sip.Request, tx *serverTx) {
	if req.IsCancel() {
		if invite := s.find(transactionKey(req, sip.INVITE)); invite != nil {
			invite.cancel(req, tx)
			return
		}
	}
	s.endpoint.handle(req, tx)
}

// open gives the transaction of a request, a fresh one if there is none. An ACK
// that matches none is one to a 2xx: it is on its own, and not remembered.
func (s *uas) open(req *sip.Request, back way) (tx *serverTx, fresh bool) {
	method := req.Method
	if req.IsAck() {
		method = sip.INVITE
	}
	key := transactionKey(req, method)
	s.mu.Lock()
	defer s.mu.Unlock()
	if tx := s.all[key]; tx != nil {
		return tx, false
	}
	if s.closed || len(s.all) >= mostTransactions {
		return nil, false
	}
	tx = &serverTx{server: s, key: key, callID: req.CallID().Value(), invite: req.IsInvite(), way: back, req: req}
	if req.IsAck() {
		tx.state, tx.err, tx.req = ended, sip.ErrTransactionTerminated, nil
		return tx, true
	}
	if s.all == nil {
		s.all = make(map[string]*serverTx)
	}
	s.all[key] = tx
	return tx, true
}

func (s *uas) find(key string) *serverTx {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[key]
}

func (s *uas) forget(tx *serverTx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[tx.key] == tx {
		delete(s.all, tx.key)
	}
}

func (s *uas) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// lost ends the transactions whose responses would have gone by a connection: it
// is gone, and we make none to strangers.
func (s *uas) lost(by *stream) {
	s.mu.Lock()
	var hit []*serverTx
	for _, tx := range s.all {
		if tx.way.by == by {
			hit = append(hit, tx)
		}
	}
	s.mu.Unlock()
	for _, tx := range hit {
		tx.end(fmt.Errorf("%w: %w", sip.ErrTransactionTransport, by.err()))
	}
}

// close ends everything and waits for the lines.
func (s *uas) close() {
	s.mu.Lock()
	s.closed = true
	all := make([]*serverTx, 0, len(s.all))
	for _, tx := range s.all {
		all = append(all, tx)
	}
	s.mu.Unlock()
	for _, tx := range all {
		tx.Terminate()
	}
	s.handover.close()
}

// write sends a response back.
func (s *uas) write(back way, response []byte) (err error) {
	s.endpoint.sending(back, response)
	if back.by != nil {
		_, err = back.by.Write(response)
	} else {
		err = s.endpoint.conn.send(response, back.to)
	}
	if err != nil {
		s.endpoint.notSent(back, response, err)
	}
	return err
}

// wayBack works out where responses go, and completes the top Via: "if the host
// portion of the sent-by parameter contains a domain name, or if it contains an
// IP address that differs from the packet source address, the server MUST add a
// received parameter" (RFC 3261 §18.2.1); rport asks for the port, too. maddr is
// not followed: it would have us send to whomever a stranger names.
func wayBack(req *sip.Request, from netip.AddrPort, by *stream) way {
	via := req.Via()
	port := uint16(via.Port)
	if port == 0 {
		port = UDP.DefaultPort()
	}
	named, err := netip.ParseAddr(strings.Trim(via.Host, "[]"))
	differs := err != nil || named.Unmap() != from.Addr()
	if rport, ok := via.Params.Get("rport"); ok && rport == "" {
		via.Params.Add("rport", strconv.Itoa(int(from.Port())))
		port, differs = from.Port(), true
	}
	if differs {
		via.Params.Add("received", from.Addr().String())
	}
	return way{by: by, to: netip.AddrPortFrom(from.Addr(), port)}
}

// transactionKey tells transactions apart (RFC 3261 §17.2.3): by branch, sent-by
// and method; those of older peers, whose branch says nothing, by what RFC 2543
// has.
func transactionKey(req *sip.Request, method sip.RequestMethod) string {
	via := req.Via()
	branch, _ := via.Params.Get("branch")
	if len(branch) > len(sip.RFC3261BranchMagicCookie) && strings.HasPrefix(branch, sip.RFC3261BranchMagicCookie) {
		return strings.Join([]string{branch, strings.ToLower(via.Host), strconv.Itoa(via.Port), string(method)}, "\x00")
	}
	from := ""
	if req.From() != nil {
		from, _ = req.From().Params.Get("tag")
	}
	// The To tag of an ACK is the response's, and its branch may differ.
	return strings.Join([]string{"", req.Recipient.String(), from, req.CallID().Value(),
		strconv.FormatUint(uint64(req.CSeq().SeqNo), 10), via.Host, strconv.Itoa(via.Port), string(method)}, "\x00")
}
