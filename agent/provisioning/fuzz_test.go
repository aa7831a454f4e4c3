package provisioning

import (
	"log/slog"
	"testing"
)

// FuzzFiles reads files of anything: nothing breaks, and a file is either in force or rejected.
func FuzzFiles(f *testing.F) {
	f.Add([]byte(accountXML("a", "b")), []byte(`{"lines":{"a":{"slot":2}}}`))
	f.Add([]byte(`<accounts><account id="1"/><account id="1"/></accounts>`), []byte(`{`))
	f.Add([]byte(`<account><title>x`), []byte(`{"version":9}`))
	f.Fuzz(func(t *testing.T, xml, settings []byte) {
		s, err := New(Options{Dir: "nowhere", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		s.take(rawFiles{content: map[string][]byte{"a.xml": xml, "agent.json": settings}})
		snap := s.snapshot()
		refused := map[string]bool{}
		for _, r := range snap.Rejected {
			if r.Reason == "" {
				t.Errorf("%s is refused without a reason", r.File)
			}
			refused[r.File] = true
		}
		if refused["agent.json"] == snap.Loaded {
			t.Errorf("agent.json refused: %v, loaded: %v", refused["agent.json"], snap.Loaded)
		}
		if snap.Loaded && refused["a.xml"] == (len(snap.Lines) > 0) {
			t.Errorf("a.xml refused: %v, lines: %d", refused["a.xml"], len(snap.Lines))
		}
		for _, l := range snap.Lines {
			if l.Account.Username == "" || l.Account.Host == "" || l.ConfigHash == "" {
				t.Errorf("a line that cannot run is in force: %+v", l)
			}
			l.Document()
		}
	})
}
