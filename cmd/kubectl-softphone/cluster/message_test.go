package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestAMessageAndItsAnswer has an agent that knows the answer at the second look.
func TestAMessageAndItsAnswer(t *testing.T) {
	for says, c := range map[string]struct {
		code   int
		reason string
		want   error
	}{
		"taken":             {200, "200 OK", nil},
		"taken for later":   {202, "202 Accepted", nil},
		"not allowed there": {405, "405 Method Not Allowed", errNotTaken},
		"nobody answers":    {0, "no answer from 192.0.2.1:5060/udp", errNotTaken},
	} {
		looks := 0
		mux := http.NewServeMux()
		mux.HandleFunc("POST /messages", func(w http.ResponseWriter, r *http.Request) {
			var req messageRequest
			if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.Line != "alice" || req.To != "bob" || req.Text != "hi" {
				t.Errorf("%s: asked %+v, %v", says, req, err)
			}
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"id":"x"}`))
		})
		mux.HandleFunc("GET /messages/x", func(w http.ResponseWriter, _ *http.Request) {
			if looks++; looks == 1 {
				_, _ = w.Write([]byte(`{"id":"x","remote":"sip:bob@pbx"}`))
				return
			}
			_, _ = fmt.Fprintf(w, `{"id":"x","remote":"sip:bob@pbx","code":%d,"reason":%q,"endedAt":"2026-03-01T12:00:00Z"}`, c.code, c.reason)
		})
		agent := httptest.NewServer(mux)
		var out bytes.Buffer
		err := (&link{base: agent.URL}).message(t.Context(), messageRequest{Line: "alice", To: "bob", Text: "hi"}, "", &out)
		if !errors.Is(err, c.want) || c.want == nil && err != nil || out.String() != "sip:bob@pbx: "+c.reason+"\n" {
			t.Errorf("%s: %v, printed %q", says, err, out.String())
		}
		agent.Close()
	}
}
