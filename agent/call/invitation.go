package call

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// invitation is an INVITE we got, the first or a re-INVITE, until its ACK.
//
// The transaction layer sends a 2xx once and leaves the rest to us (RFC 6026
// §7.1): "the 2xx response is passed to the transport with an interval that
// starts at T1 seconds and doubles for each retransmission until it reaches T2
// seconds", until the ACK or for 64·T1 (RFC 3261 §13.3.1.4), whatever the
// transport.
type invitation struct {
	req       *sip.Request
	tx        sip.ServerTransaction
	first     bool                   // it made the dialog
	cancelled atomic.Bool            // set by the transaction, in its own time
	why       atomic.Pointer[string] // the CANCEL's Reason
	final     int                    // final response given; 0 = none yet
	ok        *sip.Response
	interval  time.Duration
	owed      bool // a 2xx without its ACK
	offered   bool // ours was the offer: the ACK brings the answer
}

// watch calls f when the INVITE is cancelled or its transaction is lost before
// a final response. f is called from the transaction: it must only post.
func (i *invitation) watch(cancelled, lost func()) {
	alive := i.tx.OnCancel(func(cancel *sip.Request) {
		if cancel != nil {
			if h := cancel.GetHeader("Reason"); h != nil {
				why := clip(printable(h.Value()))
				i.why.Store(&why)
			}
		}
		i.cancelled.Store(true)
		cancelled()
	})
	if !alive {
		i.cancelled.Store(true)
		cancelled()
	}
	if !i.tx.OnTerminate(func(string, error) { lost() }) {
		lost()
	}
}

// respond sends a response, unless the INVITE has its final one already; false
// when it did not go out. A CANCEL may come between any two instructions here;
// sipgo then would repeat what it was given last instead of its 487, so it is
// given a 487.
func (i *invitation) respond(res *sip.Response) bool {
	if i.final != 0 || i.cancelled.Load() {
		return false
	}
	err := i.tx.Respond(res)
	if errors.Is(err, sip.ErrTransactionCanceled) {
		i.cancelled.Store(true)
		_ = i.tx.Respond(reply(i.req, 487)) // nothing goes out, it only is remembered
		return false
	}
	if err == nil && res.StatusCode >= 200 {
		i.final = res.StatusCode
	}
	return err == nil
}

// accept sends a 2xx and owes its retransmissions; offered says that its body
// is an offer.
func (i *invitation) accept(res *sip.Response, offered bool) bool {
	if !i.respond(res) {
		return false
	}
	i.ok, i.interval, i.owed, i.offered = res, t1, true, offered
	return true
}

// again sends the 2xx once more and gives the time until the next.
func (i *invitation) again() time.Duration {
	_ = i.tx.Respond(i.ok) // a lost one is what retransmission is for
	i.interval = min(2*i.interval, t2)
	return i.interval
}

// acknowledged says whether an ACK is the one owed.
func (i *invitation) acknowledged(ack *sip.Request) bool {
	if !i.owed || ack.CSeq().SeqNo != i.req.CSeq().SeqNo {
		return false
	}
	i.owed = false
	return true
}
