package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// scripted gives one of the scripts in scenarios/, each of which says what it is for.
func scripted(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("scenarios", name+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// answersAfter has a line answer by itself so many seconds later.
func answersAfter(seconds int) string {
	return fmt.Sprintf("<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>%d</autoAnswerTimeoutInSeconds>", seconds)
}

// TestSippTransfersUs has sipp call alice and send her elsewhere, in ways that
// softphones do not.
func TestSippTransfersUs(t *testing.T) {
	t.Parallel()
	for name, shows := range map[string]string{
		"refer-replaces-unknown": "Replaces of a call that is not there: NOTIFY 481",
		"refer-then-bye":         "told of the answer after the BYE",
		"refer-norefersub":       "Refer-Sub: false: no NOTIFY",
		"refer-refused":          "403 emergency number, 603 no call, 400 two targets or none, 482 itself",
		"refer-twice":            "491 meanwhile; the next NOTIFYs have an id",
		"refer-outside":          "403 outside a call, 489 for what there is no subscription to",
		"replaces":               "Replaces: answered at once, the first call gets a BYE",
		"replaces-refused":       "Replaces refused: 400 broken, 481 unknown, 486 early-only",
	} {
		t.Run(name, func(t *testing.T) {
			// One worker: sipp wants what we sent in the order we sent it.
			r, host := registrar(t, kamailio.Config{Children: 1}, "alice", "carol", "late", "slow")
			a := startAgent(t, options{files: map[string]string{
				"agent.json": `{"version":1,"drainSeconds":1,"transfers":{"accept":"any"},"noAnswerSeconds":2}`,
				"alice.xml":  accountXML("alice", "secret-alice", host, autoAnswer), "carol.xml": accountXML("carol", "secret-carol", host, autoAnswer),
				"late.xml": accountXML("late", "secret-late", host, answersAfter(1)), "slow.xml": accountXML("slow", "secret-slow", host),
			}})
			for _, line := range []string{"alice", "carol", "late", "slow"} {
				a.awaitLine(line, "registered")
			}
			finished(t, sipp.ForTest(t, sipp.Config{Scenario: scripted(t, name), Remote: r.Addr(), Service: "alice", Timeout: patience}))
			outcome(t, "sipp", "%s", shows)
		})
	}
}

// TestWeTransferSipp has alice call sipp and send it elsewhere.
func TestWeTransferSipp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state  string
		code   int
		reason string
	}{
		"refer-followed": {"succeeded", 200, "OK"},
		"refer-declined": {"failed", 603, "Decline"},
		"refer-failed":   {"failed", 486, "Busy Here"},
	} {
		t.Run(name, func(t *testing.T) {
			_, host := registrar(t, kamailio.Config{Children: 1}, "alice")
			a := startAgent(t, options{files: map[string]string{"alice.xml": accountXML("alice", "secret-alice", host, "<transport>tcp</transport>")}}) // one connection keeps what we send in order
			a.awaitLine("alice", "registered")
			p := sipp.ForTest(t, sipp.Config{Scenario: scripted(t, name), Echo: true, Timeout: patience})
			id := a.dial(fmt.Sprintf(`{"line":"alice","to":"sip:sipp@%s"}`, p.Address()))
			a.awaitCall(id, "is up", established)
			a.transfer(id, `{"to":"+15550100"}`)
			r := a.awaitCall(id, "has an outcome", func(r record) bool { return r.Transfer != nil && r.Transfer.State == c.state })
			if r.Transfer.Code != c.code || r.Transfer.Reason != c.reason {
				t.Errorf("the record says %s", pretty(r.Transfer))
			}
			if c.state == "failed" {
				a.awaitCall(id, "is no longer held", func(r record) bool { return established(r) && r.Hold == "" })
				a.request("DELETE", "/calls/"+id, "")
			}
			finished(t, p)
			outcome(t, "sipp", "our REFER: %s %d %s", c.state, c.code, c.reason)
		})
	}
	t.Run("refer-unknown-events", func(t *testing.T) {
		a, _, _ := lines(t, `{"version":1,"drainSeconds":1}`, []string{"alice"}, nil)
		p := sipp.ForTest(t, sipp.Config{Scenario: scripted(t, "refer-unknown-events"), Echo: true, Timeout: patience})
		a.dial(fmt.Sprintf(`{"line":"alice","to":"sip:sipp@%s","seconds":2}`, p.Address()))
		finished(t, p)
		outcome(t, "sipp", "NOTIFY of another event 489, of no REFER 481")
	})
}
