package agent

import (
	"context"
	"fmt"
	"net"

	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/report"
)

// listen binds every listener that was asked for, then serves them. Nothing is
// served unless all could be bound.
func (s *supervisor) listen(ctx context.Context) error {
	var bound []net.Listener
	bind := func(what, addr string) (net.Listener, error) {
		if addr == "" {
			return nil, nil
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			for _, b := range bound {
				_ = b.Close()
			}
			return nil, fmt.Errorf("%s listener: %w", what, err)
		}
		bound = append(bound, l)
		return l, nil
	}
	open, err := bind("health", s.opts.Listen)
	if err != nil {
		return err
	}
	private, err := bind("control", s.opts.Control)
	if err != nil {
		return err
	}
	reports, err := bind("report", s.opts.Report)
	if err != nil {
		return err
	}
	if private != nil && !control.Loopback(private.Addr()) && s.opts.ControlTokenFile == "" {
		for _, b := range bound {
			_ = b.Close()
		}
		return fmt.Errorf("control listener %s is not loopback: it needs --control-token-file", private.Addr())
	}
	s.serve(ctx, open, private, reports)
	return nil
}

func (s *supervisor) serve(ctx context.Context, open, private, reports net.Listener) {
	o := control.Options{Agent: s, Metrics: s.metrics.Handler(), Log: s.log}
	said := []any{"sipPort", s.sockets.shared.Port()}
	if open != nil {
		// By hand everything is on one loopback address; in a pod the open listener tells health only.
		health := o
		health.Health, health.Control, health.TokenFile = true, control.Loopback(open.Addr()), s.opts.ControlTokenFile
		s.start(func() error { return control.Serve(ctx, open, health) })
		said = append(said, "listen", open.Addr().String())
	}
	if private != nil {
		calls := o
		calls.Control, calls.TokenFile = true, s.opts.ControlTokenFile
		s.start(func() error { return control.Serve(ctx, private, calls) })
		said = append(said, "control", private.Addr().String())
	}
	if reports != nil {
		server := report.NewServer(report.Options{Hub: s.hub, Dir: s.opts.Accounts, Log: s.log})
		s.start(func() error { return server.Serve(ctx, reports) })
		said = append(said, "report", reports.Addr().String())
	}
	s.log.Info("listening", said...)
}
