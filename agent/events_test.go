package agent

import (
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/subscription"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// TestWhatIsReportedOfWatching: how it stands, not what those who are watched do.
func TestWhatIsReportedOfWatching(t *testing.T) {
	if w := watching(nil); w != nil {
		t.Errorf("of nobody: %+v", w)
	}
	target := func(uri string, s subscription.State, does subscription.DialogState) subscription.Watched {
		return subscription.Watched{URI: uri, State: does, Subscription: subscription.Standing{State: s, LastReason: "because " + uri}}
	}
	all := []subscription.Watched{
		target("a", subscription.Active, subscription.Confirmed), target("b", subscription.Pending, subscription.Unknown),
		target("c", subscription.Waiting, subscription.Unknown), target("d", subscription.Subscribing, subscription.Unknown),
		target("e", subscription.Refused, subscription.Unknown), target("f", subscription.Off, subscription.Unknown),
	}
	want := &delivery.Watching{Targets: 6, Active: 2, Failed: []delivery.FailedWatch{{URI: "c", Reason: "because c"}, {URI: "e", Reason: "because e"}}}
	if got := watching(all); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	all[0].State = subscription.Idle
	if got := watching(all); !reflect.DeepEqual(got, want) {
		t.Errorf("somebody hung up: %+v, want %+v", got, want)
	}
	for i := range 20 {
		all = append(all, target(fmt.Sprint(i), subscription.Refused, subscription.Unknown))
	}
	if got := watching(all); len(got.Failed) != delivery.MostFailedWatches {
		t.Errorf("%d failed are told", len(got.Failed))
	}
}

// TestALineSubscribesWhileItIsRegistered: only then, and only what its account says, by
// the way its requests go.
func TestALineSubscribesWhileItIsRegistered(t *testing.T) {
	e := newEar(t, "registrar")
	nodes := "<subscribeForVoicemail>1</subscribeForVoicemail><headers><header method=\"SUBSCRIBE\" name=\"X-Site\" value=\"north\"/></headers>"
	g := start(t, map[string]string{
		"alice.xml": lineXML("alice", e.at, nodes), "bob.xml": lineXML("bob", e.at),
		"agent.json": `{"lines":{"alice":{"slot":1,"suspended":true}}}`,
	})
	g.awaitState("bob", delivery.Registered)
	if _, said := e.whole("SUBSCRIBE"); said != "" {
		t.Errorf("a line that is suspended, or one that wants nothing, subscribed:\n%s", said)
	}
	g.put("agent.json", `{"lines":{"alice":{"slot":1}}}`)
	g.awaitState("alice", delivery.Registered)
	eventually(t, func() bool { return e.first("SUBSCRIBE") != "" })
	_, said := e.whole("SUBSCRIBE")
	host, _, _ := net.SplitHostPort(e.at)
	for _, want := range []string{"SUBSCRIBE sip:alice@" + host, "\r\nEvent: message-summary\r\n", "\r\nX-Site: north\r\n", "\r\nExpires: 600\r\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}
