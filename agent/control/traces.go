package control

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/trace"
)

// TraceUntil is the response header that has the time of the last message. A program
// that follows a trace gives it back as ?after=, and is told what came since: without
// the head of a ladder or a capture, which it has.
const TraceUntil = "Trace-Until"

// shownTrace is what a request wants to see.
type shownTrace struct {
	trace.Trace
	title string
	wall  bool      // time of day rather than since the beginning
	after time.Time // zero = everything
}

// traces serves the SIP messages of calls and lines.
func traces(mux *http.ServeMux, agent Agent) {
	for path, get := range map[string]func(r *http.Request) (shownTrace, error){
		"/calls/{id}": func(r *http.Request) (shownTrace, error) {
			t, title, err := agent.CallTrace(r.PathValue("id"))
			return shownTrace{Trace: t, title: title}, err
		},
		"/lines/{name}": func(r *http.Request) (shownTrace, error) {
			t, title, err := agent.LineTrace(r.PathValue("name"))
			return shownTrace{Trace: t, title: title, wall: true}, err
		},
	} {
		for view, write := range map[string]func(http.ResponseWriter, *http.Request, shownTrace){"trace": messages, "ladder": ladder, "pcap": pcap} {
			mux.HandleFunc("GET "+path+"/"+view, func(w http.ResponseWriter, r *http.Request) {
				t, err := get(r)
				if after := r.FormValue("after"); err == nil && after != "" {
					if t.after, err = time.Parse(time.RFC3339Nano, after); err != nil {
						err = badRequest{fmt.Errorf("after: %w", err)}
					}
				}
				if err != nil {
					writeError(w, err)
					return
				}
				if until := t.Until(); !until.IsZero() {
					w.Header().Set(TraceUntil, until.UTC().Format(time.RFC3339Nano))
				}
				write(w, r, t)
			})
		}
	}
}

// messages as JSON; ?format=ndjson gives one a line.
func messages(w http.ResponseWriter, r *http.Request, t shownTrace) {
	newer := t.After(t.after)
	if r.FormValue("format") != "ndjson" {
		writeJSON(w, http.StatusOK, newer)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, m := range newer.Messages {
		_ = encoder.Encode(m) // the reader went away: nothing to tell it
	}
}

// ladder as text, in plain ASCII with ?charset=ascii, or as JSON for who asks for that.
func ladder(w http.ResponseWriter, r *http.Request, t shownTrace) {
	l := t.Ladder(t.title)
	if r.FormValue("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, http.StatusOK, l)
		return
	}
	charset := trace.UTF8
	if r.FormValue("charset") == "ascii" {
		charset = trace.ASCII
	}
	l.Wall = t.wall
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if t.after.IsZero() {
		_ = l.WriteText(w, charset)
	} else {
		_ = l.WriteMore(w, charset, t.after)
	}
}

// pcap is a capture file.
func pcap(w http.ResponseWriter, r *http.Request, t shownTrace) {
	name := r.PathValue("id") + r.PathValue("name")
	w.Header().Set("Content-Type", "application/vnd.tcpdump.pcap")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fileName(name)+".pcap"))
	if t.after.IsZero() {
		_ = t.WritePcap(w)
	} else {
		_ = t.After(t.after).WriteMorePcap(w)
	}
}

// fileName is a name without what file systems and headers take amiss.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return '_'
	}, name)
}
