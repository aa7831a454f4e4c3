package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/home"
	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// patience bounds every wait for something that should happen soon. It is for a
// machine that is busy with other tests: what must be quick is measured.
const patience = time.Minute

// softphone is a running agent, seen as its users see it.
type softphone struct {
	*process.Process
	t        testing.TB
	accounts string
	state    string
	url      string
	sip      uint16
	args     []string
	home     *home.Home
	client   *http.Client
}

// options of a softphone.
type options struct {
	files map[string]string // in its directory of accounts
	args  []string          // beside the usual
	state string            // "" = its own
	sip   uint16            // 0 = a free port
	home  *home.Home        // behind a NAT; nil = beside the peers
}

// startAgent runs an agent for the test. It ends with the test.
func startAgent(t testing.TB, o options) *softphone {
	t.Helper()
	s := &softphone{t: t, accounts: t.TempDir(), state: o.state, sip: o.sip, args: o.args, home: o.home, client: http.DefaultClient}
	if s.state == "" {
		s.state = t.TempDir()
	}
	if s.sip == 0 {
		port, err := process.FreePorts(2)
		if err != nil {
			t.Fatal(err)
		}
		s.sip = port
	}
	for name, content := range o.files {
		s.put(name, content)
	}
	s.start()
	t.Cleanup(func() {
		if err := s.Stop(5 * time.Second); err != nil {
			t.Logf("end the agent: %v", err)
		}
		if t.Failed() {
			t.Logf("the agent's log ends with:\n%s", s.Tail(8000))
		}
	})
	return s
}

// start runs the program and waits until it listens.
func (s *softphone) start() {
	s.t.Helper()
	log := filepath.Join(s.t.TempDir(), "agent.log")
	args := append([]string{
		"--accounts", s.accounts, "--state", s.state, "--name", "interop", "--listen", "127.0.0.1:0",
		"--sip", fmt.Sprintf("127.0.0.1:%d", s.sip), "--log-level", "debug",
	}, s.args...)
	executable := program
	if s.home != nil {
		args = append(args, "--sip", fmt.Sprintf("%s:%d", s.home.Inside(), s.sip))
		executable, args = s.home.Command(program, args...)
		s.client = &http.Client{Transport: &http.Transport{DialContext: s.home.DialContext}}
	}
	p, err := process.Start(process.Config{Program: executable, Package: "none: it is built here", Args: args, LogFile: log})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Process = p
	listening := regexp.MustCompile(`msg=listening .*\blisten=(\S+)`)
	eventually(s.t, "the agent listens", func() (bool, string) {
		found := listening.FindStringSubmatch(p.Log())
		if found == nil {
			select {
			case <-p.Done():
				s.t.Fatalf("the agent ended:\n%s", p.Tail(4000))
			default:
			}
			return false, p.Tail(500)
		}
		s.url = "http://" + found[1]
		return true, ""
	})
}

// put writes a file into the directory of accounts the way a careful editor does.
func (s *softphone) put(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.accounts, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		s.t.Fatal(err)
	}
}

func (s *softphone) remove(name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.accounts, name)); err != nil {
		s.t.Fatal(err)
	}
}

// The JSON below names what others script against.

type lineStatus struct {
	Name, State, Server, Contact, LastReason, ConfigHash, EffectiveHash, Problem, DrainState, Public string
	ExpiresAt                                                                                        time.Time
	LastCode                                                                                         int
	Path, ServiceRoute                                                                               []string
	Outbound                                                                                         bool
	Certificates                                                                                     []certificate
	MWI                                                                                              *mwiStatus
	Watched                                                                                          []watchedStatus
	Messages                                                                                         []textMessage
	Media                                                                                            *struct{ Reach, Way, Finding, Address, Seen, Detail string }
}

type certificate struct {
	Role, Subject string
	NotAfter      time.Time
}

type record struct {
	ID, Line, Direction, Remote, State, Codec, Protection, Cipher, NAT, DTMF string
	RTP                                                                      struct {
		Sent, Received, Lost uint64
		JitterMs, RTTMs      *float64
	}
	MOS       *float64
	StalledMs int64
	Quality   *struct{ Received struct{ Discarded uint64 } }
	Heard     *struct{ FrequencyHz, LevelDbm0 float64 }
	End       *struct {
		Code       int
		Reason, By string
	}
	SetupMs    *int64
	Treatment  []string
	RemoteName string
	Anonymous  bool

	Transfer             *transferStatus
	ReferredBy, Replaces string
	Hold, Held, CallID   string
	Trouble              []string
	SessionTimer         *sessionTimer
}

type sessionTimer struct {
	Seconds   int
	Refresher string
}

type status struct {
	Lines    []lineStatus
	Calls    []record
	Rejected []struct{ File, Reason string }
}

// request asks the agent and gives code and body.
func (s *softphone) request(method, path, body string) (int, []byte) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", method, path, err, s.Tail(3000))
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, answer
}

func (s *softphone) status() status {
	s.t.Helper()
	code, body := s.request("GET", "/statusz", "")
	var st status
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&st); err != nil || code != 200 {
		s.t.Fatalf("statusz: %d %v %s", code, err, body)
	}
	return st
}

// line gives the status of a line; the zero value when it is not there.
func (s *softphone) line(name string) lineStatus {
	s.t.Helper()
	for _, l := range s.status().Lines {
		if l.Name == name {
			return l
		}
	}
	return lineStatus{}
}

// awaitLine waits until a line is in a state, and tells how long it took.
func (s *softphone) awaitLine(name, state string) (lineStatus, time.Duration) {
	s.t.Helper()
	began := time.Now()
	var l lineStatus
	eventually(s.t, name+" is "+state, func() (bool, string) {
		l = s.line(name)
		return l.State == state, fmt.Sprintf("%+v", l)
	})
	return l, time.Since(began)
}

// awaitLog waits until the agent's log says something.
func (s *softphone) awaitLog(what string) {
	s.t.Helper()
	eventually(s.t, "the agent logs "+what, func() (bool, string) { return strings.Contains(s.Log(), what), "its log without it" })
}

// dial places a call and gives its id.
func (s *softphone) dial(body string) string {
	s.t.Helper()
	code, answer := s.request("POST", "/calls", body)
	var placed struct{ ID string }
	if err := json.Unmarshal(answer, &placed); err != nil || code != 201 || placed.ID == "" {
		s.t.Fatalf("POST /calls %s: %d %s", body, code, answer)
	}
	return placed.ID
}

func (s *softphone) call(id string) record {
	s.t.Helper()
	code, answer := s.request("GET", "/calls/"+id, "")
	var r record
	if err := json.Unmarshal(answer, &r); err != nil || code != 200 {
		s.t.Fatalf("GET /calls/%s: %d %v %s", id, code, err, answer)
	}
	return r
}

// awaitCall waits until a call satisfies a condition.
func (s *softphone) awaitCall(id, says string, fits func(record) bool) record {
	s.t.Helper()
	var r record
	eventually(s.t, "the call "+says, func() (bool, string) {
		r = s.call(id)
		return fits(r), pretty(r)
	})
	return r
}

// awaitIncoming waits for the newest incoming call of a line to satisfy a condition.
func (s *softphone) awaitIncoming(line, says string, fits func(record) bool) record {
	s.t.Helper()
	var r record
	eventually(s.t, "an incoming call of "+line+" "+says, func() (bool, string) {
		r = record{}
		for _, c := range s.status().Calls {
			if c.Line == line && c.Direction == "in" {
				r = c
			}
		}
		return r.ID != "" && fits(r), pretty(r)
	})
	return r
}

func ended(r record) bool       { return r.State == "ended" && r.End != nil }
func established(r record) bool { return r.State == "established" }

// kill ends the agent without a word, as a node that dies does.
func (s *softphone) kill() {
	s.t.Helper()
	if err := s.Kill(); err != nil {
		s.t.Fatal(err)
	}
}

// terminate ends the agent the way a kubelet does and gives its exit code.
func (s *softphone) terminate() int {
	s.t.Helper()
	if err := s.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	code, err := s.Wait(ctx)
	if err != nil {
		s.t.Fatalf("the agent does not end: %v\n%s", err, s.Tail(4000))
	}
	return code
}

// eventually waits for a condition; detail tells what is there instead.
func eventually(t testing.TB, says string, holds func() (ok bool, detail string)) {
	t.Helper()
	lookEvery(t, 10*time.Millisecond, says, holds)
}

// lookEvery is eventually for conditions that are costly to look at.
func lookEvery(t testing.TB, interval time.Duration, says string, holds func() (ok bool, detail string)) {
	t.Helper()
	limit := time.Now().Add(patience)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		ok, detail := holds()
		if ok {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("waited %s in vain until %s; there is: %s", patience, says, detail)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("until %s: %v", says, t.Context().Err())
		}
	}
}

func pretty(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// accountXML is one account; more are further nodes as they stand. Its audio keeps away
// from the ports that peers are given.
func accountXML(user, password, host string, more ...string) string {
	more = append([]string{"<rtpPortRangeStart>33000</rtpPortRangeStart>"}, more...)
	return fmt.Sprintf("<account>\n  <title>%s</title>\n  <username>%s</username>\n  <password>%s</password>\n  <host>%s</host>\n  %s\n</account>\n",
		user, user, password, host, strings.Join(more, "\n  "))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
