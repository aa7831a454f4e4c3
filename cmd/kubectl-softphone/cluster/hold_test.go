package cluster

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestACallIsHeldByItsLine(t *testing.T) {
	const one, other, ringing = `{"id":"c1","line":"alice","state":"established"}`, `{"id":"c2","line":"alice","state":"established"}`,
		`{"id":"c3","line":"alice","state":"ringing"},{"id":"c4","line":"bob","state":"established"}`
	for sentence, c := range map[string]struct {
		calls string
		args  []string
		what  string
		asked string // of the agent
		says  string // printed, or the error
	}{
		"the only one":           {one + "," + ringing, []string{"alice"}, "hold", "/calls/c1/hold", "c1 with sip:bob@pbx: held by local\n"},
		"the one that is named":  {one + "," + other, []string{"alice", "c2"}, "resume", "/calls/c2/resume", "c2 with sip:bob@pbx: held by nobody\n"},
		"none is answered":       {ringing, []string{"alice"}, "hold", "", "account alice has no answered call"},
		"nobody knows which":     {one + "," + other, []string{"alice"}, "hold", "", "which call? account alice has c1, c2"},
		"the other side says no": {one, []string{"alice", "no"}, "hold", "/calls/no/hold", "agent: the other side refused: 488 Not Acceptable Here"},
	} {
		t.Run(sentence, func(t *testing.T) {
			asked := ""
			mux := http.NewServeMux()
			mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[" + c.calls + "]")) })
			mux.HandleFunc("POST /calls/{id}/{what}", func(w http.ResponseWriter, r *http.Request) {
				asked = r.URL.Path
				if r.PathValue("id") == "no" {
					w.WriteHeader(http.StatusBadGateway)
					_, _ = w.Write([]byte(`{"reason":"RefusedByOtherSide","error":"the other side refused: 488 Not Acceptable Here"}`))
					return
				}
				held := map[string]string{"hold": `,"held":"local"`}[r.PathValue("what")]
				_, _ = w.Write([]byte(`{"id":"` + r.PathValue("id") + `","remote":"sip:bob@pbx"` + held + `}`))
			})
			agent := httptest.NewServer(mux)
			defer agent.Close()
			var out bytes.Buffer
			said := ""
			if err := (&link{base: agent.URL}).change(t.Context(), c.what, c.args, "", &out); err != nil {
				said = err.Error()
			}
			if said += out.String(); said != c.says || asked != c.asked {
				t.Errorf("asked %q and said %q, want %q and %q", asked, said, c.asked, c.says)
			}
		})
	}
}
