package cluster

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// agentOfTwoCalls is the control listener of an agent whose second call ends while one
// looks: three messages come one after the other.
func agentOfTwoCalls(t *testing.T) string {
	t.Helper()
	var looks atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("GET /statusz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"calls":[{"id":"one","line":"alice"},{"id":"two","line":"alice"},{"id":"three","line":"bob"}]}`)
	})
	mux.HandleFunc("GET /calls/two", func(w http.ResponseWriter, _ *http.Request) {
		if looks.Load() > 2 {
			fmt.Fprint(w, `{"id":"two","end":{"code":200}}`)
			return
		}
		fmt.Fprint(w, `{"id":"two"}`)
	})
	mux.HandleFunc("GET /{kind}/{name}/{view}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("name") == "nobody" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":"no such call: \"nobody\""}`)
			return
		}
		n, after := min(looks.Add(1), 3), r.FormValue("after")
		w.Header().Set("Trace-Until", fmt.Sprintf("2026-01-01T00:00:0%dZ", n))
		if after == "" {
			fmt.Fprintf(w, "head of %s %s %s%s\n", r.PathValue("kind"), r.PathValue("name"), r.PathValue("view"), r.FormValue("format")+r.FormValue("charset"))
		}
		if after < w.Header().Get("Trace-Until") {
			fmt.Fprintf(w, "message %d\n", n)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// traced runs the command against that agent.
func traced(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := traceCommand()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append(args, "--agent", agentOfTwoCalls(t)+"/"))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestTraceAsksForWhatIsWanted(t *testing.T) {
	for args, want := range map[string]string{
		"alice":                             "head of lines alice ladder\nmessage 1\n",
		"alice --ascii":                     "head of lines alice ladderascii\nmessage 1\n",
		"alice -o json":                     "head of lines alice trace\nmessage 1\n",
		"alice -o pcap":                     "head of lines alice pcap\nmessage 1\n",
		"alice --last":                      "head of calls two ladder\nmessage 1\n",
		"alice --call one -o json":          "head of calls one trace\nmessage 1\n",
		"alice --call a@b/c":                "head of calls a@b/c ladder\nmessage 1\n",
		"alice --last --follow":             "head of calls two ladder\nmessage 1\nmessage 2\nmessage 3\n",
		"alice --call two -f -o json":       "head of calls two tracendjson\nmessage 1\nmessage 2\nmessage 3\n",
		"alice --call nobody":               "error: agent: no such call: \"nobody\"",
		"carol --last":                      "error: line carol has had no call of late",
		"alice --call one --last":           "error: --call names a call, --last the last: give one of them",
		"alice -o text":                     `error: --output "text" is not one of ladder, json, pcap`,
		"alice --call two -o pcap --follow": "head of calls two pcap\nmessage 1\nmessage 2\nmessage 3\n",
	} {
		got, err := traced(t, strings.Fields(args)...)
		if err != nil {
			got += "error: " + err.Error()
		}
		if got != want {
			t.Errorf("%s:\n%s\nwant\n%s", args, got, want)
		}
	}
}

func TestTraceWritesAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "call.pcap")
	if out, err := traced(t, "alice", "--last", "-o", "pcap", "-w", file); err != nil || out != "" {
		t.Fatalf("%q, %v", out, err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "head of calls two pcap\nmessage 1\n" {
		t.Errorf("%q, %v", got, err)
	}
}
