package interop

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/relay"
)

// Bounds of what a registrar may see of a bad rollout of passwords, by the
// settings' defaults: twenty lines a minute may be refused before the others
// wait; one more shows that they were too many.
const (
	refusedPerMinute = 20
	inFlight         = 50
)

// TestBadRollout gives two hundred registered lines passwords that are wrong, in
// the files or at the registrar, and mends that. In between the registrar must
// not see two hundred failed logins again and again from one address.
func TestBadRollout(t *testing.T) {
	t.Parallel()
	lasts := drill.Pick(10*time.Second, 4*time.Minute)
	for says, c := range map[string]struct {
		// spoil makes passwords wrong; mend is what the files say then.
		spoil func(t *testing.T, w watched, a *softphone, line string)
		mend  func(line string) string
		// bound of lines that may be refused before the others wait, those under way
		// included; minute is how many may try in each minute after that.
		bound, minute int
	}{
		"delivered": {
			func(_ *testing.T, w watched, a *softphone, line string) { a.put(line+".xml", w.account(line, "wrong")) },
			func(line string) string { return "secret-" + line },
			refusedPerMinute + 1, 1,
		},
		"at the registrar": {
			func(t *testing.T, w watched, _ *softphone, line string) {
				must(t, w.SetPassword(t.Context(), line, "new-"+line))
			},
			func(line string) string { return "new-" + line },
			// Refreshes are let pass until one is refused, some at once. Then, after 6 s,
			// 9, 13 and so on, one tries.
			refusedPerMinute + inFlight, 7,
		},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			w, a := crowd(t, "udp")
			began := time.Now()
			lines := a.status().Lines
			// All at once, as the files of a mounted Secret change: passwords that trickle in
			// may each be the mending, and so one line more tries.
			must(t, a.Signal(syscall.SIGSTOP))
			for _, l := range lines {
				c.spoil(t, w, a, l.Name)
			}
			must(t, a.Signal(syscall.SIGCONT))
			lookEvery(t, 200*time.Millisecond, "every line has lost its registration", func() (bool, string) {
				for _, l := range a.status().Lines {
					if l.State == "registered" {
						return false, pretty(l)
					}
				}
				return true, ""
			})
			pass(t, lasts)
			refused, answers := refusals(w.relay.Seen(began))
			// Credentials that worked are tried twice, as long as few are refused.
			probes := int(time.Since(began)/time.Minute+1) * c.minute
			if refused > c.bound+probes || answers > 2*(c.bound+probes) {
				t.Errorf("%d lines were refused, %d answers were wrong; at most %d lines may be", refused, answers, c.bound+probes)
			}
			held := 0
			for _, l := range a.status().Lines {
				if l.Problem == "HeldBack" {
					held++
				}
			}
			mended := time.Now()
			for _, l := range lines {
				a.put(l.Name+".xml", w.account(l.Name, c.mend(l.Name)))
			}
			awaitAll(t, a, outageLines)
			took := time.Since(mended)
			boundOnce(t, w, a)
			requests := relay.Requests(w.relay.Seen(began), "REGISTER")
			if most := relay.Busiest(requests); most > outageCap {
				t.Errorf("%d REGISTER requests within a second", most)
			}
			registrationPage.Measured(t, fmt.Sprintf("%d lines, wrong passwords %s for %s", outageLines, says, lasts),
				"%d lines refused by %d answers, %d held back; mended: all registered after %s; most REGISTER requests within any second %d, allowed %d",
				refused, answers, held, ms(took), relay.Busiest(requests), outageCap)
			outcome(t, "kamailio/udp", "%d lines, wrong passwords %s: %d refused, %d held back; mended: all back after %s", outageLines, says, refused, held, ms(took))
		})
	}
}

// refusals counts lines whose credentials were refused, and the answers to
// challenges that were wrong.
func refusals(seen []relay.Message) (lines, answers int) {
	answered, who := map[string]bool{}, map[string]bool{}
	for _, m := range relay.Requests(seen, "REGISTER") {
		if m.Header("Authorization") != "" {
			answered[m.Transaction()] = true
		}
	}
	for _, m := range seen {
		if m.Code == "401" && answered[m.Transaction()] {
			delete(answered, m.Transaction())
			who[m.User()] = true
			answers++
		}
	}
	return len(who), answers
}
