package control

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRecordingsAreServed(t *testing.T) {
	mux := http.NewServeMux()
	control(mux, &pretender{})
	get := func(id string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", "/calls/"+id+"/recording", nil))
		return w
	}
	if w := get("one"); w.Code != 200 || w.Body.String() != "RIFF" || w.Header().Get("Content-Type") != "audio/wav" ||
		w.Header().Get("Content-Disposition") != `attachment; filename="20260301T120000.000Z-one.wav"` {
		t.Errorf("%d %v %q", w.Code, w.Header(), w.Body)
	}
	if w := get("two"); w.Code != 404 || !strings.Contains(w.Body.String(), `"NoRecording"`) {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
