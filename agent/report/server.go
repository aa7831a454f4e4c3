package report

import (
	"cmp"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// Limits of the listener.
const (
	maxStreams     = 16 // readers at the same time
	maxHeaderBytes = 8 << 10
	// writeTimeout after which a reader that does not read is dropped.
	writeTimeout = 10 * time.Second
)

// Options of a Server.
type Options struct {
	Hub *Hub
	// Dir holds report.crt, report.key and report.token. They are read again
	// when they change; while they are missing nobody is let in.
	Dir string
	// Ping is the silence after which a stream says that it lives; 0 = delivery.PingInterval.
	Ping time.Duration
	Log  *slog.Logger
}

// Server serves the report over TLS to who presents the token.
type Server struct {
	opts    Options
	secrets *secrets
	streams chan struct{}
}

// NewServer makes a server; Serve runs it.
func NewServer(o Options) *Server {
	o.Ping = cmp.Or(o.Ping, delivery.PingInterval)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Server{opts: o, secrets: &secrets{dir: o.Dir}, streams: make(chan struct{}, maxStreams)}
}

// Serve answers on the listener until the context ends; it closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+delivery.ReportPath, s.serveReport)
	server := &http.Server{
		Handler:           s.authorized(mux),
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: s.secrets.certificate},
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.ServeTLS(l, "", "")
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// authorized lets in who presents the bearer token (RFC 6750 §2.1).
func (s *Server) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := s.secrets.token()
		if err != nil {
			s.opts.Log.Error("report token unreadable", "error", err)
			http.Error(w, "no token configured", http.StatusServiceUnavailable)
			return
		}
		given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !bearer || subtle.ConstantTimeCompare([]byte(given), token) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serveReport gives one report, or with watch=1 a stream of events.
func (s *Server) serveReport(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") != "1" {
		w.Header().Set("Content-Type", "application/json")
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		_ = json.NewEncoder(w).Encode(s.opts.Hub.Report())
		return
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		http.Error(w, "too many readers", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if err := s.stream(r.Context(), w); err != nil && r.Context().Err() == nil {
		s.opts.Log.Info("report reader dropped", "remote", r.RemoteAddr, "error", err)
	}
}

// stream sends events until the reader goes away or does not read.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter) error {
	sub := s.opts.Hub.Subscribe()
	defer sub.Close()
	control := http.NewResponseController(w)
	encoder := json.NewEncoder(w)
	ping := time.NewTimer(s.opts.Ping)
	defer ping.Stop()
	for {
		var events []delivery.Event
		select {
		case <-ctx.Done():
			return nil
		case <-sub.Changed():
			events = sub.Take()
		case <-ping.C:
			events = append(sub.Take(), delivery.Event{Type: delivery.EventPing})
		}
		if err := control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		for _, e := range events {
			if err := encoder.Encode(e); err != nil {
				return err
			}
		}
		if err := control.Flush(); err != nil {
			return err
		}
		ping.Reset(s.opts.Ping)
	}
}
