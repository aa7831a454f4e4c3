package provisioning

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChecksAreReadBesideTheLines(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	source, err := New(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	read := func() Snapshot {
		t.Helper()
		snap, _, err := source.Read()
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	put("b.check.json", `{"from":"alice","to":"+4989123","intervalSeconds":60}`)
	put("a.check.json", `{"from":"alice","to":"bob","intervalSeconds":10}`)
	put(".c.check.json", `{}`)
	first := read()
	if len(first.Checks) != 2 || first.Checks[0].Name != "a" || first.Checks[1].Check.To != "+4989123" || len(first.Rejected) != 0 {
		t.Fatalf("got %+v, rejected %+v", first.Checks, first.Rejected)
	}
	put("a.check.json", `{"from":"alice","to":"bob","intervalSeconds":1}`)
	put("b.check.json", "{\n\"from\":}")
	bad := read()
	if len(bad.Checks) != 2 || bad.Checks[0] != first.Checks[0] || bad.Hash != first.Hash {
		t.Errorf("the last good checks do not stay: %+v", bad.Checks)
	}
	if len(bad.Rejected) != 2 || bad.Rejected[0].Reason != "a.check.json: intervalSeconds: 1 is not within 10 to 86400" || !strings.HasPrefix(bad.Rejected[1].Reason, "b.check.json:2:8: ") {
		t.Errorf("rejected %+v", bad.Rejected)
	}
	put("a.check.json", `{"from":"alice","to":"carol","intervalSeconds":10}`)
	if now := read(); now.Checks[0].Check.To != "carol" || now.Checks[0].Hash == first.Checks[0].Hash || now.Hash == first.Hash {
		t.Errorf("the mended check is not taken: %+v", now.Checks)
	}
	if err := os.Remove(filepath.Join(dir, "a.check.json")); err != nil {
		t.Fatal(err)
	}
	if now := read(); len(now.Checks) != 1 || now.Checks[0].Name != "b" {
		t.Errorf("a removed check stays: %+v", now.Checks)
	}
}
