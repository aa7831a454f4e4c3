package subscription

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const ns = ` xmlns="urn:ietf:params:xml:ns:dialog-info"`

func TestDialogInfo(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want DialogInfo
	}{
		"nothing goes on": {`<?xml version="1.0"?><dialog-info` + ns + ` version="0" state="full" entity="sip:alice@example.com"/>`,
			DialogInfo{Full: true, Entity: "sip:alice@example.com"}},
		"as RFC 4235 has it": {`<?xml version="1.0" encoding="UTF-8"?>
<dialog-info` + ns + ` version="1" state="full" entity="sip:alice@example.com">
  <dialog id="as7d900as8" call-id="a84b4c76e66710" local-tag="1928301774" direction="initiator">
    <state event="rejected" code="486">terminated</state>
    <duration>274</duration>
    <local><identity display="Alice">sip:alice@example.com</identity><target uri="sip:alice@pc33.example.com"><param pname="isfocus" pval="true"/></target></local>
    <remote><identity display="Bob">sip:bob@example.org</identity><target uri="sip:bobster@phone21.example.org"/></remote>
  </dialog>
</dialog-info>`, DialogInfo{Version: 1, Full: true, Entity: "sip:alice@example.com", Dialogs: []Dialog{
			{ID: "as7d900as8", Direction: "initiator", State: Terminated, Event: "rejected", Code: 486, Remote: "sip:bob@example.org"}}}},
		"changes, with a prefix": {`<d:dialog-info xmlns:d="urn:ietf:params:xml:ns:dialog-info" version="7" state="partial" entity="x"><d:dialog id="1"><d:state>early</d:state></d:dialog></d:dialog-info>`,
			DialogInfo{Version: 7, Entity: "x", Dialogs: []Dialog{{ID: "1", State: Early}}}},
		"no namespace": {`<dialog-info version="0" state="partial" entity="x"><dialog id="1" direction="recipient"><state> confirmed </state></dialog></dialog-info>`,
			DialogInfo{Entity: "x", Dialogs: []Dialog{{ID: "1", Direction: "recipient", State: Confirmed}}}},
		"letters' case": {`<dialog-info version="0" state="full" entity="x"><dialog id="1"><state>Trying</state></dialog></dialog-info>`,
			DialogInfo{Full: true, Entity: "x", Dialogs: []Dialog{{ID: "1", State: Trying}}}},
		"elements of others": {`<dialog-info version="0" state="full" entity="x"><sla:x xmlns:sla="y"><state>z</state></sla:x><dialog id="1"><state>trying</state><x:y><state>bad</state></x:y></dialog></dialog-info>`,
			DialogInfo{Full: true, Entity: "x", Dialogs: []Dialog{{ID: "1", State: Trying}}}},
	} {
		got, err := ParseDialogInfo([]byte(c.body))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
}

func TestWhatIsNoDialogInfo(t *testing.T) {
	root := func(inner string) string {
		return `<dialog-info version="0" state="full" entity="x">` + inner + `</dialog-info>`
	}
	for name, c := range map[string]struct{ body, says string }{
		"nothing":            {"", "empty"},
		"text":               {"hello", "outside"},
		"another document":   {`<presence/>`, "<presence>"},
		"no version":         {`<dialog-info state="full"/>`, "version"},
		"a negative version": {`<dialog-info version="-1" state="full"/>`, "version"},
		"no state":           {`<dialog-info version="0"/>`, "neither full nor partial"},
		"no id":              {root(`<dialog><state>early</state></dialog>`), "without an id"},
		"no dialog state":    {root(`<dialog id="1"/>`), "without a state"},
		"an unknown state":   {root(`<dialog id="1"><state>idle</state></dialog>`), `state "idle"`},
		"not closed":         {`<dialog-info version="0" state="full">`, "not closed"},
		"closed wrongly":     {root(`<dialog id="1"><state>early</dialog></state>`), "closes nothing"},
		"two documents":      {root("") + root(""), "more than one"},
		"a DTD":              {`<!DOCTYPE x [<!ENTITY a "b">]>` + root(""), "DTD"},
		"an entity":          {root(`<dialog id="1"><state>&lol;</state></dialog>`), "entity"},
		"another encoding":   {`<?xml version="1.0" encoding="UTF-16"?>` + root(""), "encoding"},
		"too deep":           {root(strings.Repeat("<a>", mostDepth) + strings.Repeat("</a>", mostDepth)), "deep"},
		"too many elements":  {root(strings.Repeat("<a/>", mostElements)), "elements"},
		"too many dialogs":   {root(strings.Repeat(`<dialog id="1"><state>early</state></dialog>`, mostDialogs+1)), "dialogs"},
		"too large":          {root(strings.Repeat(" ", mostDialogInfo)), "bytes"},
		"too many attributes": {root("<a" + func() (s string) {
			for i := range mostAttributes + 1 {
				s += fmt.Sprintf(` a%d=""`, i)
			}
			return
		}() + "/>"), "attributes"},
	} {
		got, err := ParseDialogInfo([]byte(c.body))
		if !errors.Is(err, ErrDialogInfo) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzDialogInfo(f *testing.F) {
	f.Add([]byte(`<dialog-info version="1" state="partial" entity="x"><dialog id="1" direction="recipient"><state event="cancelled" code="487">terminated</state><remote><identity>sip:a@b</identity></remote></dialog></dialog-info>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY b "c">]><dialog-info/>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		info, err := ParseDialogInfo(body)
		if err != nil {
			return
		}
		if len(info.Dialogs) > mostDialogs {
			t.Fatalf("%d dialogs", len(info.Dialogs))
		}
		var c calls
		c.take(info)
		if s := sum(c.known, c.all); !slices.Contains(DialogStates, s) {
			t.Fatalf("state %q of %+v", s, info)
		}
		c.bury()
		for _, d := range c.all {
			if d.ID == "" || d.State == Terminated {
				t.Fatalf("%+v is kept", d)
			}
		}
	})
}

// TestDocumentsOneAfterTheOther follows versions, whole documents and changes (RFC 4235 §4.3).
func TestDocumentsOneAfterTheOther(t *testing.T) {
	full := func(version uint64, dialogs ...Dialog) DialogInfo {
		return DialogInfo{Version: version, Full: true, Dialogs: dialogs}
	}
	part := func(version uint64, dialogs ...Dialog) DialogInfo {
		return DialogInfo{Version: version, Dialogs: dialogs}
	}
	is := func(id string, s DialogState) Dialog { return Dialog{ID: id, State: s} }
	for name, c := range map[string]struct {
		documents []DialogInfo
		states    []DialogState
		gaps      []int // of documents
	}{
		"a call, whole documents": {[]DialogInfo{full(0), full(1, is("a", Trying)), full(2, is("a", Early)), full(3, is("a", Confirmed)), full(4)},
			[]DialogState{Idle, Trying, Early, Confirmed, Idle}, nil},
		"a call, changes": {[]DialogInfo{full(0), part(1, is("a", Early)), part(2, is("a", Confirmed)), part(3, is("a", Terminated)), part(4, is("b", Trying))},
			[]DialogState{Idle, Early, Confirmed, Terminated, Trying}, nil},
		"two calls, who speaks is busy": {[]DialogInfo{full(0, is("a", Confirmed)), part(1, is("b", Early)), part(2, is("a", Terminated))},
			[]DialogState{Confirmed, Confirmed, Early}, nil},
		"a change is missing": {[]DialogInfo{full(0), part(2, is("a", Confirmed)), full(3, is("a", Confirmed))},
			[]DialogState{Idle, Confirmed, Confirmed}, []int{1}},
		"changes without a beginning": {[]DialogInfo{part(5, is("a", Early))}, []DialogState{Early}, []int{0}},
		"told again":                  {[]DialogInfo{full(3), part(3, is("a", Early)), part(2, is("a", Early))}, []DialogState{Idle, Idle, Idle}, nil},
		"numbered anew":               {[]DialogInfo{full(9, is("a", Early)), full(0, is("a", Confirmed)), part(1, is("a", Terminated))}, []DialogState{Early, Confirmed, Terminated}, nil},
	} {
		var all calls
		for i, d := range c.documents {
			if gap := all.take(d); gap != slices.Contains(c.gaps, i) {
				t.Errorf("%s, document %d: gap %v", name, i, gap)
			}
			if s := sum(all.known, all.all); s != c.states[i] {
				t.Errorf("%s, document %d: %s, want %s", name, i, s, c.states[i])
			}
			all.bury()
		}
	}
}
