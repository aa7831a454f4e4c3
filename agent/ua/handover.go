package ua

import (
	"hash/maphash"
	"sync"
)

// handover gives requests to their lines: those of one Call-ID one after the
// other, in the order they came, others beside them. It costs a goroutine while
// there is something to hand over, and none at rest.
type handover struct {
	seed   maphash.Seed
	queues [handoverQueues]queue
	guard  func(line string, f func()) (panicked bool)
	work   sync.WaitGroup
}

// Bounds of what waits for lines. A line that is slow holds up those whose
// Call-IDs share its queue, and nobody else.
const (
	handoverQueues = 64
	mostWaiting    = 512
)

type queue struct {
	mu      sync.Mutex
	tasks   []func()
	running bool
	closed  bool
}

func (h *handover) queueOf(callID string) *queue {
	return &h.queues[maphash.String(h.seed, callID)%handoverQueues]
}

// run has f called after everything of this Call-ID that came before. It is false
// when too much waits already: what is not taken is as good as lost on the way.
func (h *handover) run(callID string, f func()) bool {
	q := h.queueOf(callID)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.tasks) >= mostWaiting {
		return false
	}
	q.tasks = append(q.tasks, f)
	if !q.running {
		q.running = true
		h.work.Go(func() { h.drain(q) })
	}
	return true
}

// drain works a queue off.
func (h *handover) drain(q *queue) {
	for {
		q.mu.Lock()
		if len(q.tasks) == 0 {
			q.running, q.tasks = false, nil
			q.mu.Unlock()
			return
		}
		f := q.tasks[0]
		q.tasks[0] = nil
		q.tasks = q.tasks[1:]
		q.mu.Unlock()
		h.guard("request", f)
	}
}

// close takes nothing more and waits for what is under way.
func (h *handover) close() {
	for i := range h.queues {
		q := &h.queues[i]
		q.mu.Lock()
		q.closed, q.tasks = true, nil
		q.mu.Unlock()
	}
	h.work.Wait()
}
