package call

import "sync"

// mailbox holds the events of one call until its goroutine takes them. Events
// of the call's own making (responses, digits, timers of others) are never
// refused, or the call would wait for them for good; requests of the network
// are, once mostRequests wait.
type mailbox struct {
	mu     sync.Mutex
	events []func()
	closed bool
	wake   chan struct{}
}

// mostRequests of the network wait for one call.
const mostRequests = 64

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// post adds an event; false when nobody takes events any more.
func (m *mailbox) post(event func()) bool { return m.add(event, -1) }

// offer is post for what the network sends: false also when too much waits.
func (m *mailbox) offer(event func()) bool { return m.add(event, mostRequests) }

func (m *mailbox) add(event func(), most int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || most >= 0 && len(m.events) >= most {
		return false
	}
	m.events = append(m.events, event)
	select {
	case m.wake <- struct{}{}:
	default: // it is awake already
	}
	return true
}

// next takes the oldest event; nil when there is none.
func (m *mailbox) next() func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.events) == 0 {
		m.events = nil
		return nil
	}
	event := m.events[0]
	m.events[0], m.events = nil, m.events[1:]
	return event
}

// close refuses further events, unless some wait still: then it is false.
func (m *mailbox) close() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = len(m.events) == 0
	return m.closed
}

// drop closes the mailbox whatever waits in it.
func (m *mailbox) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events, m.closed = nil, true
}
