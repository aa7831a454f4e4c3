package ua

import (
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// transaction is what Request gives: a client transaction whose responses wait until
// they are read, so that a slow reader delays nothing and a queue that repeats 180 for
// minutes fills nothing. It costs a goroutine while something waits, and none else.
type transaction struct {
	tx        *clientTx
	responses chan *sip.Response
	done      chan struct{}       // closed when it has ended and all was read
	stop      chan struct{}       // closed by Terminate
	over      chan struct{}       // closed when it has ended
	told      func(*sip.Response) // of OnResponse; nil = they wait to be read

	mu       sync.Mutex
	queue    []*sip.Response
	passing  bool // pass runs
	finished bool // over is closed
	stopped  bool
	err      error
	onAgain  sip.FnTxResponse
	onEnd    []sip.FnTxTerminate
}

func newTransaction() *transaction {
	return &transaction{
		responses: make(chan *sip.Response), done: make(chan struct{}), stop: make(chan struct{}), over: make(chan struct{}),
	}
}

// readerPatience bounds how long a transaction that has ended waits for its
// responses to be read.
const readerPatience = 32 * time.Second

// mostProvisional responses are kept for a reader that does not read; further
// ones are dropped, final ones never.
const mostProvisional = 32

func (t *transaction) Responses() <-chan *sip.Response { return t.responses }
func (t *transaction) Done() <-chan struct{}           { return t.done }

// Err tells why the transaction ended.
func (t *transaction) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Terminate ends the transaction; responses not read yet are lost.
func (t *transaction) Terminate() {
	t.mu.Lock()
	if !t.stopped {
		t.stopped = true
		close(t.stop)
	}
	t.mu.Unlock()
	t.tx.Terminate()
}

// Silent tells that others are tried because nothing has come for so long: the server
// is one to avoid from now on (Endpoint.Resolve), unless something did come. The
// transaction goes on.
func (t *transaction) Silent() { t.tx.silent() }

// OnRetransmission has f called with every 2xx to an INVITE after the first, one
// after the other. It must not block.
func (t *transaction) OnRetransmission(f sip.FnTxResponse) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onAgain = f
	return true
}

// OnTerminate has f called when the transaction has ended; false: it has.
func (t *transaction) OnTerminate(f sip.FnTxTerminate) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.finished {
		return false
	}
	t.onEnd = append(t.onEnd, f)
	return true
}

func (t *transaction) response(res *sip.Response) {
	if t.told != nil {
		t.told(res)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped || len(t.queue) >= mostProvisional && res.IsProvisional() {
		return
	}
	t.queue = append(t.queue, res)
	if !t.passing {
		t.passing = true
		go t.pass()
	}
}

func (t *transaction) repeated(res *sip.Response) {
	t.mu.Lock()
	f := t.onAgain
	t.mu.Unlock()
	if f != nil {
		f(res)
	}
}

func (t *transaction) ended(err error) {
	t.mu.Lock()
	if t.finished {
		t.mu.Unlock()
		return
	}
	t.finished, t.err = true, err
	hooks := t.onEnd
	t.onEnd = nil
	close(t.over)
	if !t.passing {
		close(t.done)
	}
	t.mu.Unlock()
	for _, f := range hooks {
		f(t.tx.key, err)
	}
}

// pass hands over what waits.
func (t *transaction) pass() {
	over := t.over
	var patience <-chan time.Time
	for res := t.next(false); res != nil; {
		select {
		case t.responses <- res:
			res = t.next(false)
		case <-over:
			over, patience = nil, time.After(readerPatience)
		case <-patience:
			res = t.next(true)
		case <-t.stop:
			res = t.next(true)
		}
	}
}

// next gives what to hand over; nil when nothing is left, or nobody wants it.
func (t *transaction) next(drop bool) *sip.Response {
	t.mu.Lock()
	defer t.mu.Unlock()
	if drop {
		t.queue = nil
	}
	if len(t.queue) > 0 {
		res := t.queue[0]
		t.queue[0], t.queue = nil, t.queue[1:]
		return res
	}
	t.passing, t.queue = false, nil
	if t.finished {
		close(t.done)
	}
	return nil
}

// asker is who waits for a final response and nothing else.
type asker struct {
	final chan *sip.Response
	over  chan error
}

func newAsker() asker { return asker{final: make(chan *sip.Response, 1), over: make(chan error, 1)} }

func (a asker) response(res *sip.Response) {
	if !res.IsProvisional() {
		a.final <- res
	}
}

func (a asker) repeated(*sip.Response) {}
func (a asker) ended(err error)        { a.over <- err }
