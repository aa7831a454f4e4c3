package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/dnsmasq"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/relay"
)

// subscribed tells how a subscription stands.
type subscribed struct {
	State, LastReason string
	LastCode          int
	ExpiresAt         time.Time
}

// mwiStatus is what a line knows of its mailbox.
type mwiStatus struct {
	Waiting                  bool
	NewMessages, OldMessages int
	Since                    time.Time
	Subscription             *subscribed
}

// watchedStatus is what a line knows of somebody's calls.
type watchedStatus struct {
	URI, State string
	Since      time.Time
	Calls      int
	History    []struct {
		State string
		At    time.Time
	}
	Subscription subscribed
}

// states of a history, in order.
func (w watchedStatus) states() []string {
	var all []string
	for _, h := range w.History {
		all = append(all, h.State)
	}
	return all
}

const voicemail = "<subscribeForVoicemail>1</subscribeForVoicemail>"

func blf(targets ...string) string {
	return "<blf><uri>" + strings.Join(targets, "</uri><uri>") + "</uri></blf>"
}

// awaitMailbox waits until what a line knows of its mailbox fits.
func (s *softphone) awaitMailbox(line, says string, fits func(mwiStatus) bool) mwiStatus {
	s.t.Helper()
	var found mwiStatus
	eventually(s.t, "the mailbox of "+line+" "+says, func() (bool, string) {
		l := s.line(line)
		if l.MWI == nil {
			return false, pretty(l)
		}
		found = *l.MWI
		return fits(found), pretty(l)
	})
	return found
}

// awaitWatched waits until what a line knows of somebody fits.
func (s *softphone) awaitWatched(line, target, says string, fits func(watchedStatus) bool) watchedStatus {
	s.t.Helper()
	var found watchedStatus
	eventually(s.t, line+" sees that "+target+" "+says, func() (bool, string) {
		l := s.line(line)
		for _, w := range l.Watched {
			if w.URI == target {
				found = w
				return fits(w), pretty(l)
			}
		}
		return false, pretty(l)
	})
	return found
}

// presence runs a registrar that tells of mailboxes and calls, and an agent.
func presence(t *testing.T, c kamailio.Config, more map[string]string, users ...string) (*kamailio.Registrar, *softphone) {
	t.Helper()
	c.Presence = true
	r, host := registrar(t, c, users...)
	files := map[string]string{}
	for _, u := range users {
		files[u+".xml"] = accountXML(u, "secret-"+u, host, more[u])
	}
	a := startAgent(t, options{files: files})
	for _, u := range users {
		a.awaitLine(u, "registered")
	}
	return r, a
}

func isActive(s subscribed) bool { return s.State == "active" && s.LastCode == 200 }

// TestMessageWaiting: the lamp of a line is lit, and goes out.
func TestMessageWaiting(t *testing.T) {
	t.Parallel()
	r, a := presence(t, kamailio.Config{}, map[string]string{"alice": voicemail}, "alice", "bob")
	a.awaitMailbox("alice", "is subscribed to", func(m mwiStatus) bool { return m.Subscription != nil && isActive(*m.Subscription) })
	began := time.Now()
	must(t, r.PublishMailbox(t.Context(), "alice", "Messages-Waiting: yes", "Message-Account: sip:alice@voicemail.test", "Voice-Message: 2/5 (1/0)"))
	a.awaitMailbox("alice", "has two new messages", func(m mwiStatus) bool { return m.Waiting && m.NewMessages == 2 && m.OldMessages == 5 })
	lit := time.Since(began)
	must(t, r.PublishMailbox(t.Context(), "alice", "Messages-Waiting: no", "Voice-Message: 0/7"))
	a.awaitMailbox("alice", "is empty", func(m mwiStatus) bool { return !m.Waiting && m.OldMessages == 7 })
	if l := a.line("bob"); l.MWI != nil {
		t.Errorf("bob, who asks for nothing, has %+v", l.MWI)
	}
	_, metrics := a.request("GET", "/metrics", "")
	for _, want := range []string{`softphone_mwi_waiting{account="alice"} 0`, `softphone_mwi_messages{account="alice",kind="old"} 7`,
		`softphone_subscriptions{account="alice",event="message-summary",state="active"} 1`} {
		if !strings.Contains(string(metrics), want+"\n") {
			t.Errorf("no %s among the metrics", want)
		}
	}
	outcome(t, "kamailio/presence", "the lamp was lit %s after the voicemail server's PUBLISH, and went out", ms(lit))
}

// TestBusyLampFields: a line sees the states of another line's call, in order, and of
// the line that calls it.
func TestBusyLampFields(t *testing.T) {
	t.Parallel()
	// One worker: two may tell of an answer before they tell of the ringing.
	_, a := presence(t, kamailio.Config{Children: 1}, map[string]string{"watcher": blf("alice", "bob"), "bob": "<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>1</autoAnswerTimeoutInSeconds>"}, "watcher", "alice", "bob")
	for _, target := range []string{"alice", "bob"} {
		a.awaitWatched("watcher", target, "is watched", func(w watchedStatus) bool { return isActive(w.Subscription) })
	}
	id := a.dial(`{"line":"alice","to":"bob"}`)
	for _, target := range []string{"alice", "bob"} {
		a.awaitWatched("watcher", target, "is busy", func(w watchedStatus) bool { return w.State == "confirmed" && w.Calls == 1 })
	}
	_, metrics := a.request("GET", "/metrics", "")
	if want := `softphone_watched_state{account="watcher",state="confirmed",target="bob"} 1`; !strings.Contains(string(metrics), want+"\n") {
		t.Errorf("no %s among the metrics", want)
	}
	if code, answer := a.request("DELETE", "/calls/"+id, ""); code != 204 {
		t.Fatalf("%d %s", code, answer)
	}
	var seen []string
	for _, target := range []string{"alice", "bob"} {
		w := a.awaitWatched("watcher", target, "is free", func(w watchedStatus) bool { return w.State == "terminated" && w.Calls == 0 })
		for i, h := range w.History {
			if i > 0 && h.At.Before(w.History[i-1].At) {
				t.Errorf("%s: %v", target, w.History)
			}
		}
		seen = w.states()
		if i := slices.Index(seen, "early"); i < 0 || !slices.Equal(seen[i:], []string{"early", "confirmed", "terminated"}) || !inOrder(seen) {
			t.Errorf("%s was seen %v", target, seen)
		}
	}
	outcome(t, "kamailio/presence", "bob was seen %s", strings.Join(seen, ", "))
}

// inOrder tells whether a call's states come in the order of RFC 4235 §3.7.1.
func inOrder(states []string) bool {
	order := []string{"unknown", "idle", "trying", "proceeding", "early", "confirmed", "terminated"}
	last := -1
	for _, s := range states {
		i := slices.Index(order, s)
		if i <= last {
			return false
		}
		last = i
	}
	return true
}

// TestSubscriptionsLast: they are refreshed before they run out, within their dialog.
func TestSubscriptionsLast(t *testing.T) {
	t.Parallel()
	const granted = 12 * time.Second
	r, a := presence(t, kamailio.Config{MaxExpires: granted}, map[string]string{"alice": voicemail}, "alice")
	first := a.awaitMailbox("alice", "is subscribed to", func(m mwiStatus) bool { return m.Subscription != nil && isActive(*m.Subscription) })
	if left := time.Until(first.Subscription.ExpiresAt); left > granted {
		t.Errorf("granted %s, the server gives %s", left, granted)
	}
	// It would have run out twice.
	for range 2 {
		pass(t, granted+2*time.Second)
		m := a.awaitMailbox("alice", "is subscribed to", func(m mwiStatus) bool { return isActive(*m.Subscription) })
		if !m.Subscription.ExpiresAt.After(time.Now()) {
			t.Errorf("it ran out at %s", m.Subscription.ExpiresAt)
		}
	}
	must(t, r.PublishMailbox(t.Context(), "alice", "Messages-Waiting: yes", "Voice-Message: 1/0"))
	a.awaitMailbox("alice", "has a message", func(m mwiStatus) bool { return m.Waiting && m.NewMessages == 1 })
	_, metrics := a.request("GET", "/metrics", "")
	if said := string(metrics); !strings.Contains(said, `softphone_subscription_attempts_total{account="alice",code="200",event="message-summary"}`) ||
		strings.Contains(said, `code="481"`) {
		t.Errorf("refreshed in vain:\n%s", said)
	}
	outcome(t, "kamailio/presence", "a subscription of %s is there after %s", granted, 2*(granted+2*time.Second))
}

// TestSubscriptionsSurviveTheServer: a server that starts anew has forgotten all; the
// line's lamp is true again soon after the line is registered again.
func TestSubscriptionsSurviveTheServer(t *testing.T) {
	t.Parallel()
	r, a := presence(t, kamailio.Config{MaxExpires: 12 * time.Second}, map[string]string{"alice": voicemail + blf("bob")}, "alice", "bob")
	a.awaitMailbox("alice", "is subscribed to", func(m mwiStatus) bool { return m.Subscription != nil && isActive(*m.Subscription) })
	must(t, r.Stop())
	eventually(t, "alice has lost the server", func() (bool, string) { l := a.line("alice"); return l.State != "registered", pretty(l) })
	must(t, r.Restart(context.WithoutCancel(t.Context())))
	began := time.Now()
	a.awaitLine("alice", "registered")
	eventually(t, "the mailbox is told of again", func() (bool, string) {
		if err := r.PublishMailbox(t.Context(), "alice", "Messages-Waiting: yes", "Voice-Message: 3/0"); err != nil {
			return false, err.Error()
		}
		l := a.line("alice")
		return l.MWI != nil && l.MWI.Waiting && l.MWI.NewMessages == 3, pretty(l)
	})
	took := time.Since(began)
	a.awaitWatched("alice", "bob", "is watched again", func(w watchedStatus) bool { return isActive(w.Subscription) })
	outcome(t, "kamailio/presence", "told again %s after the server's return", ms(took))
}

// textMessage is one that came or went.
type textMessage struct {
	ID, Line, Direction, Remote, Text, Reason string
	Code                                      int
}

// TestTextMessages: a line sends, another takes what it is allowed to take.
func TestTextMessages(t *testing.T) {
	t.Parallel()
	_, a := presence(t, kamailio.Config{}, map[string]string{
		"bob": "<allowMessage>1</allowMessage><maxMessageBodySize>100</maxMessageBodySize>",
	}, "alice", "bob", "carol")
	send := func(to, text string) textMessage {
		t.Helper()
		code, answer := a.request("POST", "/messages", fmt.Sprintf(`{"line":"alice","to":%q,"text":%q}`, to, text))
		var m textMessage
		if err := json.Unmarshal(answer, &m); err != nil || code != 201 {
			t.Fatalf("%d %s", code, answer)
		}
		eventually(t, "the text has its answer", func() (bool, string) {
			_, answer := a.request("GET", "/messages/"+m.ID, "")
			return json.Unmarshal(answer, &m) == nil && m.Code != 0, string(answer)
		})
		return m
	}
	const text = "Dobrý den, how are you?"
	for _, c := range []struct {
		to, text string
		code     int
	}{{"bob", text, 200}, {"bob", strings.Repeat("x", 101), 413}, {"carol", text, 405}, {"nobody", text, 404}} {
		if m := send(c.to, c.text); m.Code != c.code {
			t.Errorf("to %s: %+v, want %d", c.to, m, c.code)
		}
	}
	got := a.line("bob").Messages
	if len(got) != 1 || got[0].Text != text || got[0].Direction != "in" || !strings.HasPrefix(got[0].Remote, "sip:alice@") {
		t.Errorf("bob has %+v", got)
	}
	if sent := a.line("alice").Messages; len(sent) != 4 {
		t.Errorf("alice has %+v", sent)
	}
	if strings.Contains(a.Log(), text) {
		t.Error("the text is in the log")
	}
	_, metrics := a.request("GET", "/metrics", "")
	for _, want := range []string{`{account="alice",code="200",direction="out"} 1`, `{account="bob",code="200",direction="in"} 1`} {
		if !strings.Contains(string(metrics), "softphone_text_messages_total"+want+"\n") {
			t.Errorf("no %s among the metrics", want)
		}
	}
	outcome(t, "kamailio", "text through the proxy: 200, 413 (too long), 405 (not allowed), 404")
}

// TestMessageWaitingOverEveryTransport: NOTIFY comes back the way SUBSCRIBE went.
func TestMessageWaitingOverEveryTransport(t *testing.T) {
	t.Parallel()
	overEvery(t, func(t *testing.T, w way) string {
		s := newSite(t, kamailio.Config{Presence: true, MaxExpires: 12 * time.Second}, domain)
		a := startAgent(t, options{files: map[string]string{"alice.xml": s.account(w, "alice", "secret-alice", voicemail), "ca.crt": s.ca}})
		a.awaitLine("alice", "registered")
		a.awaitMailbox("alice", "is subscribed to", func(m mwiStatus) bool { return m.Subscription != nil && isActive(*m.Subscription) })
		must(t, s.PublishMailbox(t.Context(), "alice@"+domain, "Messages-Waiting: yes", "Voice-Message: 1/0"))
		before := a.awaitMailbox("alice", "has a message", func(m mwiStatus) bool { return m.Waiting && m.NewMessages == 1 })
		a.awaitMailbox("alice", "is subscribed to for longer", func(m mwiStatus) bool {
			return isActive(*m.Subscription) && m.Subscription.ExpiresAt.After(before.Subscription.ExpiresAt)
		})
		return "the lamp is lit, the subscription refreshed"
	})
}

// TestSubscriptionsFollowTheLine: the line's server dies, the line goes to the next one,
// and with it what it is told.
func TestSubscriptionsFollowTheLine(t *testing.T) {
	t.Parallel()
	w := ways[0]
	c := kamailio.Config{Presence: true, MaxExpires: 12 * time.Second}
	first, second := newSite(t, c, domain), newSite(t, c, domain)
	names := dnsmasq.Start(t, dnsmasq.Config{
		Hosts: map[string][]netip.Addr{"first.test": {loopback4}, "second.test": {loopback4}},
		Services: map[string][]dnsmasq.Service{serviceOf(w): {
			{Target: "first.test", Port: portOf(first, w), Priority: 10}, {Target: "second.test", Port: portOf(second, w), Priority: 20},
		}},
	})
	a := located(t, names, map[string]string{"alice.xml": byDomain(w, "alice", voicemail, blf("bob"))})
	a.awaitLine("alice", "registered")
	a.awaitMailbox("alice", "is subscribed to", func(m mwiStatus) bool { return m.Subscription != nil && isActive(*m.Subscription) })
	must(t, first.Stop())
	began := time.Now()
	eventually(t, "the second server tells of the mailbox", func() (bool, string) {
		if err := second.PublishMailbox(t.Context(), "alice@"+domain, "Messages-Waiting: yes", "Voice-Message: 3/0"); err != nil {
			return false, err.Error()
		}
		l := a.line("alice")
		return l.MWI != nil && l.MWI.NewMessages == 3 && strings.HasPrefix(l.Server, second.Addr().String()), pretty(l)
	})
	a.awaitWatched("alice", "bob", "is watched there", func(w watchedStatus) bool { return isActive(w.Subscription) })
	outcome(t, "kamailio+dnsmasq", "bindings of 12 s: the lamp is lit by the second server %s after the first died", ms(time.Since(began)))
}

// TestOutageOfACrowdThatSubscribes takes the server away under a hundred lines with
// mailboxes: REGISTER and SUBSCRIBE together stay within what the agent is allowed, and
// every lamp is true again.
func TestOutageOfACrowdThatSubscribes(t *testing.T) {
	t.Parallel()
	const lines, most = 100, 50
	var users []string
	for i := range lines {
		users = append(users, fmt.Sprintf("line%03d", i))
	}
	w := newWatched(t, kamailio.Config{Presence: true, MaxExpires: 20 * time.Second}, users...)
	files := map[string]string{"agent.json": fmt.Sprintf(`{"version":1,"registrar":{"requestsPerSecond":%d}}`, most)}
	for _, u := range users {
		files[u+".xml"] = w.account(u, "secret-"+u, voicemail)
	}
	a := startAgent(t, options{files: files})
	told := func(fits func(lineStatus) bool) func() (bool, string) {
		return func() (bool, string) {
			n, other := 0, ""
			for _, l := range a.status().Lines {
				if l.State == "registered" && l.MWI != nil && l.MWI.Subscription != nil && isActive(*l.MWI.Subscription) && fits(l) {
					n++
				} else {
					other = pretty(l)
				}
			}
			return n == lines, fmt.Sprintf("%d of %d, another one says %s", n, lines, other)
		}
	}
	lookEvery(t, 200*time.Millisecond, "all are subscribed", told(func(lineStatus) bool { return true }))
	kill(t, w)
	lookEvery(t, 200*time.Millisecond, "none is registered", func() (bool, string) {
		for _, l := range a.status().Lines {
			if l.State == "registered" {
				return false, pretty(l)
			}
		}
		return true, ""
	})
	returned := time.Now()
	revive(t, w)
	lookEvery(t, 200*time.Millisecond, "all are subscribed again", told(func(l lineStatus) bool { return l.MWI.Subscription.ExpiresAt.After(returned) }))
	subscribed := time.Since(returned)
	lookEvery(t, time.Second, "every lamp is lit", told(func(l lineStatus) bool {
		if l.MWI.NewMessages != 7 { // again, where kamailio's tables of text lose it
			must(t, w.PublishMailbox(t.Context(), l.Name+"@"+domain, "Messages-Waiting: yes", "Voice-Message: 7/0"))
		}
		return l.MWI.NewMessages == 7
	}))
	seen := w.relay.Seen(time.Time{})
	requests := append(relay.Requests(seen, "REGISTER"), relay.Requests(seen, "SUBSCRIBE")...)
	if n := relay.Busiest(requests); n > most {
		t.Errorf("%d requests within a second, allowed %d", n, most)
	}
	outcome(t, "kamailio/presence", "%d lines, server killed: all subscribed again %s after its return, every lamp lit; most REGISTER and SUBSCRIBE within a second: %d of %d allowed",
		lines, ms(subscribed), relay.Busiest(requests), most)
}
