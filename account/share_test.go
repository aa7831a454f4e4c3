package account

import (
	"fmt"
	"testing"
)

func TestEqualSettingsAreShared(t *testing.T) {
	var shared Shared
	read := func(user, rest string) *Account {
		t.Helper()
		a, problems := Effective(doc(t, "<username>"+user+"</username><host>pbx.test</host>"+rest))
		if len(Errors(problems)) > 0 {
			t.Fatal(problems)
		}
		shared.Share(a)
		return a
	}
	first, second, other := read("alice", ""), read("bob", ""), read("carol", "<expires>77</expires>")
	if first.Settings != second.Settings || first.Username != "alice" || second.Username != "bob" {
		t.Error("equal settings are there twice")
	}
	if other.Settings == first.Settings || other.Expires != 77 || first.Expires == 77 {
		t.Error("different settings are one")
	}
	for i := range 2 * mostShared {
		read("dave", fmt.Sprintf("<expires>%d</expires>", 100+i))
	}
	if len(shared.known) != mostShared {
		t.Errorf("%d are known, not %d", len(shared.known), mostShared)
	}
	if late := read("erin", ""); late.Settings == first.Settings || late.Host != "pbx.test" {
		t.Error("what was forgotten is known")
	}
}
