package interop

import (
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// TestALateGoodbyeLeavesTheSuccessorAlone: an agent whose pod was deleted by force says goodbye when its successor, which is the
// same instance (RFC 5626), has registered already. The successor's binding stays.
func TestALateGoodbyeLeavesTheSuccessorAlone(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice")
	files := map[string]string{"alice.xml": accountXML("alice", "secret-alice", host)}
	first := startAgent(t, options{files: files})
	first.awaitLine("alice", "registered")
	second := startAgent(t, options{files: files, state: first.state})
	second.awaitLine("alice", "registered")
	before := awaitBindings(t, r, "alice", 1)[0] // the successor's took the place of the other
	if code := first.terminate(); code != 0 {
		t.Errorf("the first agent ended with %d", code)
	}
	if after := awaitBindings(t, r, "alice", 1)[0]; after.Contact != before.Contact || after.Contact != second.line("alice").Contact {
		t.Errorf("bound is %s; before the goodbye it was %s, and the successor says %s", after.Contact, before.Contact, second.line("alice").Contact)
	}
	outcome(t, "kamailio", "the successor's binding stays when its forerunner un-registers late")
}
