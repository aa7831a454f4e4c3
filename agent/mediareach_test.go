package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestWhatIsFoundOutAboutTheWayOfAudio(t *testing.T) {
	own, nat, relay := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.9")
	at := func(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 20000) }
	for what, c := range map[string]struct {
		reach  media.Reach
		seen   netip.Addr
		lookup error
		want   string
	}{
		"STUN sees our own address":             {media.Reach{RTP: at(own), Via: "plain", Behind: media.BehindNothing}, nat, nil, "reachable Direct 10.0.0.1"},
		"STUN sees a NAT":                       {media.Reach{RTP: at(nat), Via: "stun", Behind: media.BehindNAT}, nat, nil, "reachable Mapped 203.0.113.1"},
		"a symmetric NAT":                       {media.Reach{RTP: at(own), Via: "plain", Behind: media.BehindSymmetric}, nat, nil, "unreachable SymmetricNAT 10.0.0.1"},
		"a symmetric NAT that is to be ignored": {media.Reach{RTP: at(nat), Via: "stun", Behind: media.BehindSymmetric}, nat, nil, "unsure SymmetricNAT 203.0.113.1"},
		"a relay before it":                     {media.Reach{RTP: at(relay), Via: "turn", Behind: media.BehindSymmetric}, nat, nil, "reachable Relayed 203.0.113.9"},
		"STUN is silent, the server sees a NAT": {media.Reach{RTP: at(own), Via: "plain", Why: "silence"}, nat, nil, "unsure BehindNAT 10.0.0.1 seen 203.0.113.1: silence"},
		"STUN is silent, the server sees us":    {media.Reach{RTP: at(own), Via: "plain", Why: "silence"}, own, nil, "reachable Direct 10.0.0.1: silence"},
		"nobody says anything":                  {media.Reach{RTP: at(own), Via: "plain", Why: "silence"}, netip.Addr{}, nil, "unsure Direct 10.0.0.1: silence"},
		"DNS knows of no server, and says so":   {media.Reach{RTP: at(own), Via: "plain"}, nat, errors.New("no such name"), "unsure BehindNAT 10.0.0.1 seen 203.0.113.1: no such name"},
	} {
		m := found(own, c.seen, c.reach, c.lookup)
		got := fmt.Sprintf("%s %s %s", m.Reach, m.Finding, m.Address)
		if m.Seen != "" {
			got += " seen " + m.Seen
		}
		if m.Detail != "" {
			got += ": " + m.Detail
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}

// TestTheWayOfAudioIsFoundOutOnce: lines that would ask the same share an answer, and
// look again when it is there; an old one is told until there is a new one.
func TestTheWayOfAudioIsFoundOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var book reaches
		asked, say := 0, delivery.MediaFinding("Direct")
		ask := func(context.Context) delivery.MediaReport {
			asked++
			time.Sleep(time.Second)
			return delivery.MediaReport{Finding: say}
		}
		life, end := context.WithCancel(t.Context())
		alice, bob := newLine(life, "alice", &environment{}), newLine(life, "bob", &environment{})
		alice.over, bob.over = true, true // a poke leaves a mark, and nobody walks
		one, other := reachKey{mode: "auto"}, reachKey{mode: "stunOnly"}
		if book.of(alice, one, ask) != nil || book.of(bob, one, ask) != nil || book.of(bob, other, ask) != nil {
			t.Error("something is known before anybody answered")
		}
		book.asking.Wait()
		if asked != 2 || !alice.news || !bob.news {
			t.Errorf("asked %d times, want once for each question; lines that look again: %v %v", asked, alice.news, bob.news)
		}
		first := book.of(alice, one, ask)
		if first == nil || first != book.of(bob, other, ask) {
			t.Errorf("the same answer is kept twice: %v", first)
		}
		time.Sleep(reachGood)
		say = "Mapped"
		if book.of(alice, one, ask) != first {
			t.Error("the old answer is not told while a new one is on its way")
		}
		book.asking.Wait()
		if got := book.of(alice, one, ask); got == nil || got.Finding != "Mapped" || asked != 3 {
			t.Errorf("%+v after %d questions", got, asked)
		}
		time.Sleep(2 * reachKept)
		end()
		book.of(alice, reachKey{mode: "ice"}, ask)
		book.close()
		if len(book.known) != 1 || asked != 3 {
			t.Errorf("%d answers are kept for nobody, and %d were asked for", len(book.known)-1, asked)
		}
	})
}
