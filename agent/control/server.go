package control

import (
	"bytes"
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"
)

// Options of a listener.
type Options struct {
	Agent   Agent
	Metrics http.Handler
	// Health serves healthz, readyz and metrics, Control statusz and calls.
	Health, Control bool
	// TokenFile holds the bearer token that Control asks for; read at each
	// request. Needed where Control is not on loopback.
	TokenFile string
	Log       *slog.Logger
}

// Loopback tells whether only this machine reaches the address.
func Loopback(addr net.Addr) bool {
	ap, err := netip.ParseAddrPort(addr.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// Serve answers on the listener until the context ends; it closes the listener.
// Control on an address that a network reaches is refused without a TokenFile.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	handler, err := o.handler(Loopback(l.Addr()))
	if err != nil {
		_ = l.Close()
		return err
	}
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err = server.Serve(l)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (o Options) handler(loopback bool) (http.Handler, error) {
	mux := http.NewServeMux()
	if o.Health {
		health(mux, o.Agent, o.Metrics)
	}
	if !o.Control {
		return mux, nil
	}
	if !loopback && o.TokenFile == "" {
		return nil, fmt.Errorf("control on an address that is not loopback needs --control-token-file")
	}
	inner := http.NewServeMux()
	control(inner, o.Agent)
	texts(inner, o.Agent)
	guarded := sameOrigin(inner)
	if o.TokenFile != "" {
		guarded = authorized(o.TokenFile, o.Log, guarded)
	} else {
		guarded = localHost(guarded)
	}
	mux.Handle("/", guarded)
	return mux, nil
}

// sameOrigin refuses what a web page of somebody else makes a browser send: an
// agent on a desk shares its loopback with a browser.
func sameOrigin(next http.Handler) http.Handler { return http.NewCrossOriginProtection().Handler(next) }

// localHost refuses names that were made to point at this machine (DNS rebinding).
func localHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if host != "localhost" && (err != nil || !addr.IsLoopback()) {
			writeJSON(w, http.StatusForbidden, Error{Reason: "Forbidden", Message: "the control listener is for localhost"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authorized lets in who presents the token of the file (RFC 6750 §2.1).
func authorized(file string, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want, err := os.ReadFile(file)
		want = bytes.TrimSpace(want)
		if err != nil || len(want) == 0 {
			log.Error("control token unreadable or empty", "file", file, "error", err)
			writeJSON(w, http.StatusServiceUnavailable, Error{Reason: "NoToken", Message: "no control token configured"})
			return
		}
		given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer || subtle.ConstantTimeCompare([]byte(given), want) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			writeJSON(w, http.StatusUnauthorized, Error{Reason: "Unauthorized", Message: "present the control token"})
			return
		}
		next.ServeHTTP(w, r)
	})
}
