package control

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/softphone-operator/softphone-operator/agent/trace"
)

// traces serves the SIP messages of calls and lines.
func traces(mux *http.ServeMux, agent Agent) {
	for _, of := range []struct {
		path string
		get  func(r *http.Request) (trace.Trace, string, error)
	}{
		{"/calls/{id}", func(r *http.Request) (trace.Trace, string, error) { return agent.CallTrace(r.PathValue("id")) }},
		{"/lines/{name}", func(r *http.Request) (trace.Trace, string, error) { return agent.LineTrace(r.PathValue("name")) }},
	} {
		for view, write := range map[string]func(http.ResponseWriter, *http.Request, trace.Trace, string){
			"trace": messages, "ladder": ladder, "pcap": pcap,
		} {
			mux.HandleFunc("GET "+of.path+"/"+view, func(w http.ResponseWriter, r *http.Request) {
				t, title, err := of.get(r)
				if err != nil {
					writeError(w, err)
					return
				}
				write(w, r, t, title)
			})
		}
	}
}

// messages as JSON; ?format=ndjson gives one a line.
func messages(w http.ResponseWriter, r *http.Request, t trace.Trace, _ string) {
	if r.FormValue("format") != "ndjson" {
		writeJSON(w, http.StatusOK, t)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, m := range t.Messages {
		_ = encoder.Encode(m) // the reader went away: nothing to tell it
	}
}

// ladder as text, in plain ASCII with ?charset=ascii, or as JSON for who asks for that.
func ladder(w http.ResponseWriter, r *http.Request, t trace.Trace, title string) {
	l := t.Ladder(title)
	if r.FormValue("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, http.StatusOK, l)
		return
	}
	charset := trace.UTF8
	if r.FormValue("charset") == "ascii" {
		charset = trace.ASCII
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_ = l.WriteText(w, charset)
}

// pcap is a capture file.
func pcap(w http.ResponseWriter, r *http.Request, t trace.Trace, _ string) {
	name := r.PathValue("id") + r.PathValue("name")
	w.Header().Set("Content-Type", "application/vnd.tcpdump.pcap")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fileName(name)+".pcap"))
	_ = t.WritePcap(w)
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
