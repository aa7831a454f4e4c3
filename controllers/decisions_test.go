package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func equal(a, b any) bool { return equality.Semantic.DeepEqual(a, b) }

func pod(change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "default-0", Annotations: map[string]string{podspec.AnnotationTemplate: "new"}},
		Spec:       corev1.PodSpec{NodeName: "n"}, Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	if change != nil {
		change(p)
	}
	return p
}

func node(ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}}}
}

func TestPlanPod(t *testing.T) {
	ending := func(at time.Duration) *corev1.Pod {
		return pod(func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now.Add(at)} })
	}
	old := pod(func(p *corev1.Pod) { p.Annotations[podspec.AnnotationTemplate] = "old" })
	for name, c := range map[string]struct {
		pod      *corev1.Pod
		node     *corev1.Node
		template string
		replace  bool
		want     podAction
		again    time.Duration
	}{
		"none is made":                              {nil, nil, "new", true, podCreate, 0},
		"one that runs is kept":                     {pod(nil), node("True"), "new", true, podKeep, 0},
		"one that failed goes":                      {pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), node("True"), "new", false, podDelete, 0},
		"one that ended goes":                       {pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), node("True"), "new", false, podDelete, 0},
		"one that is ending may end":                {ending(20 * time.Second), node("True"), "new", true, podKeep, 30 * time.Second},
		"one that does not end is dropped":          {ending(-10 * time.Second), node("True"), "new", true, podDrop, 0},
		"one ending on a lost node is dropped":      {ending(20 * time.Second), node("Unknown"), "new", true, podDrop, 0},
		"one ending on a removed node is dropped":   {ending(20 * time.Second), nil, "new", true, podDrop, 0},
		"one on a lost node waits to be evicted":    {pod(nil), node("Unknown"), "new", true, podKeep, 0},
		"an outdated one is replaced in its turn":   {old, node("True"), "new", true, podDelete, 0},
		"and not before":                            {old, node("True"), "new", false, podKeep, rolloutLook},
		"nor when the fleet is not there to say so": {old, node("True"), "", true, podKeep, 0},
	} {
		got, again := planPod(c.pod, c.node, c.template, now, func() bool { return c.replace })
		if got != c.want || again != c.again {
			t.Errorf("%s: got %d, again in %s", name, got, again)
		}
	}
}

func TestOnePodAtATimeIsReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		fleet []peer
		want  string // who may be replaced
	}{
		"the first outdated one":                {[]peer{{"a", true, true, true}, {"b", true, true, true}}, "a"},
		"the next when it is up to date":        {[]peer{{"a", true, true, false}, {"b", true, true, true}}, "b"},
		"nobody else while one comes back":      {[]peer{{"a", false, false, false}, {"b", true, true, true}}, "a"},
		"nor while its readiness is not probed": {[]peer{{"a", true, false, false}, {"b", true, true, true}}, ""},
		"one that nobody counts on goes first":  {[]peer{{"a", true, false, true}, {"b", true, true, true}}, "a"},
		"one that is not ready, at once":        {[]peer{{"a", true, true, true}, {"b", false, false, true}}, "b"},
		"all that are not ready, at once":       {[]peer{{"a", false, false, true}, {"b", false, false, true}}, "ab"},
	} {
		got := ""
		for _, p := range c.fleet {
			if mayReplace(p.name, c.fleet) {
				got += p.name
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestPlanTouch(t *testing.T) {
	facts := func(change func(*agentFacts)) *agentFacts {
		f := &agentFacts{now: now, delivered: true, ledger: ledger{Snapshot: "new"}, pod: pod(nil), report: &reports.Agent{Connected: true}}
		f.report.SnapshotHash = "old"
		if change != nil {
			change(f)
		}
		return f
	}
	for name, c := range map[string]struct {
		facts *agentFacts
		last  touched
		touch bool
		again time.Duration
	}{
		"new files are made known":             {facts(nil), touched{"old", 1, now}, true, 0},
		"then there are two seconds":           {facts(nil), touched{"new", 1, now}, false, 2 * time.Second},
		"then once more":                       {facts(nil), touched{"new", 1, now.Add(-2 * time.Second)}, true, 0},
		"then four":                            {facts(nil), touched{"new", 2, now.Add(-3 * time.Second)}, false, time.Second},
		"a minute at most":                     {facts(nil), touched{"new", 99, now}, false, time.Minute},
		"what has arrived is left alone":       {facts(func(f *agentFacts) { f.report.SnapshotHash = "new" }), touched{}, false, 0},
		"what is refused is sent once":         {facts(func(f *agentFacts) { f.report.Rejected = []delivery.Rejected{{File: "a.xml"}} }), touched{"new", 1, now.Add(-time.Hour)}, false, 0},
		"and its remedy too":                   {facts(func(f *agentFacts) { f.report.Rejected = []delivery.Rejected{{File: "a.xml"}} }), touched{"old", 1, now}, true, 0},
		"no pod, no touch":                     {facts(func(f *agentFacts) { f.pod = nil }), touched{}, false, 0},
		"a pod that starts mounts what is new": {facts(func(f *agentFacts) { f.pod.Status.Phase = corev1.PodPending }), touched{}, false, 0},
	} {
		touch, again := planTouch(c.facts, c.last)
		if touch != c.touch || again != c.again {
			t.Errorf("%s: touch %v, again in %s", name, touch, again)
		}
	}
}

func TestJudgeAgent(t *testing.T) {
	facts := func(change func(*agentFacts)) *agentFacts {
		f := &agentFacts{agent: &v1.SoftphoneAgent{}, now: now, delivered: true, ledger: ledger{Snapshot: "s"}, pod: pod(func(p *corev1.Pod) { p.Status.PodIP = "10.0.0.1" })}
		f.agent.Status.Address = "10.0.0.1"
		f.report = &reports.Agent{Connected: true, AgentReport: delivery.AgentReport{Ready: true, SnapshotHash: "s"}}
		change(f)
		return f
	}
	wasReady := func(f *agentFacts) {
		f.report = &reports.Agent{Since: now.Add(-time.Second), Failure: "refused"}
		f.agent.Status.Conditions = []metav1.Condition{{Type: v1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Ready"}}
	}
	starting := func(f *agentFacts, since time.Time) {
		f.pod.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(since)},
			{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionFalse},
		}}
	}
	for name, c := range map[string]struct {
		facts *agentFacts
		want  string
		again time.Duration
	}{
		"all is well":                      {facts(func(*agentFacts) {}), "True Ready", 0},
		"newer files on their way":         {facts(func(f *agentFacts) { f.report.SnapshotHash = "older" }), "True Ready reconciling", 0},
		"no pod":                           {facts(func(f *agentFacts) { f.pod = nil }), "False AgentNotReady reconciling", 0},
		"not loaded":                       {facts(func(f *agentFacts) { f.report.Ready = false }), "False AgentNotReady reconciling", 0},
		"never heard of":                   {facts(func(f *agentFacts) { f.report = nil }), "False NoReport reconciling", 0},
		"silent for a moment":              {facts(wasReady), "True Ready", 4 * time.Second},
		"silent for long":                  {facts(func(f *agentFacts) { wasReady(f); f.report.Since = now.Add(-minute) }), "False NoReport reconciling", 0},
		"silent because it is another pod": {facts(func(f *agentFacts) { wasReady(f); f.agent.Status.Address = "10.0.0.9" }), "False NoReport reconciling", 0},
		"a pod that has its node":          {facts(func(f *agentFacts) { f.report = nil; starting(f, now.Add(-time.Second)) }), "False AgentNotReady reconciling", mountPatience - time.Second},
		"and does not get its volumes":     {facts(func(f *agentFacts) { f.report = nil; starting(f, now.Add(-minute)) }), "False VolumesNotMounted reconciling", 0},
		"and gets them, but no image yet": {facts(func(f *agentFacts) {
			f.report = nil
			starting(f, now.Add(-minute))
			f.pod.Status.Conditions[1].Status = "True"
		}), "False AgentNotReady reconciling", 0},
		"a pod that cannot be": {facts(func(f *agentFacts) { f.podProblem = &render.Failure{Reason: v1.ReasonPodRefused, Message: "no"} }), "False PodRefused stalled", 0},
	} {
		v, again := judgeAgent(c.facts)
		got := strings.TrimSpace(fmt.Sprint(v.ready, " ", v.reason, map[bool]string{true: " reconciling"}[v.reconciling], map[bool]string{true: " stalled"}[v.stalled]))
		if got != c.want || again != c.again {
			t.Errorf("%s: got %q, again in %s", name, got, again)
		}
	}
}

func TestAPodWithoutVolumesNamesItsClaim(t *testing.T) {
	waiting := pod(func(p *corev1.Pod) {
		p.Name = "edge-0"
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionFalse},
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-minute))},
		}}
	})
	for claim, want := range map[string]string{
		"":       "the pod has not got its volumes or its network; its events say why: kubectl describe pod edge-0",
		"sounds": "the pod has not got its volumes (PersistentVolumeClaim sounds is one) or its network; its events say why: kubectl describe pod edge-0",
	} {
		waiting.Spec.Volumes = []corev1.Volume{{Name: "state"}}
		if claim != "" {
			waiting.Spec.Volumes = append(waiting.Spec.Volumes, corev1.Volume{Name: "prompts", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
			}})
		}
		if v, _ := judgeStart(waiting, now); v.message != want {
			t.Errorf("\n got %s\nwant %s", v.message, want)
		}
	}
}

func TestTheYoungerYields(t *testing.T) {
	at := func(name string, age time.Duration, change func(*v1.SoftphoneAccount)) v1.SoftphoneAccount {
		a := v1.SoftphoneAccount{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(now.Add(-age))}}
		if change != nil {
			change(&a)
		}
		return a
	}
	for name, c := range map[string]struct {
		others []v1.SoftphoneAccount
		want   string
	}{
		"alone":                          {nil, ""},
		"itself is no rival":             {[]v1.SoftphoneAccount{at("me", minute, nil)}, ""},
		"an older one":                   {[]v1.SoftphoneAccount{at("old", time.Hour, nil)}, "old"},
		"a younger one":                  {[]v1.SoftphoneAccount{at("young", time.Second, nil)}, ""},
		"the oldest of two":              {[]v1.SoftphoneAccount{at("old", time.Hour, nil), at("oldest", 2*time.Hour, nil)}, "oldest"},
		"of one age, the first by name":  {[]v1.SoftphoneAccount{at("a", minute, nil), at("z", minute, nil)}, "a"},
		"a suspended one claims nothing": {[]v1.SoftphoneAccount{at("old", time.Hour, func(a *v1.SoftphoneAccount) { a.Spec.Suspend = ptr.To(true) })}, ""},
		"a trunk claims its calls":       {[]v1.SoftphoneAccount{at("old", time.Hour, func(a *v1.SoftphoneAccount) { a.Spec.Trunk = ptr.To(true) })}, "old"},
		"a suspended trunk does not":     {[]v1.SoftphoneAccount{at("old", time.Hour, func(a *v1.SoftphoneAccount) { a.Spec.Trunk, a.Spec.Suspend = ptr.To(true), ptr.To(true) })}, ""},
		"nor does one that goes":         {[]v1.SoftphoneAccount{at("old", time.Hour, func(a *v1.SoftphoneAccount) { a.DeletionTimestamp = &metav1.Time{Time: now} })}, ""},
	} {
		me := at("me", minute, nil)
		got := ""
		if r := rival(&me, c.others); r != nil {
			got = r.Name
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestHolderOfAMovingLineIsWhereItIsHealthy(t *testing.T) {
	acc := &v1.SoftphoneAccount{ObjectMeta: metav1.ObjectMeta{Name: "alice"}, Status: v1.SoftphoneAccountStatus{Agent: "old"}}
	agent := func(name string, slot int32, state v1.BindingState) v1.SoftphoneAgent {
		return v1.SoftphoneAgent{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.SoftphoneAgentSpec{Lines: []v1.LineBinding{{Name: "alice", Slot: slot, State: state}}}}
	}
	for name, c := range map[string]struct {
		agents  []v1.SoftphoneAgent
		healthy string
		want    string
	}{
		"nowhere":                   {nil, "", ""},
		"draining is no home":       {[]v1.SoftphoneAgent{agent("old", 1, v1.BindingDraining)}, "old", ""},
		"both sound: the one known": {[]v1.SoftphoneAgent{agent("new", 2, v1.BindingActive), agent("old", 1, v1.BindingActive)}, "new old", "old"},
		"the one that is healthy":   {[]v1.SoftphoneAgent{agent("new", 2, v1.BindingActive), agent("old", 1, v1.BindingActive)}, "new", "new"},
		"neither: the one known":    {[]v1.SoftphoneAgent{agent("new", 2, v1.BindingActive), agent("old", 1, v1.BindingActive)}, "", "old"},
		"the old one drains":        {[]v1.SoftphoneAgent{agent("new", 2, v1.BindingActive), agent("old", 1, v1.BindingDraining)}, "new old", "new"},
	} {
		got := ""
		if home, _ := holder(acc, c.agents, func(a *v1.SoftphoneAgent) bool { return strings.Contains(c.healthy, a.Name) }); home != nil {
			got = home.Name
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestParcelsThatDoNotFitDisturbNobody(t *testing.T) {
	document := func(n int) parcel { return parcel{document: []byte(strings.Repeat("x", n))} }
	with := func(c parcel, files map[string]int) parcel {
		c.files = map[string][]byte{}
		for name, n := range files {
			c.files[name] = []byte(strings.Repeat("x", n))
		}
		return c
	}
	type parcels = map[string]parcel
	for name, c := range map[string]struct {
		before, wanted parcels
		kept           string
	}{
		"the largest that is new": {
			parcels{"a": document(100), "b": document(200_000)},
			parcels{"a": document(190_000), "b": document(200_000), "c": document(300_000), "d": document(180_000)}, "c"},
		"authorities that all trust count once": {
			parcels{},
			parcels{"a": with(document(100_000), map[string]int{"ca": 300_000}), "b": with(document(100_000), map[string]int{"ca": 300_000}), "c": with(document(100_000), map[string]int{"ca": 300_000})}, ""},
		"certificates of their own count each": {
			parcels{"a": document(100_000)},
			parcels{"a": document(100_000), "b": with(document(1000), map[string]int{"b": 400_000}), "c": with(document(1000), map[string]int{"c": 300_000})}, "b"},
		"common authorities that grow too large are as they were for everyone": {
			parcels{"a": with(document(100_000), map[string]int{"old": 100}), "b": with(document(100_000), map[string]int{"old": 100})},
			parcels{"a": with(document(100_000), map[string]int{"new": 600_000}), "b": with(document(100_000), map[string]int{"new": 600_000})}, "ab"},
	} {
		lines := map[string]ledgerLine{}
		for line := range c.wanted {
			lines[line] = ledgerLine{}
		}
		got := maps.Clone(c.wanted)
		fit(got, c.before, lines)
		kept := ""
		for _, line := range slices.Sorted(maps.Keys(lines)) {
			want := c.wanted[line]
			if lines[line].Kept {
				kept += line
				want = c.before[line]
			}
			if !equal(got[line].document, want.document) || !equal(got[line].files, want.files) {
				t.Errorf("%s: %s is neither what it was nor what it shall be", name, line)
			}
		}
		if kept != c.kept || measure(got).total > delivery.MaxBytes-reserve {
			t.Errorf("%s: kept %q, want %q; %d bytes", name, kept, c.kept, measure(got).total)
		}
	}
}

func TestSpacing(t *testing.T) {
	s := newSpacing(500 * time.Millisecond)
	key := podOf(&v1.SoftphoneAgent{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	if got := s.wait(key, now); got != 0 {
		t.Errorf("the first waits %s", got)
	}
	s.done(key, now)
	if got := s.wait(key, now.Add(200*time.Millisecond)); got != 300*time.Millisecond {
		t.Errorf("the second waits %s", got)
	}
	if got := s.wait(key, now.Add(time.Second)); got != 0 {
		t.Errorf("after a pause: %s", got)
	}
}

func TestFleetJudgement(t *testing.T) {
	for name, c := range map[string]struct {
		facts fleetFacts
		want  string
	}{
		"all well":                   {fleetFacts{lines: 2, registered: 2}, "True Ready"},
		"lines wait":                 {fleetFacts{lines: 2, unplaced: 1}, "False Placing"},
		"the registrar is away":      {fleetFacts{lines: 5, registered: 1, unreachable: 4}, "False RegistrarUnreachable"},
		"a few lines with their own": {fleetFacts{lines: 5, registered: 4, unreachable: 1}, "True Ready"},
		"trunks that are up":         {fleetFacts{lines: 5, up: 4, unreachable: 1}, "True Ready"},
		"trunks that are down":       {fleetFacts{lines: 5, up: 1, unreachable: 4}, "False RegistrarUnreachable"},
	} {
		v := judgeFleet(&c.facts, "")
		if got := fmt.Sprint(v.ready, " ", v.reason); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
