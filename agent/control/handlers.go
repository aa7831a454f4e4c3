package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/recording"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// maxBody bounds a request's body.
const maxBody = 64 << 10

// health is what every listener may tell: healthz, readyz, metrics.
func health(mux *http.ServeMux, agent Agent, metrics http.Handler) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready, missing := agent.Ready(); !ready {
			http.Error(w, missing, http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
	mux.Handle("GET /metrics", metrics)
}

// control is state and calls.
func control(mux *http.ServeMux, agent Agent) {
	mux.HandleFunc("GET /statusz", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, agent.Status()) })
	mux.HandleFunc("POST /calls", func(w http.ResponseWriter, r *http.Request) {
		id, err := dial(r, agent)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusCreated, map[string]string{"id": id})
	})
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, agent.Status().Calls) })
	mux.HandleFunc("GET /calls/{id}", func(w http.ResponseWriter, r *http.Request) {
		record, err := agent.Call(r.PathValue("id"))
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, record)
	})
	mux.HandleFunc("POST /calls/{id}/transfer", func(w http.ResponseWriter, r *http.Request) {
		if err := transfer(r, agent); err != nil {
			writeError(w, err)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("POST /calls/{id}/hold", change(agent, agent.Hold))
	mux.HandleFunc("POST /calls/{id}/resume", change(agent, agent.Resume))
	mux.HandleFunc("GET /calls/{id}/recording", recorded(agent))
	traces(mux, agent)
	mux.HandleFunc("DELETE /calls/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := agent.Hangup(r.PathValue("id")); err != nil {
			writeError(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// changeTimeout bounds how long an answer waits for the other side of a call. The
// change goes on.
const changeTimeout = 20 * time.Second

// change answers a request to change a running call with the record it has then.
func change(agent Agent, do func(ctx context.Context, id string) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), changeTimeout)
		defer cancel()
		id := r.PathValue("id")
		err := do(ctx, id)
		var record call.Record
		if err == nil {
			record, err = agent.Call(id)
		}
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, record)
	}
}

// read reads the body of a request. A field it does not know is a mistake: a
// mistyped limit must not be ignored.
func read(r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequest{fmt.Errorf("body: %w", err)}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequest{errors.New("body: more than one JSON value")}
	}
	return nil
}

// transfer reads a request to transfer a call and passes it on.
func transfer(r *http.Request, agent Agent) error {
	var t call.Transfer
	if err := read(r, &t); err != nil {
		return err
	}
	if t.To == "" && t.Replaces == "" {
		return badRequest{errors.New("to: whom shall the other side call?")}
	}
	return agent.Transfer(r.PathValue("id"), t)
}

// dial reads a request to call and passes it on.
func dial(r *http.Request, agent Agent) (string, error) {
	var d Dial
	if err := read(r, &d); err != nil {
		return "", err
	}
	switch {
	case d.Line == "":
		return "", badRequest{errors.New("line: which line shall call?")}
	case d.To == "":
		return "", badRequest{errors.New("to: whom to call?")}
	case d.Seconds < 0:
		return "", badRequest{fmt.Errorf("seconds: %d is negative", d.Seconds)}
	case d.ToneHz < 0 || d.ToneHz > 4000:
		return "", badRequest{fmt.Errorf("toneHz: %g is not within 0 to 4000", d.ToneHz)}
	}
	return agent.Dial(r.Context(), d)
}

// badRequest is a mistake in a request.
type badRequest struct{ error }

func (b badRequest) Unwrap() error { return b.error }

// kinds of errors and what they are in HTTP, the first that fits counts.
var kinds = []struct {
	is     error
	status int
	reason string
}{
	{ErrUnknownLine, http.StatusNotFound, "UnknownLine"},
	{call.ErrNoCall, http.StatusNotFound, "UnknownCall"},
	{recording.ErrNone, http.StatusNotFound, "NoRecording"},
	{call.ErrNoText, http.StatusNotFound, "UnknownMessage"},
	{call.ErrTooLong, http.StatusRequestEntityTooLarge, "TooLong"},
	{ErrNotRegistered, http.StatusConflict, "NotRegistered"},
	{ErrSuspended, http.StatusConflict, "Suspended"},
	{call.ErrDraining, http.StatusConflict, "Draining"},
	{call.ErrClosed, http.StatusConflict, "Draining"},
	{call.ErrNotNow, http.StatusConflict, "NotPossibleNow"},
	{call.ErrPeerRefused, http.StatusBadGateway, "RefusedByOtherSide"},
	{call.ErrTooMany, http.StatusTooManyRequests, "TooManyCalls"},
	{call.ErrRefused, http.StatusForbidden, "DestinationRefused"},
	{call.ErrUnconfirmed, http.StatusConflict, "NotConfirmed"},
	{call.ErrDialAction, http.StatusUnprocessableEntity, "DialActionNotPossible"},
	{call.ErrBudget, http.StatusTooManyRequests, "BudgetSpent"},
	{call.ErrBadTarget, http.StatusBadRequest, "BadTarget"},
	{call.ErrBadHeader, http.StatusBadRequest, "BadHeader"},
	{call.ErrBadDigits, http.StatusBadRequest, "BadDigits"},
	{call.ErrBadValue, http.StatusBadRequest, "BadValue"},
	{ErrNoFlow, http.StatusBadRequest, "UnknownFlow"},
	{ua.ErrHostNotFound, http.StatusBadGateway, "HostNotFound"},
	{ua.ErrDNS, http.StatusBadGateway, "DNSFailure"},
	{ua.ErrUnreachable, http.StatusBadGateway, "Unreachable"},
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "Timeout"},
}

// Error is the body of every refusal.
type Error struct {
	// Reason is one word for programs, Message a sentence for people.
	Reason  string `json:"reason"`
	Message string `json:"error"`
}

func writeError(w http.ResponseWriter, err error) {
	status, reason := http.StatusInternalServerError, "Internal"
	var bad badRequest
	if errors.As(err, &bad) {
		status, reason = http.StatusBadRequest, "BadRequest"
	}
	for _, k := range kinds {
		if errors.Is(err, k.is) {
			status, reason = k.status, k.reason
			break
		}
	}
	writeJSON(w, status, Error{Reason: reason, Message: strings.TrimSpace(err.Error())})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false) // SIP is full of <>
	_ = encoder.Encode(body)     // the reader went away: nothing to tell it
}
