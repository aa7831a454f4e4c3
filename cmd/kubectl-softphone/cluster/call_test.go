package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerdictOnACall(t *testing.T) {
	for says, c := range map[string]struct {
		call string
		want error
		in   string
	}{
		"answered with audio":    {`{"setupMs":7,"rtp":{"sent":9,"received":9},"end":{"code":200,"reason":"BYE","by":"remote"}}`, nil, ""},
		"answered without audio": {`{"setupMs":7,"rtp":{"sent":9,"received":0},"end":{"code":200,"reason":"BYE","by":"remote"}}`, errNoAudio, ""},
		"busy":                   {`{"rtp":{},"end":{"code":486,"reason":"486 Busy Here","by":"remote"}}`, errNotAnswered, "answered: 486 Busy Here"},
		"nobody there":           {`{"rtp":{},"end":{"code":408,"reason":"no answer within 60 s","by":"timeout"}}`, errNotAnswered, "408 no answer within 60 s"},
	} {
		var call Call
		if err := json.Unmarshal([]byte(c.call), &call); err != nil {
			t.Fatal(err)
		}
		err := verdict(call)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.in) {
			t.Errorf("%s: %v, want %v with %q", says, err, c.want, c.in)
		}
	}
}

func TestACallKeepsWhatThisProgramDoesNotKnow(t *testing.T) {
	const told = `{"id":"x","line":"alice","invention":[1,2]}`
	var call Call
	if err := json.Unmarshal([]byte(told), &call); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(call); err != nil || string(again) != told {
		t.Errorf("%s became %s, %v", told, again, err)
	}
}

func TestWhatWasNotMeasuredIsADash(t *testing.T) {
	var out bytes.Buffer
	if err := printCalls(&out, []Call{{Line: "alice", State: "ended"}}); err != nil {
		t.Fatal(err)
	}
	row := strings.Fields(strings.Split(out.String(), "\n")[1])
	if got, want := strings.Join(row, " "), "alice ended - 0 0 0 - - - - -"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

func TestHeadersAreNameAndValue(t *testing.T) {
	got, err := parseHeaders([]string{"X-Site=north=1"})
	if err != nil || got["X-Site"] != "north=1" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"X-Site", "=north"} {
		if _, err := parseHeaders([]string{bad}); err == nil {
			t.Errorf("%q passes for a header", bad)
		}
	}
}

// recordingAgent is the control listener of an agent that has a recording of its only call, or says why not.
func recordingAgent(t *testing.T, problem string, recording string) (at string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /calls", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*asked = append(*asked, string(body))
		fmt.Fprint(w, `{"id":"one"}`)
	})
	mux.HandleFunc("GET /calls/one", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"id":"one","line":"alice","setupMs":7,"rtp":{"received":9},"recording":{"problem":%q},"end":{"code":200,"reason":"BYE","by":"remote"}}`, problem)
	})
	mux.HandleFunc("GET /calls/one/recording", func(w http.ResponseWriter, _ *http.Request) {
		if recording == "" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"the call has no recording"}`)
			return
		}
		fmt.Fprint(w, recording)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestARecordingIsKept(t *testing.T) {
	for says, c := range map[string]struct {
		directory          string // below the test's
		problem, recording string
		want               string // error
		kept, called       bool
	}{
		"the recording is written to the file":            {"", "", "RIFF and so on", "", true, true},
		"one that is not whole is written, and says so":   {"", "the disk is full", "RIFF", "the call's recording is not whole: the disk is full", true, true},
		"the agent could not record":                      {"", "there is no state directory", "", "the call was not recorded: there is no state directory", false, true},
		"there is none":                                   {"", "", "", "the call's recording: agent: the call has no recording", false, true},
		"nobody is called for what cannot be kept anyway": {"nowhere", "", "RIFF", "--record: ", false, false},
	} {
		t.Run(says, func(t *testing.T) {
			agent, asked := recordingAgent(t, c.problem, c.recording)
			file := filepath.Join(t.TempDir(), c.directory, "call.wav")
			cmd := callCommand()
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			cmd.SetOut(io.Discard)
			cmd.SetArgs([]string{"alice", "bob", "--record", file, "--agent", agent + "/"})
			err := cmd.ExecuteContext(t.Context())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if called := len(*asked) == 1 && strings.Contains((*asked)[0], `"record":true`); called != c.called {
				t.Errorf("asked for %q", *asked)
			}
			got, err := os.ReadFile(file)
			if kept := err == nil; kept != c.kept || string(got) != c.recording && c.kept {
				t.Errorf("the file has %q, %v", got, err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".recording-*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestACallIsRecordedOnlyWhereSomebodyWantsIt(t *testing.T) {
	agent, asked := recordingAgent(t, "", "")
	var out bytes.Buffer
	cmd := callCommand()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"alice", "bob", "--agent", agent})
	if err := cmd.ExecuteContext(t.Context()); err != nil || strings.Contains((*asked)[0], "record") || !strings.Contains(out.String(), "200 BYE (remote)") {
		t.Errorf("%v; asked for %q; printed\n%s", err, *asked, out.String())
	}
}
