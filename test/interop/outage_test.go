package interop

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/relay"
)

// Bounds of the outage drill.
const (
	outageLines = 200
	// outageCap is the agent's bound of REGISTER requests a second.
	outageCap = 100
	// outageSlip is what the test allows beyond over TCP, where the relay knows only
	// when it has read a request: on a busy machine several at once. The kernel says
	// of datagrams when each was sent, so that over UDP nothing is allowed beyond.
	outageSlip = outageCap / 10
	// mostAsked is the time between two OPTIONS to a server that lines miss, at
	// most, when it was away for less than a minute, and until the second of them
	// has an answer: one that was sent before the server was there has its own time.
	mostAsked = 6*time.Second + 8*time.Second
	// mostRounds of REGISTER a line needs when the registrar is there: sent with a
	// nonce the registrar has forgotten, and answered anew.
	mostRounds = 2
)

// outage is a way for a registrar to be away.
type outage struct {
	name       string
	transport  string
	begin, end func(t *testing.T, w watched)
}

var outages = []outage{
	{"killed", "udp", kill, revive},
	{"killed", "tcp", kill, revive},
	{"frozen", "udp",
		func(t *testing.T, w watched) { must(t, w.Pause()) },
		func(t *testing.T, w watched) { must(t, w.Resume()) }},
	{"answering 503 with Retry-After: 5", "udp",
		func(t *testing.T, w watched) {
			must(t, w.RetryAfter(t.Context(), 5*time.Second))
			must(t, w.Refuse(t.Context(), "REGISTER", 503))
		},
		func(t *testing.T, w watched) { must(t, w.Refuse(t.Context(), "REGISTER", 0)) }},
}

// kill ends the registrar's process; the relay closes its port with it, so that
// the kernel tells who sends there what it would tell without a relay.
func kill(t *testing.T, w watched) {
	must(t, w.Stop())
	w.relay.Down()
}

func revive(t *testing.T, w watched) {
	must(t, w.Restart(t.Context()))
	must(t, w.relay.Up())
}

// TestOutage takes the registrar away under 200 lines: all are back soon after its
// return, however long their backoffs are by then, and no second of it, nor of the
// start, sees more REGISTER requests than the agent is allowed.
func TestOutage(t *testing.T) {
	t.Parallel()
	away := drill.Pick(15*time.Second, time.Minute)
	for _, o := range outages {
		t.Run(o.transport+"/"+strings.Fields(o.name)[0], func(t *testing.T) {
			t.Parallel()
			w, a := crowd(t, o.transport)
			o.begin(t, w)
			pass(t, away)
			returned := time.Now()
			o.end(t, w)
			took := allBack(t, w, a, returned, time.Now().Add(mostAsked))
			requests := relay.Requests(w.relay.Seen(time.Time{}), "REGISTER")
			allowed := outageCap
			if o.transport == "tcp" {
				allowed += outageSlip
			}
			if most := relay.Busiest(requests); most > allowed {
				t.Errorf("%d REGISTER requests within a second: %v", most, relay.PerSecond(requests))
			}
			boundOnce(t, w, a)
			// Requests, that is: what was sent again of those before is none.
			since := slices.DeleteFunc(slices.Clone(requests), func(m relay.Message) bool { return m.At.Before(returned) })
			registrationPage.Measured(t, fmt.Sprintf("%d lines, %s, registrar %s for %s", outageLines, o.transport, o.name, away),
				"back %s (median) to %s (last) after its return; one binding a line; REGISTER requests in each second since: %s; most within any second, wherever it begins: %d, allowed %d",
				ms(took[len(took)/2]), ms(took[len(took)-1]), counts(relay.PerSecond(since)), relay.Busiest(requests), outageCap)
			outcome(t, "kamailio/"+o.transport, "%d lines, registrar %s for %s: all back %s after its return", outageLines, o.name, away, ms(took[len(took)-1]))
		})
	}
}

// crowd runs a registrar and an agent with many lines, all registered.
func crowd(t *testing.T, transport string) (watched, *softphone) {
	t.Helper()
	var users []string
	for i := range outageLines {
		users = append(users, fmt.Sprintf("line%03d", i))
	}
	// Short bindings: UDP learns of a dead registrar when it refreshes.
	w := newWatched(t, kamailio.Config{MaxExpires: 20 * time.Second}, users...)
	files := map[string]string{"agent.json": fmt.Sprintf(`{"version":1,"registrar":{"requestsPerSecond":%d}}`, outageCap)}
	for _, u := range users {
		files[u+".xml"] = w.account(u, "secret-"+u, "<transport>"+transport+"</transport>")
	}
	a := startAgent(t, options{files: files})
	awaitAll(t, a, outageLines)
	return w, a
}

// awaitAll waits until all lines are registered.
func awaitAll(t *testing.T, a *softphone, n int) {
	t.Helper()
	lookEvery(t, 100*time.Millisecond, fmt.Sprintf("%d lines are registered", n), func() (bool, string) {
		registered, other := 0, ""
		for _, l := range a.status().Lines {
			if l.State == "registered" {
				registered++
			} else {
				other = pretty(l)
			}
		}
		return registered == n, fmt.Sprintf("%d registered, another one says %s", registered, other)
	})
}

// pass lets time go by: the length of what is being tried.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// allBack waits until the registrar has accepted every line again, and gives how
// long each took, the shortest first. A line that tries once more than it needs
// was refused by a registrar that was there.
func allBack(t *testing.T, w watched, a *softphone, returned, limit time.Time) []time.Duration {
	t.Helper()
	// The queue at the agent's own bound comes on top.
	limit = limit.Add(mostRounds*outageLines/outageCap*time.Second + 5*time.Second)
	back := map[string]time.Duration{}
	for {
		seen := w.relay.Seen(returned)
		clear(back)
		for _, m := range seen {
			if _, known := back[m.User()]; !known && m.Method == "REGISTER" && m.Code == "200" {
				back[m.User()] = m.At.Sub(returned)
			}
		}
		if len(back) == outageLines {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%d of %d lines are back %s after the registrar's return; one says %s", len(back), outageLines, time.Since(returned), anotherOne(a, back))
		}
		pass(t, 200*time.Millisecond)
	}
	awaitAll(t, a, outageLines)
	var took []time.Duration
	for _, d := range back {
		took = append(took, d)
	}
	slices.Sort(took)
	return took
}

// anotherOne is the status of a line that is not among those.
func anotherOne(a *softphone, those map[string]time.Duration) string {
	for _, l := range a.status().Lines {
		if _, known := those[l.Name]; !known {
			return pretty(l)
		}
	}
	return "none"
}

// boundOnce holds what the registrar has against what the lines say.
func boundOnce(t *testing.T, w watched, a *softphone) {
	t.Helper()
	lookEvery(t, 200*time.Millisecond, "every line has one binding, its own", func() (bool, string) {
		all, err := w.Dump(context.WithoutCancel(t.Context()))
		if err != nil {
			return false, err.Error()
		}
		held := map[string][]string{}
		for _, b := range all {
			held[b.AOR] = append(held[b.AOR], b.Contact)
		}
		lines := a.status().Lines
		for _, l := range lines {
			if c := held[l.Name]; len(c) != 1 || c[0] != l.Contact {
				return false, fmt.Sprintf("%s says %s, held are %v", l.Name, l.Contact, c)
			}
		}
		return len(held) == len(lines), fmt.Sprintf("%d lines, %d users with bindings", len(lines), len(held))
	})
}

// counts prints a histogram in one line; a run of zeros is short.
func counts(perSecond []int) string {
	var said []string
	zeros := 0
	for _, n := range append(perSecond, -1) {
		if n == 0 {
			zeros++
			continue
		}
		if zeros > 2 {
			said = append(said, fmt.Sprintf("0 (%d s)", zeros))
		} else {
			said = append(said, slices.Repeat([]string{"0"}, zeros)...)
		}
		zeros = 0
		if n > 0 {
			said = append(said, fmt.Sprint(n))
		}
	}
	return strings.Join(said, " ")
}
