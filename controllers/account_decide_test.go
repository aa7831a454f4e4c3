package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// placedFacts is an account on an agent that runs its newest settings.
func placedFacts(r *reports.Line) accountFacts {
	acc := &v1.SoftphoneAccount{ObjectMeta: metav1.ObjectMeta{Name: "alice", Generation: 3}}
	acc.Spec.Account = &v1.AccountSettings{Username: ptr.To("alice"), Host: ptr.To(v1.HostPort("registrar.test"))}
	return accountFacts{
		account: acc, now: now, fleetFound: true, passwordSource: "key password of Secret alice",
		rendered:  rendering{made: made{document: "fp"}, address: "alice@registrar.test"},
		placed:    &home{agent: "default-0", slot: 1, ready: true, since: now.Add(-time.Hour)},
		delivered: ledgerLine{Made: "fp", Delivered: "hash"},
		report:    r,
	}
}

func report(state delivery.State, age time.Duration, change func(*delivery.LineReport)) *reports.Line {
	l := delivery.LineReport{Name: "alice", State: state, Since: now.Add(-age), Slot: 1, ConfigHash: "hash", Server: "10.0.0.1:5060/udp", LastCode: 200, LastReason: "OK"}
	if change != nil {
		change(&l)
	}
	return &reports.Line{LineReport: l, Since: now.Add(-age)}
}

func problem(p delivery.Problem, code int, reason string) func(*delivery.LineReport) {
	return func(l *delivery.LineReport) { l.Problem, l.LastCode, l.LastReason = p, code, reason }
}

// after gives facts whose account has the status that other facts led to.
func after(before accountFacts, next accountFacts) accountFacts {
	status, _ := decideAccount(before)
	next.account.Status = status
	return next
}

const minute = time.Minute

func TestDecideAccount(t *testing.T) {
	registered := placedFacts(report(delivery.Registered, minute, nil))
	refused := placedFacts(report(delivery.Unauthorized, minute, problem(delivery.ProblemUnauthorized, 401, "401 Unauthorized: a hint")))
	with := func(f accountFacts, change func(*accountFacts)) accountFacts {
		f.account = f.account.DeepCopy()
		change(&f)
		return f
	}
	fresh := func(change func(*accountFacts)) accountFacts {
		return with(placedFacts(report(delivery.Registered, minute, nil)), change)
	}
	for name, c := range map[string]struct {
		facts                accountFacts
		ready, reason, state string
		stalled, reconciling bool
		message              string // part of it
		again                time.Duration
	}{
		"a registered line is ready": {facts: registered, ready: "True", reason: "Registered", state: "Registered", message: "registered at 10.0.0.1:5060/udp: 200 OK"},
		"one that shall not register is ready": {
			facts: placedFacts(report(delivery.Idle, minute, nil)), ready: "True", reason: "NotRegisteringByPolicy", state: "Idle", message: "icm"},
		"a suspended one is ready": {
			facts: fresh(func(f *accountFacts) {
				f.account.Spec.Suspend = ptr.To(true)
				f.report = report(delivery.Disabled, minute, nil)
			}),
			ready: "True", reason: "Suspended", state: "Disabled"},
		"a suspended one that is still registered is on its way": {
			facts: fresh(func(f *accountFacts) { f.account.Spec.Suspend = ptr.To(true); f.delivered.Made = "older" }),
			ready: "True", reason: "Registered", state: "Registered", reconciling: true},
		"a suspended one needs no agent": {
			facts: fresh(func(f *accountFacts) { f.fleetSuspended, f.placed, f.report = true, nil, nil }),
			ready: "True", reason: "Suspended", state: "Disabled"},
		"one whose agent says goodbye is not taken for suspended": {
			facts: placedFacts(report(delivery.Disabled, minute, nil)),
			ready: "False", reason: "AgentNotReady", state: "Pending", reconciling: true, message: "its pod is ending"},
		"a trunk whose server is there is ready": {
			facts: with(placedFacts(report(delivery.Idle, minute, problem("", 200, "trunk: it does not register; its server answers"))), func(f *accountFacts) { f.account.Spec.Trunk, f.qualifies = ptr.To(true), true }),
			ready: "True", reason: "TrunkUp", state: "Idle", message: "a trunk does not register; its server at 10.0.0.1:5060/udp answers OPTIONS with 200"},
		"one whose server has not answered yet waits": {
			facts: with(placedFacts(report(delivery.Idle, minute, problem("", 0, ""))), func(f *accountFacts) { f.account.Spec.Trunk, f.qualifies = ptr.To(true), true }),
			ready: "Unknown", reason: "Qualifying", state: "Idle", reconciling: true, message: "a trunk does not register; its server at 10.0.0.1:5060/udp is asked whether it is there"},
		"one whose server nobody asks is ready": {
			facts: with(placedFacts(report(delivery.Idle, minute, problem("", 0, ""))), func(f *accountFacts) { f.account.Spec.Trunk = ptr.To(true) }),
			ready: "True", reason: "TrunkUp", state: "Idle", message: "a trunk does not register; nobody asks whether its server at 10.0.0.1:5060/udp is there (spec.registrar.qualifySeconds of the fleet is 0)"},
		"one whose server is away waits": {
			facts: with(placedFacts(report(delivery.Error, minute, problem(delivery.ProblemTimeout, 0, "trunk: no answer from 10.0.0.1:5060"))), func(f *accountFacts) { f.account.Spec.Trunk = ptr.To(true) }),
			ready: "False", reason: "RegistrarTimeout", state: "Error", reconciling: true, message: "alice@registrar.test is a trunk without a server, no answer from 10.0.0.1:5060: check"},
		"a line that is held back waits, whatever its state is called": {
			facts: placedFacts(report(delivery.Registering, minute, problem(delivery.ProblemHeldBack, 0, ""))),
			ready: "False", reason: "HeldBack", state: "Registering", reconciling: true, message: "its registrar at 10.0.0.1:5060/udp refused too many other lines"},
		"so does one that was refused before": {
			facts: after(refused, placedFacts(report(delivery.Registering, minute, problem(delivery.ProblemHeldBack, 0, "")))),
			ready: "False", reason: "HeldBack", state: "Registering", reconciling: true},
		"a line without an agent waits": {
			facts: fresh(func(f *accountFacts) { f.placed, f.report = nil, nil }),
			ready: "False", reason: "Placing", state: "Pending", reconciling: true},
		"a line without a fleet waits": {
			facts: fresh(func(f *accountFacts) { f.placed, f.report, f.fleetFound = nil, nil, false }),
			ready: "False", reason: "FleetNotFound", state: "Pending", reconciling: true, message: "SoftphoneFleet default does not exist"},
		"the younger of two stalls": {
			facts: fresh(func(f *accountFacts) { f.placed, f.report, f.rival = nil, nil, "bob" }),
			ready: "False", reason: "NameConflict", state: "Pending", stalled: true,
			message: "alice@registrar.test is the address of the older SoftphoneAccount bob already"},
		"a missing Secret is told before a conflict": {
			facts: fresh(func(f *accountFacts) {
				f.placed, f.report, f.rival, f.rendered.reason, f.rendered.message = nil, nil, "bob", "SecretNotFound", "no Secret"
			}),
			ready: "False", reason: "SecretNotFound", state: "Pending", stalled: true, message: "no Secret"},
		"an account that cannot be rendered stalls": {
			facts: fresh(func(f *accountFacts) {
				f.placed, f.report, f.rendered.reason, f.rendered.message = nil, nil, "SecretNotFound", "no Secret"
			}),
			ready: "False", reason: "SecretNotFound", state: "Pending", stalled: true, message: "no Secret"},
		"its line runs on if there is one": {
			facts: after(registered, fresh(func(f *accountFacts) { f.rendered.reason, f.rendered.message = "InvalidXML", "bad" })),
			ready: "False", reason: "InvalidXML", state: "Registered", stalled: true, message: "bad (the line keeps running with its last good settings)"},
		"a file the agent refuses stalls": {
			facts: fresh(func(f *accountFacts) { f.rejected = "line 3" }),
			ready: "False", reason: "RejectedByAgent", state: "Registered", stalled: true, message: "line 3"},
		"a document without room stalls": {
			facts: fresh(func(f *accountFacts) { f.delivered.Kept = true }),
			ready: "False", reason: "TooLarge", state: "Registered", stalled: true, message: "no room"},
		"a wrong password stalls": {facts: refused, ready: "False", reason: "Unauthorized", state: "Unauthorized", stalled: true,
			message: "the registrar refused alice@registrar.test (401 Unauthorized): check the password in key password of Secret alice"},
		"a password that is mended is on its way": {
			facts: after(refused, fresh(func(f *accountFacts) {
				f.delivered.Made = "older"
				f.report = report(delivery.Registering, 0, nil)
			})),
			ready: "False", reason: "Unauthorized", state: "Unauthorized", stalled: true},
		"a name that the DNS does not know stalls": {
			facts: placedFacts(report(delivery.Error, minute, problem(delivery.ProblemHostNotFound, 0, "host registrar.test was not found in DNS"))),
			ready: "False", reason: "HostNotFound", state: "Error", stalled: true,
			message: "alice@registrar.test cannot register, host registrar.test was not found in DNS: check host, proxy and outboundProxy_host"},
		"a registrar that does not answer is waited for": {
			facts: placedFacts(report(delivery.Error, minute, problem(delivery.ProblemTimeout, 0, ""))),
			ready: "False", reason: "RegistrarTimeout", state: "Error", reconciling: true, message: "cannot register, the SIP server at 10.0.0.1:5060/udp gave no usable answer: check"},
		"an error that has not lasted is not told": {
			facts: after(registered, placedFacts(report(delivery.Error, 2*time.Second, problem(delivery.ProblemTimeout, 0, "")))),
			ready: "True", reason: "Registered", state: "Registered", again: 3 * time.Second},
		"one that has lasted is": {
			facts: after(registered, placedFacts(report(delivery.Error, 5*time.Second, problem(delivery.ProblemTimeout, 0, "")))),
			ready: "False", reason: "RegistrarTimeout", state: "Error", reconciling: true},
		"another try is no news": {
			facts: after(refused, placedFacts(report(delivery.Registering, minute, nil))),
			ready: "False", reason: "Unauthorized", state: "Unauthorized", stalled: true},
		"success is news at once": {
			facts: after(refused, placedFacts(report(delivery.Registered, 0, nil))), ready: "True", reason: "Registered", state: "Registered"},
		"newer settings on their way": {
			facts: fresh(func(f *accountFacts) { f.delivered.Delivered = "newer" }),
			ready: "True", reason: "Registered", state: "Registered", reconciling: true},
		"a report that is missing changes nothing": {
			facts: after(registered, fresh(func(f *accountFacts) { f.report = nil })), ready: "True", reason: "Registered", state: "Registered"},
		"an agent that is away for a moment changes nothing": {
			facts: after(registered, fresh(func(f *accountFacts) { f.report, f.placed.ready, f.placed.since = nil, false, now.Add(-time.Second) })),
			ready: "True", reason: "Registered", state: "Registered", again: 4 * time.Second},
		"one that stays away is told": {
			facts: after(registered, fresh(func(f *accountFacts) { f.report, f.placed.ready, f.placed.since = nil, false, now.Add(-minute) })),
			ready: "Unknown", reason: "AgentNotReady", state: "Pending", reconciling: true},
		"the report of the slot before means nothing": {
			facts: fresh(func(f *accountFacts) { f.placed.slot = 2 }),
			ready: "Unknown", reason: "NoReport", state: "Pending", reconciling: true},
	} {
		status, again := decideAccount(c.facts)
		ready := find(status.Conditions, v1.ConditionReady)
		if string(ready.Status) != c.ready || ready.Reason != c.reason || string(status.State) != c.state || !strings.Contains(ready.Message, c.message) || again != c.again {
			t.Errorf("%s: got %s %s %q, state %s, again in %s", name, ready.Status, ready.Reason, ready.Message, status.State, again)
		}
		if got := find(status.Conditions, v1.ConditionStalled).Status == metav1.ConditionTrue; got != c.stalled {
			t.Errorf("%s: stalled %v", name, got)
		}
		if got := find(status.Conditions, v1.ConditionReconciling).Status == metav1.ConditionTrue; got != c.reconciling {
			t.Errorf("%s: reconciling %v", name, got)
		}
		wellFormed(t, name, c.facts.account.Generation, status)
	}
}

// wellFormed holds a status against what kstatus and the API server expect.
func wellFormed(t *testing.T, name string, generation int64, status v1.SoftphoneAccountStatus) {
	t.Helper()
	if status.ObservedGeneration != generation {
		t.Errorf("%s: speaks of generation %d", name, status.ObservedGeneration)
	}
	ready, stalled, reconciling := find(status.Conditions, v1.ConditionReady), find(status.Conditions, v1.ConditionStalled), find(status.Conditions, v1.ConditionReconciling)
	switch {
	case stalled.Type != "" && reconciling.Type != "":
		t.Errorf("%s: stalled and reconciling at once", name)
	case stalled.Type != "" && ready.Status != metav1.ConditionFalse:
		t.Errorf("%s: stalled, but Ready is %s", name, ready.Status)
	case stalled.Type == "" && reconciling.Type == "" && ready.Status != metav1.ConditionTrue:
		t.Errorf("%s: not ready, and nobody is told to act or to wait", name)
	}
	for _, c := range status.Conditions {
		if c.Reason == "" || c.Message == "" || c.LastTransitionTime.IsZero() {
			t.Errorf("%s: condition %+v is not complete", name, c)
		}
	}
}

func secured(all ...delivery.Certificate) func(*delivery.LineReport) {
	return func(l *delivery.LineReport) { l.Certificates = all }
}

func TestCertificatesThatEndSoonAreTold(t *testing.T) {
	const days = 24 * time.Hour
	server := func(left time.Duration) delivery.Certificate {
		return delivery.Certificate{Role: delivery.ServerCertificate, Subject: "CN=sip.test", NotAfter: now.Add(left)}
	}
	client := func(left time.Duration) delivery.Certificate {
		return delivery.Certificate{Role: delivery.ClientCertificate, Subject: "CN=ali\x00ce\n", NotAfter: now.Add(left)}
	}
	for name, c := range map[string]struct {
		all             []delivery.Certificate
		reason, message string
		again           time.Duration
	}{
		"no TLS":                        {nil, "", "", 0},
		"long ones":                     {[]delivery.Certificate{server(90 * days), client(20 * days)}, "", "", 6 * days},
		"14 days":                       {[]delivery.Certificate{server(14 * days)}, "CertificateExpiring", "the server certificate CN=sip.test of the line's TLS connection ends on 2026-12-06T12:00:00Z: whoever runs the SIP server must renew it", 14 * days},
		"a second more":                 {[]delivery.Certificate{server(14*days + time.Second)}, "", "", time.Second},
		"the one that ends first":       {[]delivery.Certificate{server(13 * days), client(2 * days)}, "CertificateExpiring", "the client certificate CN=ali ce of the line's TLS connection ends on 2026-11-24T12:00:00Z: renew it in the Secret that clientCertificateSecretName names", 2 * days},
		"one that ended":                {[]delivery.Certificate{server(-time.Second), client(90 * days)}, "CertificateExpired", "ended on 2026-11-22T11:59:59Z", 76 * days},
		"one without a name":            {[]delivery.Certificate{{Role: delivery.ServerCertificate, NotAfter: now.Add(days)}}, "CertificateExpiring", "the server certificate of the line's TLS connection ends on", days},
		"another one gets its own turn": {[]delivery.Certificate{server(days), client(15 * days)}, "CertificateExpiring", "server", days},
	} {
		f := placedFacts(report(delivery.Registered, minute, secured(c.all...)))
		status, again := decideAccount(f)
		got := find(status.Conditions, v1.ConditionCertificateExpiring)
		if got.Reason != c.reason || !strings.Contains(got.Message, c.message) || again != c.again || (got.Status == metav1.ConditionTrue) != (c.reason != "") {
			t.Errorf("%s: got %+v, again in %s", name, got, again)
		}
		if ready := find(status.Conditions, v1.ConditionReady); ready.Status != metav1.ConditionTrue {
			t.Errorf("%s: a line that works is not ready: %+v", name, ready)
		}
		f.account.Status, f.now = status, now.Add(time.Millisecond)
		if again, _ := decideAccount(f); !equal(status, again) {
			t.Errorf("%s: is written again a moment later", name)
		}
		for what, next := range map[string]func(*accountFacts){
			"a report that is missing": func(f *accountFacts) { f.report = nil },
			"renewed":                  func(f *accountFacts) { f.report = report(delivery.Registered, minute, secured(server(90*days))) },
			"suspended":                func(f *accountFacts) { f.account.Spec.Suspend = ptr.To(true) },
			"without an agent":         func(f *accountFacts) { f.placed, f.report = nil, nil },
		} {
			g := f
			g.account = f.account.DeepCopy()
			next(&g)
			later, _ := decideAccount(g)
			if still := find(later.Conditions, v1.ConditionCertificateExpiring); (still.Type != "") != (c.reason != "" && what == "a report that is missing") {
				t.Errorf("%s, %s: got %+v", name, what, still)
			}
		}
	}
}

func find(all []metav1.Condition, kind string) metav1.Condition {
	for _, c := range all {
		if c.Type == kind {
			return c
		}
	}
	return metav1.Condition{}
}

func TestDecidingTwiceChangesNothing(t *testing.T) {
	f := placedFacts(report(delivery.Registered, minute, nil))
	once, _ := decideAccount(f)
	f.account.Status = once
	f.now = f.now.Add(time.Hour)
	if twice, _ := decideAccount(f); !equal(once, twice) {
		t.Errorf("\n once %+v\ntwice %+v", once, twice)
	}
}

func TestEveryProblemHasItsReason(t *testing.T) {
	seen := map[string]delivery.Problem{}
	for _, p := range []delivery.Problem{
		delivery.ProblemUnauthorized, delivery.ProblemForbidden, delivery.ProblemNotFound, delivery.ProblemTimeout, delivery.ProblemHostNotFound,
		delivery.ProblemDNS, delivery.ProblemUnreachable, delivery.ProblemRejected, delivery.ProblemServer, delivery.ProblemDigest, delivery.ProblemConfig,
		delivery.ProblemCertificate, delivery.ProblemHeldBack,
	} {
		f := placedFacts(report(delivery.Error, minute, problem(p, 499, "Whatever")))
		status, _ := decideAccount(f)
		c := find(status.Conditions, v1.ConditionRegistered)
		if before, twice := seen[c.Reason]; twice {
			t.Errorf("%s and %s are both %s", before, p, c.Reason)
		}
		seen[c.Reason] = p
		if !strings.Contains(c.Message, "alice@registrar.test") || strings.Contains(c.Message, "()") {
			t.Errorf("%s: %s", p, c.Message)
		}
	}
}

func TestTextFromTheNetworkIsCleaned(t *testing.T) {
	for _, c := range [][2]string{
		{"OK", "OK"},
		{" two\r\nlines\x00 ", "two  lines"},
		{"\xff\xfe", ""},
		{strings.Repeat("x", 10_000), strings.Repeat("x", 200) + "…"},
	} {
		in, want := c[0], c[1]
		if got := clean(in); got != want {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

func TestNewsAreTransitions(t *testing.T) {
	registered, _ := decideAccount(placedFacts(report(delivery.Registered, minute, nil)))
	refused, _ := decideAccount(placedFacts(report(delivery.Unauthorized, minute, problem(delivery.ProblemUnauthorized, 401, "Unauthorized"))))
	held, _ := decideAccount(placedFacts(report(delivery.Error, minute, problem(delivery.ProblemHeldBack, 0, ""))))
	ending, _ := decideAccount(placedFacts(report(delivery.Registered, minute, secured(delivery.Certificate{Role: "server", NotAfter: now.Add(minute)}))))
	trying, _ := decideAccount(placedFacts(report(delivery.Registering, minute, nil)))
	told := func(before, after v1.SoftphoneAccountStatus) string {
		var out []string
		for _, p := range news(before.Conditions, after.Conditions) {
			out = append(out, p.kind+" "+p.reason)
		}
		return strings.Join(out, ", ")
	}
	none := v1.SoftphoneAccountStatus{}
	for name, c := range map[string]struct {
		before, after v1.SoftphoneAccountStatus
		want          string
	}{
		"a new line":            {none, registered, "Normal Scheduled, Normal Registered"},
		"nothing":               {registered, registered, ""},
		"a refusal":             {registered, refused, "Warning Unauthorized"},
		"on its way is no news": {refused, trying, ""},
		"and success after it":  {trying, registered, "Normal Registered"},
		"nor is being held back, which befalls thousands": {registered, held, ""},
		"a certificate that ends":                         {registered, ending, "Warning CertificateExpiring"},
		"is told once":                                    {ending, ending, ""},
		"and its renewal is no news":                      {ending, registered, ""},
	} {
		if got := told(c.before, c.after); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
