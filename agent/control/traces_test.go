package control

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/recording"
	"github.com/softphone-operator/softphone-operator/agent/trace"
)

func (p *pretender) Recording(id string) (io.ReadSeekCloser, string, error) {
	if id != "one" {
		return nil, "", fmt.Errorf("%w of call %q", recording.ErrNone, id)
	}
	return struct {
		io.ReadSeeker
		io.Closer
	}{strings.NewReader("RIFF"), io.NopCloser(nil)}, "20260301T120000.000Z-one.wav", nil
}

func (p *pretender) CallTrace(id string) (trace.Trace, string, error) {
	if _, err := p.Call(id); err != nil {
		return trace.Trace{}, "", err
	}
	return spoken(), "Call " + id, nil
}

func (p *pretender) LineTrace(line string) (trace.Trace, string, error) {
	if line != "alice" {
		return trace.Trace{}, "", fmt.Errorf("%w: %q", ErrUnknownLine, line)
	}
	return spoken(), "Line " + line, nil
}

// spoken is a trace of one message.
func spoken() trace.Trace {
	return trace.Trace{Messages: []trace.Message{{
		At: time.Unix(1, 0), Sent: true, Transport: "UDP", Local: netip.MustParseAddrPort("192.0.2.1:5100"), Remote: netip.MustParseAddrPort("192.0.2.2:5060"),
		Text: []byte("BYE sip:bob@192.0.2.2 SIP/2.0\r\n\r\n"), Method: "BYE",
	}}}
}

func TestTracesAreShownInEveryWay(t *testing.T) {
	url := serve(t, Options{Agent: &pretender{}, Control: true})
	const asJSON = "application/json"
	for _, c := range []struct {
		path, accept string
		code         int
		in           string
	}{
		{"/calls/call-1/trace", "", 200, `"message": "BYE sip:bob@192.0.2.2 SIP/2.0\r\n\r\n"`},
		{"/calls/call-1/trace?format=ndjson", "", 200, `"message":"BYE sip:bob@192.0.2.2 SIP/2.0\r\n\r\n"}` + "\n"},
		{"/calls/call-1/ladder", "", 200, "BYE ─"},
		{"/calls/call-1/ladder?charset=ascii", "", 200, "- BYE -"},
		{"/calls/call-1/ladder", asJSON, 200, `"label": "BYE"`},
		{"/calls/call-1/ladder?format=json", "", 200, `"label": "BYE"`},
		{"/calls/call-1/pcap", "", 200, "\xd4\xc3\xb2\xa1"},
		{"/lines/alice/trace", "", 200, `"direction": "sent"`},
		{"/lines/alice/ladder", "", 200, "Line alice\n"},
		{"/lines/alice/pcap", "", 200, "BYE sip:bob@192.0.2.2 SIP/2.0\r\n\r\n"},
		{"/lines/alice/ladder", "", 200, "00:00:01.000 "},
		{"/calls/call-1/ladder", "", 200, "+0.0 ms "},
		{"/calls/call-1/ladder?after=1970-01-01T00:00:00Z", "", 200, "\n              192.0.2.1:5100"},
		{"/calls/call-1/pcap?after=1970-01-01T00:00:00Z", "", 200, "\x01\x00\x00\x00\x00\x00\x00\x00"},
		{"/calls/call-1/trace?after=1970-01-01T00:00:01Z", "", 200, `"messages": []`},
		{"/calls/call-1/trace?after=yesterday", "", 400, "BadRequest"},
		{"/calls/nobody/ladder", "", 404, "UnknownCall"},
		{"/lines/nobody/pcap", "", 404, "UnknownLine"},
	} {
		code, body := ask(t, "GET", url+c.path, "", "Accept", c.accept)
		if code != c.code || !strings.Contains(body, c.in) {
			t.Errorf("%s (Accept %q): %d %q, want %d and %q in it", c.path, c.accept, code, body, c.code, c.in)
		}
	}
}

// TestATraceHasTheNamesOthersScriptAgainst holds the JSON names, letter by letter.
func TestATraceHasTheNamesOthersScriptAgainst(t *testing.T) {
	url := serve(t, Options{Agent: &pretender{}, Control: true})
	for path, names := range map[string]string{
		"/calls/call-1/trace":              "at direction transport local remote method message",
		"/calls/call-1/ladder?format=json": "at afterMs from to label method transport",
	} {
		_, body := ask(t, "GET", url+path, "")
		var all map[string]json.RawMessage
		var rows []map[string]any
		if err := json.Unmarshal([]byte(body), &all); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		list := all["messages"]
		if list == nil {
			list = all["steps"]
		}
		if err := json.Unmarshal(list, &rows); err != nil || len(rows) != 1 {
			t.Fatalf("%s: %v, %d rows", path, err, len(rows))
		}
		for name := range strings.FieldsSeq(names) {
			if _, there := rows[0][name]; !there {
				t.Errorf("%s has no %s: %v", path, name, rows[0])
			}
		}
	}
}
