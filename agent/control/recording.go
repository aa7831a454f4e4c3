package control

import (
	"fmt"
	"net/http"
	"time"
)

// recorded gives a call's recording. One that still goes on is given as far as it is.
func recorded(agent Agent) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f, name, err := agent.Recording(r.PathValue("id"))
		if err != nil {
			writeError(w, err)
			return
		}
		defer f.Close()
		w.Header().Set("Content-Type", "audio/wav")
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fileName(name)))
		http.ServeContent(w, r, name, time.Time{}, f)
	}
}
