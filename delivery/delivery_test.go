package delivery_test

import (
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestFileNames(t *testing.T) {
	for file, want := range map[string]string{
		"alice.xml": "alice", "a.b.xml": "a.b", ".xml": "", "agent.json": "", ".alice.xml": "", "..data": "", "alice.xml.swp": "",
	} {
		got, ok := delivery.LineName(file)
		if got != want || ok != (want != "") {
			t.Errorf("LineName(%q) = %q, %v; want %q", file, got, ok, want)
		}
		if ok && delivery.LineFile(got) != file {
			t.Errorf("LineFile(%q) = %q, want %q", got, delivery.LineFile(got), file)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for name, c := range map[string]struct {
		agent delivery.Agent
		want  string
	}{
		"empty settings are fine":    {delivery.Agent{}, ""},
		"a version from the future":  {delivery.Agent{Version: 2}, "version: 2"},
		"an unknown network":         {delivery.Agent{Network: delivery.Network{Type: "5g"}}, "network.type"},
		"an unknown call mode":       {delivery.Agent{IncomingCallMode: "maybe"}, "incomingCallMode"},
		"a negative source limit":    {delivery.Agent{SourceRequestsPerSecond: -1}, "sourceRequestsPerSecond: -1"},
		"a negative cap":             {delivery.Agent{Caps: delivery.Caps{ConcurrentCalls: -1}}, "caps.concurrentCalls"},
		"a tone that is none":        {delivery.Agent{Lines: map[string]delivery.Line{"a": {Play: "wav(../x)"}}}, "lines[a].play: character 5: the file must be named without a path"},
		"too large a recording":      {delivery.Agent{Recordings: delivery.Recordings{Megabytes: 5000}}, "recordings.megabytes: 5000"},
		"fewer files than none":      {delivery.Agent{Recordings: delivery.Recordings{Files: -1}}, "recordings.files: -1"},
		"a third slot":               {delivery.Agent{Lines: map[string]delivery.Line{"a": {Slot: 3}}}, "lines[a].slot: 3"},
		"an unknown line state":      {delivery.Agent{Lines: map[string]delivery.Line{"a": {State: "asleep"}}}, "lines[a].state"},
		"a negative registrar bound": {delivery.Agent{Registrar: delivery.Registrar{InFlight: -1}}, "registrar.inFlight: -1"},
		"a file outside":             {delivery.Agent{Lines: map[string]delivery.Line{"a": {TLS: delivery.TLS{CA: "../ca"}}}}, "lines[a].tls.ca"},
		"a key without certificate":  {delivery.Agent{Lines: map[string]delivery.Line{"a": {TLS: delivery.TLS{Key: "k"}}}}, "lines[a].tls: "},
		"captures for nobody":        {delivery.Agent{HEP: delivery.HEP{CaptureID: 1}}, "hep: an address"},
		"captures without a port":    {delivery.Agent{HEP: delivery.HEP{Address: "homer"}}, "hep.address"},
		"transfers of some":          {delivery.Agent{Transfers: delivery.Transfers{Accept: "some"}}, "transfers.accept"},
		"an instance that is no urn": {delivery.Agent{Lines: map[string]delivery.Line{"a": {Instance: "x"}}}, "lines[a].instance"},
	} {
		err := c.agent.Validate()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestDefaultsAreValidAndLinesHaveRows(t *testing.T) {
	a := delivery.Agent{}.Defaults()
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := a.Line("nobody"); got.Slot != 1 || got.State != delivery.Active {
		t.Errorf("a line without a row is %+v, want active in slot 1", got)
	}
}

func TestHashesTellFilesApart(t *testing.T) {
	h := delivery.NewHasher([]byte("key"))
	base := h.Line([]byte("<account/>"), delivery.Line{Slot: 1})
	if base != h.Line([]byte("<account/>"), delivery.Line{Slot: 1}) {
		t.Error("the same line hashes differently")
	}
	for name, other := range map[string]string{
		"another document": h.Line([]byte("<account></account>"), delivery.Line{Slot: 1}),
		"another slot":     h.Line([]byte("<account/>"), delivery.Line{Slot: 2}),
		"another key":      delivery.NewHasher([]byte("yek")).Line([]byte("<account/>"), delivery.Line{Slot: 1}),
	} {
		if other == base {
			t.Errorf("%s hashes the same", name)
		}
	}
	one := h.Snapshot(map[string][]byte{"a": []byte("bc")})
	if one == h.Snapshot(map[string][]byte{"ab": []byte("c")}) {
		t.Error("bytes moved from content to name hash the same")
	}
}
