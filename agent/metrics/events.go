package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/softphone-operator/softphone-operator/agent/subscription"
)

// eventCollector makes the series of what lines are told: subscriptions, mailboxes,
// those who are watched, and text messages. Lines without any have none.
type eventCollector struct {
	subscriptions, attempts, notifies *prometheus.Desc
	waiting, messages, watched, texts *prometheus.Desc

	mu     sync.Mutex
	byName map[string]*lineEvents
}

// lineEvents is what is known of one line.
type lineEvents struct {
	status   *subscription.Status
	attempts map[eventCode]uint64
	notifies map[string]uint64 // by event package
	texts    map[eventCode]uint64
}

// eventCode counts by an event package, or a direction, and a SIP code.
type eventCode struct {
	what string
	code int
}

func newEventCollector() *eventCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &eventCollector{
		subscriptions: desc("softphone_subscriptions", "Subscriptions of the account by state.", "account", "event", "state"),
		attempts: desc("softphone_subscription_attempts_total",
			"SUBSCRIBE exchanges that ended, by final SIP code; none = no answer.", "account", "event", "code"),
		notifies: desc("softphone_notifies_total", "NOTIFY requests that were taken.", "account", "event"),
		waiting:  desc("softphone_mwi_waiting", "1 while messages wait in the account's mailbox.", "account"),
		messages: desc("softphone_mwi_messages", "Messages in the account's mailbox.", "account", "kind"),
		watched:  desc("softphone_watched_state", "1, with what somebody does whose calls the account watches.", "account", "target", "state"),
		texts:    desc("softphone_text_messages_total", "Text messages (SIP MESSAGE), by final SIP code.", "account", "direction", "code"),
		byName:   map[string]*lineEvents{},
	}
}

// Describe implements prometheus.Collector.
func (c *eventCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.subscriptions, c.attempts, c.notifies, c.waiting, c.messages, c.watched, c.texts} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *eventCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, l := range c.byName {
		for k, n := range l.attempts {
			out <- prometheus.MustNewConstMetric(c.attempts, prometheus.CounterValue, float64(n), name, k.what, codeLabel(k.code))
		}
		for event, n := range l.notifies {
			out <- prometheus.MustNewConstMetric(c.notifies, prometheus.CounterValue, float64(n), name, event)
		}
		for k, n := range l.texts {
			out <- prometheus.MustNewConstMetric(c.texts, prometheus.CounterValue, float64(n), name, k.what, codeLabel(k.code))
		}
		if l.status != nil {
			c.collectStatus(out, name, l.status)
		}
	}
}

// collectStatus tells how a line's subscriptions stand, and what they told.
func (c *eventCollector) collectStatus(out chan<- prometheus.Metric, name string, s *subscription.Status) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{name}, labels...)...)
	}
	if m := s.MWI; m != nil && m.Subscription != nil {
		gauge(c.subscriptions, 1, subscription.MessageSummary, string(m.Subscription.State))
	}
	if m := s.MWI; m != nil && m.Messages != nil {
		gauge(c.waiting, bool01(m.Waiting))
		gauge(c.messages, float64(m.NewMessages), "new")
		gauge(c.messages, float64(m.OldMessages), "old")
	}
	states := map[subscription.State]int{}
	for _, w := range s.Watched {
		states[w.Subscription.State]++
		gauge(c.watched, 1, w.URI, string(w.State))
	}
	for state, n := range states {
		gauge(c.subscriptions, float64(n), subscription.DialogEvent, string(state))
	}
}

// line gives what is known of a line; c.mu is held.
func (c *eventCollector) line(name string) *lineEvents {
	l := c.byName[name]
	if l == nil {
		l = &lineEvents{attempts: map[eventCode]uint64{}, notifies: map[string]uint64{}, texts: map[eventCode]uint64{}}
		c.byName[name] = l
	}
	return l
}

func (c *eventCollector) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byName, name)
}

// Events shows how the subscriptions of a line stand.
func (m *Metrics) Events(account string, s *subscription.Status) {
	c := m.events
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName[account] == nil && s.MWI == nil && len(s.Watched) == 0 {
		return
	}
	c.line(account).status = s
}

// SubscriptionAttempt counts a SUBSCRIBE exchange that ended with a final code; 0 = no
// answer.
func (m *Metrics) SubscriptionAttempt(account, event string, code int) {
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	m.events.line(account).attempts[eventCode{event, known(code)}]++
}

// Notified counts a NOTIFY that was taken.
func (m *Metrics) Notified(account, event string) {
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	m.events.line(account).notifies[event]++
}

// TextMessage counts a MESSAGE by its final code; 0 = no answer. direction: in, out.
func (m *Metrics) TextMessage(account, direction string, code int) {
	m.events.mu.Lock()
	defer m.events.mu.Unlock()
	m.events.line(account).texts[eventCode{direction, known(code)}]++
}

// known keeps codes within what SIP knows.
func known(code int) int {
	if code < 100 || code > 699 {
		return 0
	}
	return code
}
