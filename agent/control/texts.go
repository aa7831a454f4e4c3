package control

import (
	"errors"
	"net/http"

	"github.com/softphone-operator/softphone-operator/agent/call"
)

// texts is text messages.
func texts(mux *http.ServeMux, agent Agent) {
	mux.HandleFunc("POST /messages", func(w http.ResponseWriter, r *http.Request) {
		id, err := message(r, agent)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusCreated, map[string]string{"id": id})
	})
	mux.HandleFunc("GET /messages", func(w http.ResponseWriter, _ *http.Request) {
		all := []call.Text{}
		for _, l := range agent.Status().Lines {
			all = append(all, l.Messages...)
		}
		writeJSON(w, http.StatusOK, all)
	})
	mux.HandleFunc("GET /messages/{id}", func(w http.ResponseWriter, r *http.Request) {
		text, err := agent.Text(r.PathValue("id"))
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, text)
	})
}

// message reads a request to send a text and passes it on.
func message(r *http.Request, agent Agent) (string, error) {
	var m Message
	if err := read(r, &m); err != nil {
		return "", err
	}
	switch {
	case m.Line == "":
		return "", badRequest{errors.New("line: which line shall send it?")}
	case m.To == "":
		return "", badRequest{errors.New("to: whom is it for?")}
	case m.Text == "":
		return "", badRequest{errors.New("text: what shall be sent?")}
	}
	return agent.Message(r.Context(), m)
}
