package agent

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/provisioning"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// world makes a snapshot the way an agent gets one: out of files.
func world(t *testing.T, files map[string]string) map[string]*target {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	source, err := provisioning.New(provisioning.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	snap, _, err := source.Read()
	if err != nil || len(snap.Rejected) > 0 {
		t.Fatalf("%v %v", err, snap.Rejected)
	}
	return targets(snap)
}

func accountXML(more ...string) string {
	return "<account><title>t</title><username>alice</username><password>p</password><host>pbx.test</host>" + strings.Join(more, "") + "</account>"
}

// TestPlan has a row for what may change between two snapshots of one line.
func TestPlan(t *testing.T) {
	base := map[string]string{"alice.xml": accountXML(), "agent.json": `{"lines":{"alice":{"slot":1}}}`}
	for _, c := range []struct {
		says string
		file string
		now  string
		want action
		why  string
	}{
		{"nothing changed", "alice.xml", accountXML(), nothing, ""},
		{"white space changed: other bytes, the same account", "alice.xml", accountXML("\n"), nothing, ""},
		{"a default is spelled out", "alice.xml", accountXML("<expires>600</expires>"), nothing, "expires"},
		{"a new password", "alice.xml", strings.Replace(accountXML(), ">p<", ">q<", 1), reregister, "password"},
		{"a new expiry", "alice.xml", accountXML("<expires>300</expires>"), reregister, "expires"},
		{"auto answer", "alice.xml", accountXML("<autoAnswerEnabled>1</autoAnswerEnabled>"), live, "autoAnswerEnabled"},
		{"another transport", "alice.xml", accountXML("<transport>tcp</transport>"), restart, "transport"},
		{"incoming calls off", "alice.xml", accountXML("<icm>off</icm>"), reregister, "icm"},
		{"the strongest of two decides", "alice.xml", accountXML("<autoAnswerEnabled>1</autoAnswerEnabled><expires>300</expires>"), reregister, "expires autoAnswerEnabled"},
		{"an unknown node", "alice.xml", accountXML("<novelty>1</novelty>"), nothing, "novelty"},
		{"the other slot", "agent.json", `{"lines":{"alice":{"slot":2}}}`, restart, "slot"},
		{"another identity", "agent.json", `{"lines":{"alice":{"slot":1,"instance":"urn:uuid:1"}}}`, restart, "instance"},
		{"draining", "agent.json", `{"lines":{"alice":{"slot":1,"state":"draining"}}}`, reregister, "state"},
		{"suspended", "agent.json", `{"lines":{"alice":{"slot":1,"suspended":true}}}`, reregister, "suspended"},
		{"a trunk", "agent.json", `{"lines":{"alice":{"slot":1,"trunk":true}}}`, restart, "trunk"},
		{"other bounds at registrars", "agent.json", `{"lines":{"alice":{"slot":1}},"registrar":{"requestsPerSecond":5,"inFlight":1,"refusedPerMinute":2,"qualifySeconds":0}}`, nothing, ""},
		{"another prompt", "agent.json", `{"lines":{"alice":{"slot":1,"play":"wav(hello.wav)"}}}`, live, "play"},
		{"all calls recorded", "agent.json", `{"lines":{"alice":{"slot":1,"record":true}}}`, live, "record"},
		{"another flow", "agent.json", `{"lines":{"alice":{"slot":1,"flow":"ivr"}}}`, live, "flow"},
		{"the row says what it means by default", "agent.json", `{"lines":{"alice":{"slot":1,"state":"active"}}}`, nothing, ""},
		{"another line's row", "agent.json", `{"lines":{"alice":{"slot":1},"bob":{"slot":2}}}`, nothing, ""},
		{"other caps", "agent.json", `{"lines":{"alice":{"slot":1}},"caps":{"concurrentCalls":3}}`, live, "caps"},
		{"cellular", "agent.json", `{"lines":{"alice":{"slot":1}},"network":{"type":"cellular"}}`, live, "network"},
		{"no network", "agent.json", `{"lines":{"alice":{"slot":1}},"network":{"type":"none"}}`, reregister, "network"},
		{"the fleet turns incoming calls off", "agent.json", `{"lines":{"alice":{"slot":1}},"incomingCallMode":"off"}`, reregister, "incomingCallMode"},
		{"another no-answer time", "agent.json", `{"lines":{"alice":{"slot":1}},"noAnswerSeconds":5}`, live, "noAnswerSeconds"},
		{"another key: other hashes, nothing to do", "agent.json", `{"lines":{"alice":{"slot":1}},"hashKey":"a2V5"}`, nothing, ""},
	} {
		files := maps.Clone(base)
		files[c.file] = c.now
		from, to := world(t, base), world(t, files)
		got, why := compare(from["alice"], to["alice"])
		if got != c.want || strings.Join(why, " ") != c.why {
			t.Errorf("%s: %s because of %q, want %s because of %q", c.says, got, strings.Join(why, " "), c.want, c.why)
		}
		changes := plan(from, to)
		rehashed := from["alice"].ConfigHash != to["alice"].ConfigHash
		if planned := len(changes) == 1; planned != (c.want != nothing || rehashed) {
			t.Errorf("%s: the plan has %d changes; its hash changed: %v", c.says, len(changes), rehashed)
		}
	}
}

func TestPlanComesAndGoes(t *testing.T) {
	none := world(t, nil)
	one := world(t, map[string]string{"alice.xml": accountXML()})
	other := world(t, map[string]string{"bob.xml": accountXML(), "carol.xml": accountXML()})
	for _, c := range []struct {
		says     string
		from, to map[string]*target
		want     string
	}{
		{"the first snapshot", nil, other, "bob:add carol:add"},
		{"one comes", none, one, "alice:add"},
		{"one goes", one, none, "alice:remove"},
		{"all others", one, other, "alice:remove bob:add carol:add"},
		{"the same", one, one, ""},
	} {
		var got []string
		for _, change := range plan(c.from, c.to) {
			got = append(got, change.name+":"+change.action.String())
			if (change.to == nil) != (change.action == remove) {
				t.Errorf("%s: %s has the target %v", c.says, change.name, change.to)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.says, got, c.want)
		}
	}
}

func TestStanding(t *testing.T) {
	for _, c := range []struct {
		says, account, agent string
		register             bool
		reason               string
		problem              delivery.Problem
	}{
		{"an ordinary line registers", accountXML(), `{}`, true, "", ""},
		{"draining", accountXML(), `{"lines":{"alice":{"state":"draining"}}}`, false, "draining", ""},
		{"gone", accountXML(), `{"lines":{"alice":{"state":"gone"}}}`, false, "draining", ""},
		{"suspended", accountXML(), `{"lines":{"alice":{"suspended":true}}}`, false, "suspended", ""},
		{"no network", accountXML(), `{"network":{"type":"none"}}`, false, "no network", ""},
		{"icm off", accountXML("<icm>off</icm>"), `{}`, false, "incoming calls are off (icm)", ""},
		{"icm auto follows the fleet", accountXML("<icm>auto</icm>"), `{"incomingCallMode":"off"}`, false, "incoming calls are off (icm)", ""},
		{"icm keepAwake does not", accountXML("<icm>keepAwake</icm>"), `{"incomingCallMode":"off"}`, true, "", ""},
		{"push acts as keepAwake", accountXML("<icm>push</icm>"), `{}`, true, "", ""},
		{"a trunk looks after its server", accountXML(), `{"lines":{"alice":{"trunk":true}}}`, true, "", ""},
		{"even if its calls are refused", accountXML("<icm>off</icm>"), `{"lines":{"alice":{"trunk":true}}}`, true, "", ""},
		{"a trunk that is suspended", accountXML(), `{"lines":{"alice":{"trunk":true,"suspended":true}}}`, false, "suspended", ""},
		{"any transport will do", accountXML("<transport>tls</transport>"), `{}`, true, "", ""},
		{"suspended, over TLS", accountXML("<transport>tls</transport>"), `{"lines":{"alice":{"suspended":true}}}`, false, "suspended", ""},
	} {
		got := standingOf(world(t, map[string]string{"alice.xml": c.account, "agent.json": c.agent})["alice"])
		if got.register != c.register || got.reason != c.reason || got.problem != c.problem {
			t.Errorf("%s: %+v", c.says, got)
		}
		off := strings.Contains(c.reason, "icm")
		if got.calls != (c.register || off) || got.lent != off {
			t.Errorf("%s: calls %v, registered for a call %v", c.says, got.calls, got.lent)
		}
	}
}

func TestALineMayCallWithoutRegistering(t *testing.T) {
	account := accountXML("<icm>off</icm><requiresRegistrationForOutgoingCalls>0</requiresRegistrationForOutgoingCalls>")
	if got := standingOf(world(t, map[string]string{"alice.xml": account})["alice"]); got.register || got.lent || !got.calls {
		t.Errorf("%+v", got)
	}
}

func TestKeepalive(t *testing.T) {
	for _, c := range []struct {
		says, account, agent string
		want                 bool
	}{
		{"off by default", accountXML(), `{}`, false},
		{"as the account says", accountXML("<keepAlive>1</keepAlive>"), `{}`, true},
		{"forced by push", accountXML("<icm>push</icm>"), `{}`, true},
		{"forced by a fleet that pushes", accountXML(), `{"incomingCallMode":"push"}`, true},
	} {
		if got := keepsAlive(world(t, map[string]string{"alice.xml": c.account, "agent.json": c.agent})["alice"]); got != c.want {
			t.Errorf("%s: %v", c.says, got)
		}
	}
}

func TestIdentities(t *testing.T) {
	dir := t.TempDir()
	all := world(t, map[string]string{"alice.xml": accountXML(), "bob.xml": accountXML(), "agent.json": `{"lines":{"bob":{"instance":"urn:uuid:of-bob"}}}`})
	open := func(agent, dir string) *identities {
		ids, err := openIdentities(agent, dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := ids.prepare(all); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	first := open("a", dir)
	alice := first.of(all["alice"], nil, 0)
	if again := open("a", dir).of(all["alice"], nil, 0); again != alice {
		t.Errorf("another run: %+v, before %+v", again, alice)
	}
	if bob := first.of(all["bob"], nil, 0); bob.instance != "urn:uuid:of-bob" {
		t.Errorf("the delivered instance is not taken: %+v", bob)
	}
	twin := *all["alice"]
	twin.Name, twin.Row.Instance = "carol", alice.instance
	if twin := first.of(&twin, nil, 0); twin.contactUser == alice.contactUser {
		t.Error("two lines that were given the same instance have the same Contact user: one of them could not be bound")
	}
	otherSlot := *all["alice"]
	otherSlot.Row.Slot = 2
	for says, other := range map[string]identity{
		"the other slot":       first.of(&otherSlot, nil, 0),
		"the next generation":  first.of(all["alice"], nil, 1),
		"with a delivered key": first.of(all["alice"], []byte("key"), 0),
	} {
		if other.contactUser == alice.contactUser {
			t.Errorf("%s has the same Contact user", says)
		}
		if other.instance != alice.instance || other.rinstance != alice.rinstance {
			t.Errorf("%s is not known as ours: %+v, %+v", says, other, alice)
		}
	}
	if elsewhere := open("a", t.TempDir()).of(all["alice"], nil, 0); elsewhere.contactUser == alice.contactUser || elsewhere.instance == alice.instance {
		t.Error("another state directory makes the same identity: it can be guessed")
	}
	stateless := open("a", "").of(all["alice"], nil, 0)
	if again := open("a", "").of(all["alice"], nil, 0); again.instance != stateless.instance || again.contactUser == stateless.contactUser {
		t.Error("without a state directory the instance must stay and the Contact user must not be guessable")
	}
	if len(alice.contactUser) != 24 || !strings.HasPrefix(alice.instance, "urn:uuid:") || len(alice.instance) != len("urn:uuid:")+36 {
		t.Errorf("%+v", alice)
	}
	info, err := os.Stat(filepath.Join(dir, keyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v %v", info, err)
	}
}

func TestAStateDirectoryWithNothingInItsFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, instancesFile), []byte("null"), 0o600); err != nil {
		t.Fatal(err)
	}
	ids, err := openIdentities("a", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := ids.prepare(world(t, map[string]string{"alice.xml": accountXML()})); err != nil || ids.instances["alice"] == "" {
		t.Errorf("%v, %v", ids.instances, err)
	}
}

func TestPorts(t *testing.T) {
	dir := t.TempDir()
	fresh := candidatePorts(dir, "agent-0")
	if !slices.Equal(fresh, candidatePorts("", "agent-0")) {
		t.Error("the same name gives other ports")
	}
	if slices.Equal(fresh, candidatePorts("", "agent-1")) {
		t.Error("another name gives the same ports")
	}
	for _, p := range fresh[:len(fresh)-1] {
		if p < firstPort || p > lastPort {
			t.Errorf("port %d is outside %d to %d", p, firstPort, lastPort)
		}
	}
	if fresh[len(fresh)-1] != 0 {
		t.Error("the last resort is not any port")
	}
	if err := os.WriteFile(filepath.Join(dir, portFile), []byte("7777\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if kept := candidatePorts(dir, "agent-0"); kept[0] != 7777 {
		t.Errorf("the kept port is not the first: %v", kept[:2])
	}
}
