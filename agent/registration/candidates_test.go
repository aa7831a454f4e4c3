package registration

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

func TestTheServerInUseGoesFirst(t *testing.T) {
	at := func(n, rank int) ua.Candidate {
		return ua.Candidate{Transport: ua.UDP, Addr: netip.MustParseAddrPort(fmt.Sprintf("192.0.2.%d:5060", n)), Rank: rank}
	}
	avoided := at(2, 1).Avoid()
	for sentence, tt := range map[string]struct {
		found []ua.Candidate
		inUse ua.Candidate
		want  []int
	}{
		"even where DNS has others before it":    {[]ua.Candidate{at(1, 0), at(2, 1), at(3, 1)}, at(2, 0), []int{2, 1, 3}},
		"unless it lately did not answer":        {[]ua.Candidate{at(1, 0), at(3, 1), avoided}, at(2, 0), []int{1, 3, 2}},
		"also when a redirection led there":      {[]ua.Candidate{at(1, 0), at(3, 1)}, at(9, 0), []int{9, 1, 3}},
		"and where it is the first, it stays so": {[]ua.Candidate{at(1, 0), at(2, 0)}, at(1, 0), []int{1, 2}},
	} {
		got := prefer(tt.found, tt.inUse)
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v", sentence, got)
			continue
		}
		for i, n := range tt.want {
			if got[i].Addr != at(n, 0).Addr {
				t.Errorf("%s: place %d is %s, want .%d", sentence, i, got[i], n)
			}
		}
	}
}
