package registration

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Outcomes the table uses.
var (
	granted600  = &outcome{code: 200, granted: 10 * time.Minute}
	leftBehind  = &outcome{code: 200, granted: 10 * time.Minute, leftovers: []string{"sip:x@old"}}
	refused     = &outcome{code: 401, problem: delivery.ProblemUnauthorized}
	forbidden   = &outcome{code: 403, problem: delivery.ProblemForbidden}
	unavailable = &outcome{code: 503, problem: delivery.ProblemServer}
	later       = &outcome{code: 503, problem: delivery.ProblemServer, retryAfter: 2 * time.Minute}
	soon        = &outcome{code: 503, problem: delivery.ProblemServer, retryAfter: 5 * time.Second}
	muchLater   = &outcome{code: 503, problem: delivery.ProblemServer, retryAfter: 1000 * time.Hour}
	tooBrief    = &outcome{code: 423, problem: delivery.ProblemRejected, minExpires: time.Hour}
	tooBriefAll = &outcome{code: 423, problem: delivery.ProblemRejected, minExpires: 48 * time.Hour}
	tooBriefNil = &outcome{code: 423, problem: delivery.ProblemRejected}
	silence     = &outcome{problem: delivery.ProblemTimeout}
	removed     = &outcome{code: 200}
	icmp        = &outcome{problem: delivery.ProblemUnreachable}
	heldBack    = &outcome{problem: delivery.ProblemHeldBack, held: t0.Add(3 * time.Minute)}
	relapsed    = &outcome{code: 401, problem: delivery.ProblemUnauthorized, relapse: true}
	heldProven  = &outcome{problem: delivery.ProblemHeldBack, held: t0.Add(3 * time.Minute), proven: true}
	lacking     = &outcome{code: 439, problem: delivery.ProblemRejected}
	misplaced   = &outcome{code: 200, granted: 10 * time.Minute, elsewhere: true}
	toAFlow     = &outcome{code: 200, granted: 10 * time.Minute, way: &Way{Outbound: true}}
	heldAgain   = &outcome{problem: delivery.ProblemHeldBack, held: t0.Add(3 * time.Minute), denied: true}
)

// A binding that holds, one that has run out, and none.
var (
	holds = t0.Add(5 * time.Minute)
	ran   = t0.Add(-time.Second)
	none  time.Time
)

// transition is a row of the table: from -> event -> to.
type transition struct {
	name    string
	from    state
	event   kind
	outcome *outcome
	to      phase
	shown   State
	actions []do
}

func transitions() []transition {
	return []transition{
		// RFC 3261 §10.2: "When a UA sends a REGISTER request to add bindings …"
		{"a new line registers", state{phase: idle, shown: delivery.Idle}, start, nil, registering, delivery.Registering, []do{adopt, register}},
		{"a stopped line registers again", state{phase: stopped, shown: delivery.Disabled}, start, nil, registering, delivery.Registering, []do{adopt, register}},

		// §10.2.4: "Each UA is responsible for refreshing the bindings that it has previously established."
		{"registered", state{phase: registering, shown: delivery.Registering}, done, granted600, registered, delivery.Registered, []do{wake}},
		{"time to refresh", state{phase: registered, expires: holds, shown: delivery.Registered}, due, nil, refreshing, delivery.Registered, []do{register}},
		{"refreshed", state{phase: refreshing, expires: holds, shown: delivery.Registered}, done, granted600, registered, delivery.Registered, []do{wake}},
		{"leftovers of an earlier life are removed", state{phase: refreshing, expires: holds}, done, leftBehind, registered, delivery.Registered, []do{remove, wake}},

		// §10.2.7: "If a UA receives a 408 (Request Timeout) … the UA SHOULD NOT immediately re-attempt a registration to the same registrar."
		{"silence", state{phase: registering}, done, silence, waiting, delivery.Error, []do{wake}},
		{"refused by a 5xx", state{phase: registering}, done, unavailable, waiting, delivery.Error, []do{wake}},
		{"a refresh fails", state{phase: refreshing, expires: holds, shown: delivery.Registered}, done, silence, waiting, delivery.Error, []do{wake}},
		{"time to try again", state{phase: waiting, shown: delivery.Error}, due, nil, retrying, delivery.Error, []do{register}},
		{"tried again in vain", state{phase: retrying, shown: delivery.Error}, done, silence, waiting, delivery.Error, []do{wake}},
		{"tried again and registered", state{phase: retrying, shown: delivery.Error}, done, granted600, registered, delivery.Registered, []do{wake}},

		// §22.1: "If a request … contains credentials that were rejected … MUST NOT re-attempt requests with the credentials that have just been rejected"
		{"wrong password", state{phase: registering}, done, refused, waiting, delivery.Unauthorized, []do{wake}},
		{"a password that worked is wrong", state{phase: refreshing, expires: holds, shown: delivery.Registered, last: granted600}, done, relapsed, waiting, delivery.Unauthorized, []do{wake}},
		{"forbidden", state{phase: registering}, done, forbidden, waiting, delivery.Unauthorized, []do{wake}},
		{"still the wrong password", state{phase: retrying, shown: delivery.Unauthorized}, done, refused, waiting, delivery.Unauthorized, []do{wake}},
		{"the new password is tried at once", state{phase: waiting, shown: delivery.Unauthorized}, changed, nil, registering, delivery.Registering, []do{adopt, register}},
		{"a password rotated under a registered line", state{phase: registered, expires: holds, shown: delivery.Registered}, changed, nil, refreshing, delivery.Registered, []do{adopt, register}},
		{"a password rotated during a refresh", state{phase: refreshing, expires: holds, shown: delivery.Registered}, changed, nil, refreshing, delivery.Registered, []do{abandon, adopt, register}},
		{"a password rotated during the first attempt", state{phase: registering, shown: delivery.Registering}, changed, nil, registering, delivery.Registering, []do{abandon, adopt, register}},
		{"a password rotated during a retry", state{phase: retrying, shown: delivery.Unauthorized}, changed, nil, registering, delivery.Registering, []do{abandon, adopt, register}},

		// §10.2.8: "… it MAY retry the registration after making the expiration interval of all contact addresses
		// in the REGISTER request equal to or greater than … Min-Expires"
		{"423 raises the expiry", state{phase: registering, shown: delivery.Registering}, done, tooBrief, registering, delivery.Registering, []do{register}},
		{"423 during a refresh", state{phase: refreshing, expires: holds, shown: delivery.Registered}, done, tooBrief, refreshing, delivery.Registered, []do{register}},
		{"423 during a retry", state{phase: retrying, shown: delivery.Error}, done, tooBrief, retrying, delivery.Error, []do{register}},
		{"423 for what we asked already", state{phase: registering, ask: time.Hour}, done, tooBrief, waiting, delivery.Error, []do{wake}},
		{"423 without Min-Expires", state{phase: registering}, done, tooBriefNil, waiting, delivery.Error, []do{wake}},
		{"423 beyond reason", state{phase: registering}, done, tooBriefAll, waiting, delivery.Error, []do{wake}},

		// RFC 5626 §4.4: a flow that failed is replaced by another.
		{"the connection is lost", state{phase: registered, expires: holds, shown: delivery.Registered}, lost, nil, registered, delivery.Registering, []do{wake}},
		{"it is lost during a refresh, which knows", state{phase: refreshing, expires: holds, shown: delivery.Registered}, lost, nil, refreshing, delivery.Registered, nil},
		{"it is lost while waiting", state{phase: waiting, shown: delivery.Error}, lost, nil, waiting, delivery.Error, nil},
		{"it is lost on the way out", state{phase: leaving, shown: delivery.Registered}, lost, nil, leaving, delivery.Registered, nil},

		// A move takes the old binding away first.
		{"moved while registered", state{phase: registered, expires: holds, shown: delivery.Registered}, moved, nil, removing, delivery.Registering, []do{unregister, wake}},
		{"moved while a REGISTER is under way", state{phase: registering, shown: delivery.Registering}, moved, nil, removing, delivery.Registering, []do{abandon, unregister, wake}},
		{"moved while refreshing", state{phase: refreshing, expires: holds}, moved, nil, removing, delivery.Registering, []do{abandon, unregister, wake}},
		{"moved while retrying", state{phase: retrying}, moved, nil, removing, delivery.Registering, []do{abandon, unregister, wake}},
		{"moved while waiting with a binding left", state{phase: waiting, expires: holds}, moved, nil, removing, delivery.Registering, []do{unregister, wake}},
		{"moved while waiting without one", state{phase: waiting, expires: none}, moved, nil, registering, delivery.Registering, []do{adopt, register}},
		{"moved when the binding has run out", state{phase: registered, expires: ran}, moved, nil, registering, delivery.Registering, []do{adopt, register}},
		{"the old binding is gone", state{phase: removing}, done, removed, registering, delivery.Registering, []do{adopt, register}},
		{"the old binding could not be removed", state{phase: removing}, done, silence, registering, delivery.Registering, []do{adopt, register}},
		{"the old registrar is silent", state{phase: removing}, due, nil, registering, delivery.Registering, []do{abandon, adopt, register}},

		// §10.2.2: "A UA requests the immediate removal of a binding by specifying an expiration interval of "0" …"
		{"stopped while registered", state{phase: registered, expires: holds, shown: delivery.Registered}, stop, nil, leaving, delivery.Registered, []do{unregister, wake}},
		{"stopped while registering", state{phase: registering, shown: delivery.Registering}, stop, nil, leaving, delivery.Registering, []do{abandon, unregister, wake}},
		{"stopped while refreshing", state{phase: refreshing, expires: holds, shown: delivery.Registered}, stop, nil, leaving, delivery.Registered, []do{abandon, unregister, wake}},
		{"stopped while retrying", state{phase: retrying, shown: delivery.Error}, stop, nil, leaving, delivery.Error, []do{abandon, unregister, wake}},
		{"stopped while waiting with a binding left", state{phase: waiting, expires: holds, shown: delivery.Error}, stop, nil, leaving, delivery.Error, []do{unregister, wake}},
		{"stopped while waiting without one", state{phase: waiting, expires: ran, shown: delivery.Error}, stop, nil, stopped, delivery.Disabled, []do{end}},
		{"stopped while moving", state{phase: removing, shown: delivery.Registering}, stop, nil, leaving, delivery.Registering, []do{wake}},
		{"stopped before it began", state{phase: idle}, stop, nil, stopped, delivery.Disabled, []do{end}},
		{"un-registered", state{phase: leaving}, done, removed, stopped, delivery.Disabled, []do{end}},
		{"un-registering refused", state{phase: leaving}, done, refused, stopped, delivery.Disabled, []do{end}},
		{"un-registering takes too long", state{phase: leaving}, due, nil, stopped, delivery.Disabled, []do{abandon, end}},

		// RFC 5626 §4.2.1, §11.6: 439 (First Hop Lacks Outbound Support).
		{"a proxy on the way does not know flows", state{phase: registering, shown: delivery.Registering}, done, lacking, registering, delivery.Registering, []do{register}},
		{"nor does it know them at a refresh", state{phase: refreshing, expires: holds, shown: delivery.Registered}, done, lacking, refreshing, delivery.Registered, []do{register}},
		{"439 to a REGISTER that asked for no flow", state{phase: registering, plain: true}, done, lacking, waiting, delivery.Error, []do{wake}},
		{"registered to a flow", state{phase: registering}, done, toAFlow, registered, delivery.Registered, []do{wake}},

		// RFC 3581, contactIP=external: the Contact is where the server sees us.
		{"the server sees another address than the Contact has", state{phase: registering}, done, misplaced, refreshing, delivery.Registered, []do{register}},
		{"and yet another one", state{phase: refreshing, expires: holds, corrections: 1, shown: delivery.Registered}, done, misplaced, refreshing, delivery.Registered, []do{register}},
		{"another one each time", state{phase: refreshing, expires: holds, corrections: 2, shown: delivery.Registered}, done, misplaced, registered, delivery.Registered, []do{wake}},

		// Kindness: the gate did not let it through, others having been refused.
		{"held back at the start", state{phase: registering}, done, heldBack, waiting, delivery.Error, []do{wake}},
		{"held back with a new password under a binding", state{phase: refreshing, expires: holds, shown: delivery.Registered}, done, heldBack, waiting, delivery.Error, []do{wake}},
		{"held back again", state{phase: retrying, shown: delivery.Error, last: heldBack}, done, heldBack, waiting, delivery.Error, []do{wake}},
		{"held back with a password that was refused: that is what is wrong", state{phase: retrying, shown: delivery.Unauthorized, last: refused}, done, heldAgain, waiting, delivery.Unauthorized, []do{wake}},
		{"a refresh that is held back leaves the binding", state{phase: refreshing, expires: holds, shown: delivery.Registered, last: granted600}, done, heldProven, waiting, delivery.Registered, []do{wake}},
		{"held back when the binding has run out", state{phase: retrying, expires: ran, held: true, shown: delivery.Registered, last: granted600}, done, heldProven, waiting, delivery.Error, []do{wake}},
		{"its time to ask again", state{phase: waiting, expires: holds, held: true, shown: delivery.Registered, last: granted600}, due, nil, retrying, delivery.Registered, []do{register}},
		{"another was let in while it still has a binding", state{phase: waiting, expires: holds, held: true, shown: delivery.Registered, last: granted600}, released, nil, retrying, delivery.Registered, []do{register}},
		{"held back without the connection of its binding", state{phase: waiting, expires: holds, held: true, shown: delivery.Registered, last: granted600}, lost, nil, waiting, delivery.Registering, nil},
		{"another line was let in", state{phase: waiting, shown: delivery.Error, last: heldBack}, released, nil, retrying, delivery.Error, []do{register}},
		{"the server that was silent is back", state{phase: waiting, shown: delivery.Error, last: silence}, released, nil, retrying, delivery.Error, []do{register}},
		{"the server that was away is back", state{phase: waiting, shown: delivery.Error, last: icmp}, released, nil, retrying, delivery.Error, []do{register}},
		{"another line was let in during the attempt", state{phase: registering, shown: delivery.Registering}, released, nil, registering, delivery.Registering, nil},
		{"another line was let in during a refresh", state{phase: refreshing, expires: holds, shown: delivery.Registered}, released, nil, refreshing, delivery.Registered, nil},
		{"another line was let in during a retry", state{phase: retrying, shown: delivery.Error, last: heldBack}, released, nil, retrying, delivery.Error, nil},
		{"held back by a crowd that is gone by now", state{phase: registering, freed: true, shown: delivery.Registering}, done, heldBack, registering, delivery.Registering, []do{register}},
		{"a refresh held back by a crowd that is gone by now", state{phase: refreshing, freed: true, expires: holds, shown: delivery.Registered, last: granted600}, done, heldProven, refreshing, delivery.Registered, []do{register}},
		{"a retry held back by a crowd that is gone by now", state{phase: retrying, freed: true, shown: delivery.Error, last: heldBack}, done, heldBack, retrying, delivery.Error, []do{register}},
		{"refused, whatever became of the crowd", state{phase: registering, freed: true}, done, refused, waiting, delivery.Unauthorized, []do{wake}},
		{"a refusal stays one, whoever is let in", state{phase: waiting, shown: delivery.Unauthorized, last: refused}, released, nil, waiting, delivery.Unauthorized, nil},
	}
}

func TestTransitions(t *testing.T) {
	for _, row := range transitions() {
		t.Run(row.name, func(t *testing.T) {
			got, actions := next(row.from, event{kind: row.event, at: t0, dice: 0.5, outcome: row.outcome})
			var dos []do
			for _, a := range actions {
				dos = append(dos, a.do)
			}
			if got.phase != row.to || got.shown != row.shown || !slices.Equal(dos, row.actions) {
				t.Errorf("%s -> %s -> %s (%s) %v; want %s (%s) %v",
					row.from.phase, row.event, got.phase, got.shown, dos, row.to, row.shown, row.actions)
			}
		})
	}
}

// The gate tells a line that it is held, then that it need not wait any more; what it told first comes second, by way of the attempt.
func TestWordThatTheCrowdIsGoneOvertakesTheWordToWait(t *testing.T) {
	s := state{phase: registering, shown: delivery.Registering}
	s, _ = next(s, event{kind: released, at: t0})
	s, actions := next(s, event{kind: done, at: t0, outcome: heldBack})
	if s.phase != registering || len(actions) != 1 || actions[0].do != register {
		t.Fatalf("%s, %v: the line waits for nothing", s.phase, actions)
	}
	if s, _ = next(s, event{kind: done, at: t0, outcome: heldBack}); s.phase != waiting {
		t.Errorf("held back anew, the line is %s", s.phase)
	}
}

// illegal is what changes nothing: answers and timers that come late.
var illegal = map[phase][]kind{
	idle:        {due, done, changed, moved, lost, released},
	registering: {start, due, lost},
	registered:  {start, done, released},
	refreshing:  {start, due, lost},
	waiting:     {start, done, lost},
	retrying:    {start, due, lost},
	removing:    {start, changed, moved, lost, released},
	leaving:     {start, changed, moved, stop, lost, released},
	stopped:     {due, done, changed, moved, stop, lost, released},
}

func TestIllegalEventsChangeNothing(t *testing.T) {
	for from, kinds := range illegal {
		for _, k := range kinds {
			before := state{phase: from, expires: holds, failures: 3, ask: time.Hour, shown: delivery.Error, last: silence}
			after, actions := next(before, event{kind: k, at: t0, outcome: granted600})
			if !reflect.DeepEqual(after, before) || actions != nil {
				t.Errorf("%s -> %s -> %+v %v; want no change", from, k, after, actions)
			}
		}
	}
}

// All there are.
var (
	phases = []phase{idle, registering, registered, refreshing, waiting, retrying, removing, leaving, stopped}
	kinds  = []kind{start, due, done, changed, moved, lost, released, stop}
)

// drawn is the machine as a table: for every phase and event the phases that may
// follow, as the transitions say.
func drawn(t *testing.T) string {
	t.Helper()
	follow := map[phase]map[kind][]string{}
	for _, p := range phases {
		follow[p] = map[kind][]string{}
	}
	for _, row := range transitions() {
		cell, to := follow[row.from.phase][row.event], string(row.to)
		if !slices.Contains(cell, to) {
			follow[row.from.phase][row.event] = append(cell, to)
		}
	}
	var b strings.Builder
	b.WriteString("| |")
	for _, k := range kinds {
		fmt.Fprintf(&b, " %s |", k)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(kinds)) + "\n")
	for _, p := range phases {
		fmt.Fprintf(&b, "| **%s** |", p)
		for _, k := range kinds {
			cell, none := follow[p][k], slices.Contains(illegal[p], k)
			if len(cell) == 0 && !none {
				t.Errorf("nothing says what %s does to a line that is %s", k, p)
			}
			if slices.Sort(cell); len(cell) == 0 {
				cell = []string{"·"}
			}
			fmt.Fprintf(&b, " %s |", strings.Join(cell, ", "))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestThePageDrawsTheMachine holds docs/registration.md against the transitions.
func TestThePageDrawsTheMachine(t *testing.T) {
	page, err := os.ReadFile("../../docs/registration.md")
	if err != nil {
		t.Fatal(err)
	}
	if table := drawn(t); !strings.Contains(string(page), "\n"+table+"\n") {
		t.Errorf("the page does not have this table:\n%s", table)
	}
	for _, p := range []delivery.Problem{
		delivery.ProblemUnauthorized, delivery.ProblemForbidden, delivery.ProblemNotFound, delivery.ProblemTimeout, delivery.ProblemHostNotFound,
		delivery.ProblemDNS, delivery.ProblemUnreachable, delivery.ProblemRejected, delivery.ProblemServer, delivery.ProblemDigest,
		delivery.ProblemCertificate, delivery.ProblemConfig, delivery.ProblemHeldBack,
	} {
		if !strings.Contains(string(page), "`"+string(p)+"`") {
			t.Errorf("the page does not tell of %s", p)
		}
	}
}

func TestWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		failures       int
		outcome        *outcome
		least, longest time.Duration
	}{
		"the first failure is tried again soon":           {0, silence, time.Second, 2 * time.Second},
		"the second takes twice as long":                  {1, silence, 2 * time.Second, 4 * time.Second},
		"it doubles up to five minutes":                   {20, silence, 150 * time.Second, 5 * time.Minute},
		"Retry-After counts when it is longer":            {0, later, 2 * time.Minute, 132 * time.Second},
		"Retry-After is better known than any backoff":    {20, later, 2 * time.Minute, 132 * time.Second},
		"Retry-After is spread, however short":            {20, soon, 5 * time.Second, 6 * time.Second},
		"credentials that worked are tried once more":     {20, relapsed, secondTry, secondTry * 7 / 6},
		"Retry-After has a bound":                         {0, muchLater, time.Hour, 66 * time.Minute},
		"refused credentials wait minutes":                {0, refused, 225 * time.Second, 5 * time.Minute},
		"and half an hour when they are refused for good": {20, forbidden, 1350 * time.Second, 30 * time.Minute},
		"a line that is held back asks when the next may": {20, heldBack, 3 * time.Minute, 3*time.Minute + mostHeldSpread},
	} {
		t.Run(name, func(t *testing.T) {
			for _, dice := range []float64{0, 0.3, 0.999} {
				s, actions := next(state{phase: retrying, failures: tt.failures}, event{kind: done, at: t0, dice: dice, outcome: tt.outcome})
				if len(actions) != 1 || actions[0].after < tt.least || actions[0].after > tt.longest {
					t.Errorf("dice %v: %+v, want %s to %s", dice, actions, tt.least, tt.longest)
				}
				if !s.retry.Equal(t0.Add(actions[0].after)) {
					t.Errorf("retry is shown as %s, want %s", s.retry, t0.Add(actions[0].after))
				}
			}
		})
	}
}

// Flows that end one after the other before they were any good, and those that cannot
// be made, are waited for longer and longer: RFC 5626 §4.5, 50 to 100 % of
// min(1800 s, 30 s · 2^failures), where the registrar keeps flows.
func TestWaitsForAFlow(t *testing.T) {
	for name, tt := range map[string]struct {
		from           state
		event          event
		least, longest time.Duration
	}{
		"a good flow is made anew at once":                 {state{phase: registered, outbound: true, shaky: 5}, event{kind: lost, proved: true}, 0, mostLostWait},
		"one that was never any good counts as a failure":  {state{phase: registered, outbound: true}, event{kind: lost}, 30 * time.Second, time.Minute},
		"the third in a row":                               {state{phase: registered, outbound: true, shaky: 2}, event{kind: lost}, 2 * time.Minute, 4 * time.Minute},
		"without RFC 5626 the first is nothing":            {state{phase: registered}, event{kind: lost}, 0, mostLostWait},
		"the third in a row without it":                    {state{phase: registered, shaky: 2}, event{kind: lost}, 4 * time.Second, 8 * time.Second},
		"the ninth in a row without it":                    {state{phase: registered, shaky: 8}, event{kind: lost}, mostShakyWait / 2, mostShakyWait},
		"a flow that cannot be made":                       {state{phase: retrying, outbound: true}, event{kind: done, outcome: silence}, 30 * time.Second, time.Minute},
		"a flow that cannot be made for the fourth time":   {state{phase: retrying, outbound: true, failures: 3}, event{kind: done, outcome: icmp}, 4 * time.Minute, 8 * time.Minute},
		"the longest wait is half an hour":                 {state{phase: retrying, outbound: true, failures: 30}, event{kind: done, outcome: icmp}, 15 * time.Minute, 30 * time.Minute},
		"what the server asks for is better known than it": {state{phase: retrying, outbound: true, failures: 30}, event{kind: done, outcome: soon}, 5 * time.Second, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			for _, dice := range []float64{0, 0.3, 0.999} {
				ev := tt.event
				ev.at, ev.dice = t0, dice
				_, actions := next(tt.from, ev)
				if len(actions) != 1 || actions[0].do != wake || actions[0].after < tt.least || actions[0].after > tt.longest {
					t.Errorf("dice %v: %+v, want %s to %s", dice, actions, tt.least, tt.longest)
				}
			}
		})
	}
}

func TestRefreshAfter(t *testing.T) {
	for _, tt := range []struct{ granted, least, longest time.Duration }{
		{time.Second, time.Second, time.Second},
		{10 * time.Second, 5 * time.Second, 6 * time.Second},
		{30 * time.Second, 15 * time.Second, 18 * time.Second},
		{60 * time.Second, 30 * time.Second, 36 * time.Second},
		{120 * time.Second, 68 * time.Second, 80 * time.Second},
		{600 * time.Second, 480 * time.Second, 540 * time.Second},
		{time.Hour, 48 * time.Minute, 54 * time.Minute},
	} {
		for _, dice := range []float64{0, 0.5, 0.999} {
			if d := refreshAfter(tt.granted, dice); d < tt.least || d > tt.longest {
				t.Errorf("granted %s, dice %v: refreshed after %s, want %s to %s", tt.granted, dice, d, tt.least, tt.longest)
			}
		}
	}
}

func TestExpiryAskedForStays(t *testing.T) {
	s, _ := next(state{phase: registering}, event{kind: done, at: t0, outcome: tooBrief})
	s, _ = next(s, event{kind: done, at: t0, outcome: granted600})
	_, actions := next(s, event{kind: due, at: t0})
	if len(actions) != 1 || actions[0].ask != time.Hour {
		t.Errorf("the refresh asks %+v, want the hour that 423 asked for", actions)
	}
}
