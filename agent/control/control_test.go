package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pretender is an agent that does what a test tells it.
type pretender struct {
	notReady string
	err      error
	dialled  []Dial
	hungUp   []string
	sent     []Message
	moved    []string
}

func (p *pretender) Ready() (bool, string) { return p.notReady == "", p.notReady }

func (p *pretender) Status() Status {
	return Status{
		Agent:    AgentStatus{Name: "agent-0"},
		Lines:    []LineStatus{{Name: "alice", State: delivery.Registered, ExpiresAt: time.Now()}},
		Rejected: []delivery.Rejected{{File: "bob.xml", Reason: "bob.xml:1:1: no"}},
		Calls:    []call.Record{ended()},
	}
}

// ended is the record of a call that has all there is to tell.
func ended() call.Record {
	measured := 1.5
	return call.Record{
		ID: "call-1", Line: "alice", State: call.Ended, Codec: "PCMU/8000",
		RTP: call.RTP{JitterMs: &measured, RTTMs: &measured}, MOS: &measured, End: &call.End{Code: 200, By: call.Remote},
	}
}

func (p *pretender) Dial(_ context.Context, d Dial) (string, error) {
	if p.err != nil {
		return "", p.err
	}
	p.dialled = append(p.dialled, d)
	return "call-1", nil
}

func (p *pretender) Call(id string) (call.Record, error) {
	if id != "call-1" {
		return call.Record{}, fmt.Errorf("%w: %q", call.ErrNoCall, id)
	}
	return ended(), p.err
}

func (p *pretender) Message(_ context.Context, m Message) (string, error) {
	if p.err != nil {
		return "", p.err
	}
	p.sent = append(p.sent, m)
	return "text-1", nil
}

func (p *pretender) Text(id string) (call.Text, error) {
	if id != "text-1" {
		return call.Text{}, fmt.Errorf("%w: %q", call.ErrNoText, id)
	}
	return call.Text{ID: id, Line: "alice", Direction: call.Out, Text: "hi", Code: 202, Reason: "202 Accepted"}, nil
}

func (p *pretender) Hangup(id string) error {
	p.hungUp = append(p.hungUp, id)
	return p.err
}

func (p *pretender) Hold(_ context.Context, id string) error {
	p.moved = append(p.moved, "hold "+id)
	return p.err
}

func (p *pretender) Resume(_ context.Context, id string) error {
	p.moved = append(p.moved, "resume "+id)
	return p.err
}

func (p *pretender) Transfer(id string, t call.Transfer) error {
	p.moved = append(p.moved, id+" to "+t.To+" for "+t.Replaces)
	return p.err
}

// serve runs a listener for the test and gives its URL.
func serve(t *testing.T, o Options) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Log = slog.New(slog.DiscardHandler)
	if o.Metrics == nil {
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "m 1\n") })
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return "http://" + l.Addr().String()
}

// ask sends a request and gives status and body. Headers come as pairs; Host is one.
func ask(t *testing.T, method, url, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

func TestWhoServesWhat(t *testing.T) {
	everything := serve(t, Options{Agent: &pretender{}, Health: true, Control: true})
	health := serve(t, Options{Agent: &pretender{}, Health: true})
	control := serve(t, Options{Agent: &pretender{}, Control: true})
	for _, c := range []struct {
		path                        string
		everything, health, control int
	}{
		{"/healthz", 200, 200, 404},
		{"/readyz", 200, 200, 404},
		{"/metrics", 200, 200, 404},
		{"/statusz", 200, 404, 200},
		{"/calls", 200, 404, 200},
		{"/calls/call-1", 200, 404, 200},
		{"/nothing", 404, 404, 404},
	} {
		for who, want := range map[string]int{everything: c.everything, health: c.health, control: c.control} {
			if got, _ := ask(t, "GET", who+c.path, ""); got != want {
				t.Errorf("%s: %d, want %d", c.path, got, want)
			}
		}
	}
}

func TestNotReadySaysWhatIsMissing(t *testing.T) {
	url := serve(t, Options{Agent: &pretender{notReady: "no snapshot"}, Health: true})
	if code, said := ask(t, "GET", url+"/readyz", ""); code != 503 || !strings.Contains(said, "no snapshot") {
		t.Errorf("%d %q", code, said)
	}
	if code, _ := ask(t, "GET", url+"/healthz", ""); code != 200 {
		t.Errorf("healthz: %d; a registrar outage must not restart a pod", code)
	}
}

func TestRefusalsAndTheirCodes(t *testing.T) {
	long := `{"line":"alice","to":"` + strings.Repeat("1", maxBody) + `"}`
	for _, c := range []struct {
		says, body string
		err        error
		code       int
		reason     string
	}{
		{"fine", `{"line":"alice","to":"bob","seconds":5,"toneHz":1004,"headers":{"X-A":"b"},"confirm":true,"dtmf":"1"}`, nil, 201, ""},
		{"not JSON", `hello`, nil, 400, "BadRequest"},
		{"two values", `{"line":"a","to":"b"}{}`, nil, 400, "BadRequest"},
		{"a mistyped field", `{"line":"a","to":"b","second":5}`, nil, 400, "BadRequest"},
		{"too long", long, nil, 400, "BadRequest"},
		{"no line", `{"to":"b"}`, nil, 400, "BadRequest"},
		{"no target", `{"line":"a"}`, nil, 400, "BadRequest"},
		{"negative time", `{"line":"a","to":"b","seconds":-1}`, nil, 400, "BadRequest"},
		{"a tone nobody can hear", `{"line":"a","to":"b","toneHz":9000}`, nil, 400, "BadRequest"},
		{"unknown line", `{"line":"a","to":"b"}`, ErrUnknownLine, 404, "UnknownLine"},
		{"not registered", `{"line":"a","to":"b"}`, ErrNotRegistered, 409, "NotRegistered"},
		{"suspended", `{"line":"a","to":"b"}`, ErrSuspended, 409, "Suspended"},
		{"draining", `{"line":"a","to":"b"}`, call.ErrDraining, 409, "Draining"},
		{"closed", `{"line":"a","to":"b"}`, call.ErrClosed, 409, "Draining"},
		{"too many calls", `{"line":"a","to":"b"}`, call.ErrTooMany, 429, "TooManyCalls"},
		{"a number to confirm", `{"line":"a","to":"b","confirm":false}`, call.ErrUnconfirmed, 409, "NotConfirmed"},
		{"a dial action for people", `{"line":"a","to":"b","dialAction":"options"}`, call.ErrDialAction, 422, "DialActionNotPossible"},
		{"bad target", `{"line":"a","to":"<"}`, call.ErrBadTarget, 400, "BadTarget"},
		{"bad header", `{"line":"a","to":"b"}`, call.ErrBadHeader, 400, "BadHeader"},
		{"bad digits", `{"line":"a","to":"b"}`, call.ErrBadDigits, 400, "BadDigits"},
		{"a value out of range", `{"line":"a","to":"b","seconds":2000000}`, call.ErrBadValue, 400, "BadValue"},
		{"no such flow", `{"line":"a","to":"b","flow":"x"}`, ErrNoFlow, 400, "UnknownFlow"},
		{"no such host", `{"line":"a","to":"b"}`, ua.ErrHostNotFound, 502, "HostNotFound"},
		{"DNS silent", `{"line":"a","to":"b"}`, ua.ErrDNS, 502, "DNSFailure"},
		{"too slow", `{"line":"a","to":"b"}`, context.DeadlineExceeded, 504, "Timeout"},
		{"our fault", `{"line":"a","to":"b"}`, errors.New("oops"), 500, "Internal"},
	} {
		agent := &pretender{}
		if c.err != nil {
			agent.err = fmt.Errorf("%w: because", c.err)
		}
		code, answer := ask(t, "POST", serve(t, Options{Agent: agent, Control: true})+"/calls", c.body)
		if code != c.code {
			t.Errorf("%s: %d %s, want %d", c.says, code, answer, c.code)
			continue
		}
		if c.code == 201 {
			if d := agent.dialled[0]; d.Line != "alice" || d.To != "bob" || d.Seconds != 5 || d.ToneHz != 1004 || d.Headers["X-A"] != "b" || !d.Confirm || d.DTMF != "1" {
				t.Errorf("%s: the agent was told %+v", c.says, d)
			}
			if !strings.Contains(answer, `"id": "call-1"`) {
				t.Errorf("%s: answered %s", c.says, answer)
			}
			continue
		}
		var said Error
		if err := json.Unmarshal([]byte(answer), &said); err != nil || said.Reason != c.reason || said.Message == "" {
			t.Errorf("%s: answered %s (%v), want reason %s", c.says, answer, err, c.reason)
		}
		if len(agent.dialled) > 0 {
			t.Errorf("%s: a call was placed", c.says)
		}
	}
}

func TestACallIsTransferred(t *testing.T) {
	for body, want := range map[string]struct {
		err  error
		code int
		said string
	}{
		`{"to":"bob"}`:                      {nil, 202, "call-1 to bob for "},
		`{"replaces":"call-2"}`:             {nil, 202, "call-1 to  for call-2"},
		`{}`:                                {nil, 400, ""},
		`{"to":"bob","seconds":1}`:          {nil, 400, ""},
		`{"to":"bob","replaces":"nothing"}`: {call.ErrNoCall, 404, "call-1 to bob for nothing"},
		`{"to":"112"}`:                      {call.ErrRefused, 403, "call-1 to 112 for "},
		`{"to":"carol"}`:                    {call.ErrNotNow, 409, "call-1 to carol for "},
	} {
		agent := &pretender{}
		if want.err != nil {
			agent.err = fmt.Errorf("%w: because", want.err)
		}
		code, answer := ask(t, "POST", serve(t, Options{Agent: agent, Control: true})+"/calls/call-1/transfer", body)
		if said := strings.Join(agent.moved, ", "); code != want.code || said != want.said {
			t.Errorf("%s: %d %s, the agent was told %q; want %d and %q", body, code, answer, said, want.code, want.said)
		}
	}
}

func TestTextMessages(t *testing.T) {
	for _, c := range []struct {
		says, body string
		err        error
		code       int
		reason     string
	}{
		{"fine", `{"line":"alice","to":"bob","text":"hi","headers":{"X-A":"b"},"confirm":true}`, nil, 201, ""},
		{"a mistyped field", `{"line":"a","to":"b","test":"hi"}`, nil, 400, "BadRequest"},
		{"no line", `{"to":"b","text":"hi"}`, nil, 400, "BadRequest"},
		{"no target", `{"line":"a","text":"hi"}`, nil, 400, "BadRequest"},
		{"no text", `{"line":"a","to":"b"}`, nil, 400, "BadRequest"},
		{"unknown line", `{"line":"a","to":"b","text":"hi"}`, ErrUnknownLine, 404, "UnknownLine"},
		{"a destination that is not allowed", `{"line":"a","to":"b","text":"hi"}`, call.ErrRefused, 403, "DestinationRefused"},
		{"too long", `{"line":"a","to":"b","text":"hi"}`, call.ErrTooLong, 413, "TooLong"},
		{"too many", `{"line":"a","to":"b","text":"hi"}`, call.ErrTooMany, 429, "TooManyCalls"},
	} {
		agent := &pretender{}
		if c.err != nil {
			agent.err = fmt.Errorf("%w: because", c.err)
		}
		url := serve(t, Options{Agent: agent, Control: true})
		code, answer := ask(t, "POST", url+"/messages", c.body)
		if code != c.code || !strings.Contains(answer, c.reason) || len(agent.sent) != 1 && code == 201 {
			t.Errorf("%s: %d %s, want %d %s; sent %v", c.says, code, answer, c.code, c.reason, agent.sent)
		}
	}
	url := serve(t, Options{Agent: &pretender{}, Control: true})
	if code, answer := ask(t, "GET", url+"/messages/text-1", ""); code != 200 || !strings.Contains(answer, `"code": 202`) {
		t.Errorf("%d %s", code, answer)
	}
	if code, answer := ask(t, "GET", url+"/messages/nothing", ""); code != 404 || !strings.Contains(answer, "UnknownMessage") {
		t.Errorf("%d %s", code, answer)
	}
	if code, answer := ask(t, "GET", url+"/messages", ""); code != 200 || strings.TrimSpace(answer) != "[]" {
		t.Errorf("%d %s", code, answer)
	}
}

func TestACallIsShownAndEnded(t *testing.T) {
	agent := &pretender{}
	url := serve(t, Options{Agent: agent, Control: true})
	if code, body := ask(t, "GET", url+"/calls/call-1", ""); code != 200 || !strings.Contains(body, `"state": "ended"`) {
		t.Errorf("%d %s", code, body)
	}
	if code, body := ask(t, "GET", url+"/calls/nobody", ""); code != 404 || !strings.Contains(body, "UnknownCall") {
		t.Errorf("%d %s", code, body)
	}
	if code, _ := ask(t, "DELETE", url+"/calls/call-1", ""); code != 204 || len(agent.hungUp) != 1 {
		t.Errorf("%d, hung up %v", code, agent.hungUp)
	}
}

// TestStatuszHasTheNamesOthersScriptAgainst holds the JSON names, letter by
// letter, and that a call tells the same in /statusz and in /calls/{id}.
func TestStatuszHasTheNamesOthersScriptAgainst(t *testing.T) {
	url := serve(t, Options{Agent: &pretender{}, Control: true})
	decode := func(path string, into any) {
		t.Helper()
		_, body := ask(t, "GET", url+path, "")
		if err := json.Unmarshal([]byte(body), into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	var all, one map[string]any
	decode("/statusz", &all)
	decode("/calls/call-1", &one)
	first := func(list string) map[string]any {
		entries, _ := all[list].([]any)
		if len(entries) != 1 {
			t.Fatalf("%s: %v", list, all[list])
		}
		return entries[0].(map[string]any)
	}
	within := func(where string, object map[string]any, names string) {
		t.Helper()
		for name := range strings.FieldsSeq(names) {
			if _, there := object[name]; !there {
				t.Errorf("%s has no %s: %v", where, name, object)
			}
		}
	}
	within("a line", first("lines"), "name state server contact expiresAt lastCode lastReason configHash effectiveHash")
	within("a refused file", first("rejected"), "file reason")
	for where, c := range map[string]map[string]any{"a call of statusz": first("calls"), "a call": one} {
		within(where, c, "id line direction remote state codec protection nat rtp dtmf mos end")
		within("rtp of "+where, c["rtp"].(map[string]any), "sent received lost jitterMs rttMs")
		within("end of "+where, c["end"].(map[string]any), "code reason by")
	}
}

func TestBrowsersAreKeptOut(t *testing.T) {
	agent := &pretender{}
	url := serve(t, Options{Agent: agent, Control: true})
	body := `{"line":"alice","to":"+1900"}`
	for says, c := range map[string]struct {
		headers []string
		code    int
	}{
		"a page of somebody else":       {[]string{"Origin", "https://evil.example", "Content-Type", "text/plain"}, 403},
		"the same, by fetch metadata":   {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"a name that was bent to us":    {[]string{"Host", "evil.example"}, 403},
		"a program that says localhost": {[]string{"Host", "localhost:8081"}, 201},
		"a program that says ::1":       {[]string{"Host", "[::1]:8081"}, 201},
	} {
		if code, answer := ask(t, "POST", url+"/calls", body, c.headers...); code != c.code {
			t.Errorf("%s: %d %s, want %d", says, code, answer, c.code)
		}
	}
}

func TestTheTokenIsAskedForAndReadAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	url := serve(t, Options{Agent: &pretender{}, Control: true, TokenFile: file})
	put := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(says string, want int, headers ...string) {
		t.Helper()
		if code, answer := ask(t, "GET", url+"/statusz", "", headers...); code != want {
			t.Errorf("%s: %d %s, want %d", says, code, answer, want)
		}
	}
	expect("no token file", 503, "Authorization", "Bearer x")
	put("")
	expect("an empty token lets nobody in", 503, "Authorization", "Bearer ")
	put("one\n")
	expect("no token", 401)
	expect("a wrong one", 401, "Authorization", "Bearer two")
	expect("the right one, from any name", 200, "Authorization", "Bearer one", "Host", "agent.example")
	put("two")
	expect("the old one after a rotation", 401, "Authorization", "Bearer one")
	expect("the new one", 200, "Authorization", "Bearer two")
}

func TestControlOnTheNetworkNeedsAToken(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	err = Serve(t.Context(), l, Options{Agent: &pretender{}, Control: true, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "--control-token-file") {
		t.Errorf("served without a token: %v", err)
	}
}

func TestACallIsHeldAndResumed(t *testing.T) {
	for sentence, tt := range map[string]struct {
		path   string
		err    error
		want   int
		says   string
		passed string
	}{
		"hold answers with the record":     {"/calls/call-1/hold", nil, 200, `"id": "call-1"`, "hold call-1"},
		"resume answers with the record":   {"/calls/call-1/resume", nil, 200, `"id": "call-1"`, "resume call-1"},
		"the other side says no":           {"/calls/call-1/hold", fmt.Errorf("%w: 488 Not Acceptable Here", call.ErrPeerRefused), 502, "RefusedByOtherSide", "hold call-1"},
		"the call is not up":               {"/calls/call-1/hold", call.ErrNotNow, 409, "NotPossibleNow", "hold call-1"},
		"the other side takes its time":    {"/calls/call-1/resume", context.DeadlineExceeded, 504, "Timeout", "resume call-1"},
		"nobody knows the call":            {"/calls/call-2/hold", call.ErrNoCall, 404, "UnknownCall", "hold call-2"},
		"nobody knows it when it was held": {"/calls/call-2/hold", nil, 404, "UnknownCall", "hold call-2"},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := &pretender{err: tt.err}
			url := serve(t, Options{Agent: p, Control: true})
			code, body := ask(t, "POST", url+tt.path, "")
			if code != tt.want || !strings.Contains(body, tt.says) || strings.Join(p.moved, " ") != tt.passed {
				t.Errorf("%d %s, passed on %q; want %d with %s and %q", code, body, p.moved, tt.want, tt.says, tt.passed)
			}
		})
	}
}
