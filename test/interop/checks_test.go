package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// checks gives the reports of the checks that run on an agent, by name.
func (s *softphone) checks() map[string]delivery.CheckReport {
	s.t.Helper()
	code, body := s.request("GET", "/statusz", "")
	var st struct{ Checks []delivery.CheckReport }
	if err := json.Unmarshal(body, &st); err != nil || code != 200 {
		s.t.Fatalf("statusz: %d %v %s", code, err, body)
	}
	all := map[string]delivery.CheckReport{}
	for _, c := range st.Checks {
		all[c.Name] = c
	}
	return all
}

// checkJSON is a check every ten seconds; more are further fields.
func checkJSON(from, to, expect string, more ...string) string {
	return fmt.Sprintf(`{"from":%q,"to":%q,"intervalSeconds":10,"durationSeconds":4,"expect":{%s}%s}`, from, to, expect, strings.Join(append([]string{""}, more...), ","))
}

const (
	interval = 10 * time.Second
	// inTime is the most that may pass until a verdict is there.
	inTime    = 2*interval + 10*time.Second
	demanding = `"audio":"both","answerWithinMs":{"fail":2000},"lossPercent":{"fail":2},"mos":{"fail":3}`
)

// truth is one row of the table: a check, and what must come of it.
type truth struct {
	name, peer, check string
	passing           string
	reasons           []string
	words             string
}

// truths are the rows, each with its peer at work.
func truths(t *testing.T, host string) []truth {
	t.Helper()
	busyURI := sippFor(t, sipp.Callee{Ring: 50 * time.Millisecond, Refuse: "486 Busy Here"}, false)
	muteURI := sippFor(t, sipp.Callee{Cancelled: true}, false)
	lateURI := sippFor(t, sipp.Callee{Ring: 3 * time.Second}, true)
	deadURI := sippFor(t, sipp.Callee{}, false)
	silentURI := silence(t)
	tone := baresip.ForTest(t, baresip.Config{ToneHz: 700, Account: baresip.Account{User: "tone", Host: "127.0.0.1", AutoAnswer: true}})
	bob, ours := "sip:bob@"+host, `"account":"bob"`
	uri := func(b *baresip.Program, user string) string { return "sip:" + user + "@" + b.Address().String() }
	return []truth{
		{"good", "an echo of ours", checkJSON("alice", bob, demanding, ours), "True", []string{"Passed"}, ""},
		{"busy", "sipp", checkJSON("alice", busyURI, demanding), "False", []string{"WrongCode"}, "486 Busy Here, expected 200"},
		{"no-answer", "sipp", checkJSON("alice", muteURI, demanding), "False", []string{"NoAnswer"}, "no answer within 7 s, it rang"},
		{"late", "sipp", checkJSON("alice", lateURI, `"audio":"both","answerWithinMs":{"fail":2000}`), "False", []string{"AnsweredLate"}, "answered after 3."},
		{"late-and-allowed", "an echo of ours", checkJSON("alice", "sip:late@"+host, `"audio":"both","answerWithinMs":{"warn":1000,"fail":5000}`, `"account":"late"`), "True", []string{"AnsweredLate"}, "answered after 3."},
		{"no-media", "sipp", checkJSON("alice", deadURI, demanding), "False", []string{"NoMedia"}, "no audio packet came"},
		{"silent", "sipp", checkJSON("alice", silentURI, demanding), "False", []string{"Silence"}, "only silence came"},
		{"no-echo", "baresip", checkJSON("alice", uri(tone, "tone"), demanding), "False", []string{"OneWay"}, "our tone did not come back"},
		{"heard-is-enough", "baresip", checkJSON("alice", uri(tone, "tone"), `"audio":"received"`), "True", []string{"Passed"}, ""},
		{"one-way", "an echo of ours behind a relay", checkJSON("carol", bob, demanding, ours), "False", []string{"OneWay"}, "one-way audio: bob is heard here, but does not hear us"},
		{"deaf", "an echo of ours behind a relay", checkJSON("dave", bob, demanding, ours), "False", []string{"NoMedia"}, "no audio packet came"},
		{"lossy", "an echo of ours behind a relay that loses 5 %", checkJSON("erin", bob, `"audio":"both","lossPercent":{"fail":1}`, ours), "False", []string{"Loss"}, "of the packets were lost on their way here, more than 1 %"},
		{"suspended", "no line", checkJSON("frank", bob, demanding, ours), "Unknown", []string{"LineSuspended"}, "line frank cannot call: suspended"},
		{"wrong-password", "kamailio", checkJSON("grace", bob, demanding, ours), "False", []string{"NotRegistered"}, "grace is not registered: 40"},
		{"emergency", "nobody", checkJSON("alice", "112", demanding), "Unknown", []string{"DestinationRefused"}, "emergency numbers are not called"},
	}
}

// silence runs a sipp that answers and sends packets with nothing in them.
func silence(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "silence.ul")
	if err := os.WriteFile(file, bytes.Repeat([]byte{0xff}, 80_000), 0o600); err != nil {
		t.Fatal(err)
	}
	scenario := strings.Replace(sipp.Callee{}.Scenario(), `<recv request="ACK"/>`,
		`<recv request="ACK"/><nop><action><exec rtp_stream="`+file+`,-1,0"/></action></nop>`, 1)
	p := sipp.ForTest(t, sipp.Config{Scenario: scenario, Calls: 100, Timeout: 5 * time.Minute})
	return "sip:sipp@" + p.Address().String()
}

// sippFor runs sipp as the other end of many calls.
func sippFor(t *testing.T, c sipp.Callee, echo bool) string {
	t.Helper()
	p := sipp.ForTest(t, sipp.Config{Scenario: c.Scenario(), Echo: echo, Calls: 100, Timeout: 5 * time.Minute})
	return "sip:sipp@" + p.Address().String()
}

// TestTheTruthTable runs every row at once and wants each verdict in time, for the
// right reason, in the right words, and lasting.
func TestTheTruthTable(t *testing.T) {
	r, host := registrar(t, kamailio.Config{}, "alice", "bob", "late", "carol", "dave", "erin", "frank", "grace")
	answering := startAgent(t, options{files: map[string]string{
		"bob.xml":  accountXML("bob", "secret-bob", host, autoAnswer),
		"late.xml": accountXML("late", "secret-late", host, "<autoAnswerEnabled>1</autoAnswerEnabled><autoAnswerTimeoutInSeconds>3</autoAnswerTimeoutInSeconds>"),
	}})
	answering.awaitLine("bob", "registered")
	answering.awaitLine("late", "registered")
	through := func(lossIn, lossOut float64) string {
		return "<proxy>" + startBorder(t, r.Addr(), lossIn, lossOut).addr() + "</proxy>"
	}
	calling := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host),
		"carol.xml": accountXML("carol", "secret-carol", host, through(0, 1)),
		"dave.xml":  accountXML("dave", "secret-dave", host, through(1, 0)),
		"erin.xml":  accountXML("erin", "secret-erin", host, through(0.05, 0)),
		"frank.xml": accountXML("frank", "secret-frank", host), "grace.xml": accountXML("grace", "wrong", host),
		"agent.json": `{"version":1,"lines":{"frank":{"suspended":true}}}`,
	}})
	for _, line := range []string{"alice", "carol", "dave", "erin"} {
		calling.awaitLine(line, "registered")
	}
	rows := truths(t, host)
	for _, row := range rows {
		calling.put(row.name+".check.json", row.check)
	}
	began := time.Now()
	verdicts := map[string]delivery.CheckReport{}
	took := map[string]time.Duration{}
	lookEvery(t, 50*time.Millisecond, "every check has a verdict", func() (bool, string) {
		for name, c := range calling.checks() {
			if _, known := verdicts[name]; !known && len(c.Runs) > 0 {
				verdicts[name], took[name] = c, time.Since(began)
			}
		}
		return len(verdicts) == len(rows), fmt.Sprintf("%d of %d", len(verdicts), len(rows))
	})
	fits := func(row truth, c delivery.CheckReport) bool {
		return string(c.Passing) == row.passing && slices.Contains(row.reasons, string(c.Reason)) && strings.Contains(c.Message, row.words)
	}
	for _, row := range rows {
		v := verdicts[row.name]
		if !fits(row, v) {
			t.Errorf("%s: %s %s %q, want %s %v %q\n%s", row.name, v.Passing, v.Reason, v.Message, row.passing, row.reasons, row.words, pretty(v))
		}
		if took[row.name] > inTime {
			t.Errorf("%s: the verdict took %s, more than two intervals and 10 s", row.name, took[row.name])
		}
		if v.Runs[0].MOS != nil && v.Runs[0].Reason == "NoMedia" {
			t.Errorf("%s: a MOS of %.2f of nothing", row.name, *v.Runs[0].MOS)
		}
	}
	lookEvery(t, 200*time.Millisecond, "every check ran twice", func() (bool, string) {
		now := calling.checks()
		for _, row := range rows {
			if len(now[row.name].Runs) < 2 {
				return false, row.name
			}
		}
		verdicts = now
		return true, ""
	})
	for _, row := range rows {
		if v := verdicts[row.name]; !fits(row, v) {
			t.Errorf("%s, the second time: %s %s %q", row.name, v.Passing, v.Reason, v.Message)
		}
		t.Run(row.name, func(t *testing.T) {
			outcome(t, row.peer, "%s: %s %s after %s", verdicts[row.name].Passing, verdicts[row.name].Reason, verdicts[row.name].Message, ms(took[row.name]))
		})
	}
	theRegistrarGoesDown(t, r, calling, answering)
}

// theRegistrarGoesDown wants the check that was good to fail in time, and to pass
// again once the registrar is back.
func theRegistrarGoesDown(t *testing.T, r *kamailio.Registrar, calling, answering *softphone) {
	t.Helper()
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var seen delivery.CheckReport
	lookEvery(t, 50*time.Millisecond, "the check sees that the registrar is down", func() (bool, string) {
		seen = calling.checks()["good"]
		return seen.Passing == "False", pretty(seen)
	})
	took := time.Since(began)
	if took > inTime || !slices.Contains([]string{"NotRegistered", "NotReachable", "NoResponse"}, string(seen.Reason)) {
		t.Errorf("after %s: %s %q", took, seen.Reason, seen.Message)
	}
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	answering.put("agent.json", `{"version":1,"lines":{"bob":{"slot":2}}}`) // the registrar has forgotten everyone
	lookEvery(t, 50*time.Millisecond, "the check passes again", func() (bool, string) {
		now := calling.checks()["good"]
		return now.Passing == "True", pretty(now)
	})
	outcome(t, "kamailio", "registrar down: %s %q after %s, passing again after its return", seen.Reason, seen.Message, ms(took))
}

// TestGoodChecksStayQuiet runs twenty checks at ten seconds for a while in which
// nothing is wrong, and wants not one alarm.
func TestGoodChecksStayQuiet(t *testing.T) {
	const lines = 5
	users := []string{}
	for i := range lines {
		users = append(users, fmt.Sprintf("caller%d", i), fmt.Sprintf("callee%d", i))
	}
	_, host := registrar(t, kamailio.Config{}, users...)
	callees, callers := map[string]string{}, map[string]string{}
	for i := range lines {
		callee, caller := fmt.Sprintf("callee%d", i), fmt.Sprintf("caller%d", i)
		callees[callee+".xml"] = accountXML(callee, "secret-"+callee, host, autoAnswer)
		callers[caller+".xml"] = accountXML(caller, "secret-"+caller, host)
	}
	answering, calling := startAgent(t, options{files: callees}), startAgent(t, options{files: callers})
	for i := range lines {
		answering.awaitLine(fmt.Sprintf("callee%d", i), "registered")
		calling.awaitLine(fmt.Sprintf("caller%d", i), "registered")
	}
	const many = 20
	for i := range many {
		callee := fmt.Sprintf("callee%d", i%lines)
		calling.put(fmt.Sprintf("clean%02d.check.json", i), checkJSON(fmt.Sprintf("caller%d", i/4), "sip:"+callee+"@"+host,
			`"audio":"both","answerWithinMs":{"fail":5000},"lossPercent":{"fail":3},"mos":{"fail":3}`, fmt.Sprintf(`"account":%q`, callee)))
	}
	length := drill.Pick(time.Minute, 30*time.Minute)
	began := time.Now()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	runs, busy, worst := 0, 0, 4.5
	for time.Since(began) < length {
		<-tick.C
		runs, busy = 0, 0
		for name, c := range calling.checks() {
			busy += c.Counts.Inconclusive // a machine without time for audio may say so, now and then
			if c.Counts.Fail > 0 || c.Passing == "False" || c.Passing == "Unknown" && len(c.Runs) > 0 && c.Reason != "AgentBusy" {
				t.Fatalf("%s: %s %s %q\n%s", name, c.Passing, c.Reason, c.Message, pretty(c))
			}
			runs += c.Counts.Pass + c.Counts.Warn
			for _, run := range c.Runs {
				if run.Result == "inconclusive" && run.Reason != "AgentBusy" {
					t.Fatalf("%s: %s", name, pretty(run))
				}
				if run.Result != "inconclusive" && run.MOS == nil || run.Code != 200 || run.SetupMs == nil {
					t.Fatalf("%s: measured %s", name, pretty(run))
				}
				if run.MOS != nil && run.Result != "inconclusive" {
					worst = min(worst, *run.MOS)
				}
			}
		}
	}
	if busy > runs/100 {
		t.Errorf("%d of %d runs found the machine too busy", busy, runs+busy)
	}
	runs += busy
	if least := many * (int(length/interval) - 2); runs < least {
		t.Errorf("%d runs in %s, want %d at least", runs, length, least)
	}
	outcome(t, "kamailio", "%d checks for %s: %d runs, no alarm, %d on a machine too busy, worst MOS %.2f", many, length, runs, busy, worst)
}
