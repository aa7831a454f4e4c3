package interop

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// notified runs a script of sipp as the server of a trunk line that subscribes as its
// nodes say, and gives the agent and the script.
func notified(t *testing.T, script string, calls int, nodes string) (*softphone, *sipp.Program) {
	t.Helper()
	p := sipp.ForTest(t, sipp.Config{Scenario: scripted(t, script), Calls: calls, Timeout: patience})
	a := startAgent(t, options{files: map[string]string{
		"agent.json": `{"version":1,"lines":{"desk":{"trunk":true}},"registrar":{"qualifySeconds":0}}`,
		"desk.xml":   accountXML("4711", "unasked", p.Address().String(), nodes),
	}})
	return a, p
}

// attempts counts the SUBSCRIBE exchanges of the line with one code.
func (s *softphone) attempts(event, code string) float64 {
	s.t.Helper()
	return s.series(fmt.Sprintf(`softphone_subscription_attempts_total{account="desk",code=%q,event=%q}`, code, event))
}

// TestNotifiersOfAllKinds has sipp do with subscriptions to a mailbox what servers in
// the field do, and what they should not.
func TestNotifiersOfAllKinds(t *testing.T) {
	t.Parallel()
	active := func(m mwiStatus) bool { return m.Waiting && m.NewMessages == 1 && m.Subscription.State == "active" }
	for script, c := range map[string]struct {
		shows string
		calls int
		fits  func(mwiStatus) bool
		then  func(t *testing.T, a *softphone)
	}{
		"mwi-notify-first": {"NOTIFY before the 200", 1, active, nil},
		"mwi-unknown-event": {"489: refused, not tried again", 1, func(m mwiStatus) bool {
			return m.Subscription.State == "refused" && m.Subscription.LastCode == 489
		}, func(t *testing.T, a *softphone) {
			pass(t, 3*time.Second)
			if n := a.attempts("message-summary", "489"); n != 1 {
				t.Errorf("tried %g times", n)
			}
		}},
		"mwi-too-brief": {"423 with Min-Expires: asks for that", 1, active, nil},
		"mwi-probation": {"terminated;reason=probation;retry-after=3: tried again then", 2, func(m mwiStatus) bool {
			return m.Subscription.State == "waiting" && m.Waiting
		}, nil},
		"mwi-forgotten":    {"481 to a refresh: subscribed anew", 2, func(m mwiStatus) bool { return m.Waiting }, nil},
		"mwi-forked":       {"two notifiers: the lamp is lit while one of them says so", 1, func(m mwiStatus) bool { return !m.Waiting && m.OldMessages == 1 && m.Subscription.State == "active" }, nil},
		"mwi-odd-notifies": {"500 out of order, 481 another's, 489 unknown event", 1, active, nil},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			a, p := notified(t, script, c.calls, voicemail)
			if r, err := p.Wait(t.Context()); err != nil || r.Successful != c.calls || r.Failed != 0 {
				t.Errorf("sipp: %d successful, %d failed, %v", r.Successful, r.Failed, err)
			}
			a.awaitMailbox("desk", "fits", func(m mwiStatus) bool { return m.Subscription != nil && c.fits(m) })
			if c.then != nil {
				c.then(t, a)
			}
			outcome(t, "sipp/notifier", "%s", c.shows)
		})
	}
}

// TestALineThatWantsToHearNoMore unsubscribes when the account says so.
func TestALineThatWantsToHearNoMore(t *testing.T) {
	t.Parallel()
	a, p := notified(t, "mwi-unsubscribed", 1, voicemail)
	a.awaitMailbox("desk", "has a message", func(m mwiStatus) bool { return m.Waiting })
	a.put("desk.xml", accountXML("4711", "unasked", p.Address().String()))
	finished(t, p)
	outcome(t, "sipp/notifier", "SUBSCRIBE with Expires: 0, and the last NOTIFY taken")
}

// TestDocumentsOfAllKinds does the same with somebody who is watched.
func TestDocumentsOfAllKinds(t *testing.T) {
	t.Parallel()
	for script, c := range map[string]struct {
		shows  string
		states []string
		state  string // of the subscription
	}{
		"blf-partial": {"full, then partial documents", []string{"idle", "trying", "early", "confirmed", "terminated"}, "active"},
		"blf-gap":     {"a change is missing: refreshed", []string{"idle", "early", "confirmed"}, "active"},
		"blf-hostile": {"a DTD: 400, nothing of it is read", nil, "waiting"},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			a, p := notified(t, script, 1, blf("bob"))
			finished(t, p)
			a.awaitWatched("desk", "bob", "did all of it", func(w watchedStatus) bool {
				return slices.Equal(w.states(), c.states) && w.Subscription.State == c.state
			})
			outcome(t, "sipp/notifier", "%s", c.shows)
		})
	}
}
