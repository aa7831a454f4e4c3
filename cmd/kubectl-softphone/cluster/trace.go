package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// tracing is what the trace command was asked for.
type tracing struct {
	line   string
	call   string // id, or SIP Call-ID
	last   bool
	output string
	file   string
	follow bool
	ascii  bool
	agent  string // URL of an agent run by hand
}

func traceCommand() *cobra.Command {
	var t target
	var what tracing
	cmd := &cobra.Command{
		Use:   "trace ACCOUNT",
		Short: "Show the SIP messages of a line or of one of its calls",
		Long: `Show the SIP messages that the agent of an account keeps: of the line (registration, subscriptions, messages, OPTIONS),
or of one call. An agent keeps a call's for 10 minutes after it ended, as its record. Passwords, digest responses, keys,
digits and what MESSAGEs say are not among them.

A capture (-o pcap) has every message as a UDP datagram, whatever it went over; its Via tells.`,
		Example: `  kubectl softphone trace alice
  kubectl softphone trace alice --last
  kubectl softphone trace alice --call 5dwjz6wlel5j6y7u -o pcap -w call.pcap
  kubectl softphone trace alice -f -o pcap | wireshark -k -i -
  kubectl softphone trace alice --last --agent http://127.0.0.1:8080`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			what.line = args[0]
			if err := what.validate(cmd.OutOrStdout()); err != nil {
				return err
			}
			agent, err := what.reach(cmd.Context(), &t)
			if err != nil {
				return err
			}
			defer agent.close()
			return agent.trace(cmd.Context(), what, cmd.OutOrStdout())
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVar(&what.call, "call", "", "the call of this id, or of this SIP Call-ID")
	cmd.Flags().BoolVar(&what.last, "last", false, "the line's last call")
	cmd.Flags().StringVarP(&what.output, "output", "o", "ladder", "ladder, json or pcap")
	cmd.Flags().StringVarP(&what.file, "write", "w", "", "file to write to (default: standard output)")
	cmd.Flags().BoolVarP(&what.follow, "follow", "f", false, "go on until the call has ended, or until interrupted; JSON is one message a line then")
	cmd.Flags().BoolVar(&what.ascii, "ascii", false, "draw the ladder in plain ASCII")
	cmd.Flags().StringVar(&what.agent, "agent", "", "URL of an agent's control listener, for agents run by hand")
	return cmd
}

func (w tracing) validate(out io.Writer) error {
	switch w.output {
	case "ladder", "json", "pcap":
	default:
		return fmt.Errorf("--output %q is not one of ladder, json, pcap", w.output)
	}
	if w.call != "" && w.last {
		return errors.New("--call names a call, --last the last: give one of them")
	}
	if w.output == "pcap" && w.file == "" && terminal(out) {
		return errors.New("a capture is nothing for a terminal: give -w FILE, or a pipe")
	}
	return nil
}

// terminal tells whether people read it as it is written.
func terminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// reach opens the agent that carries the line.
func (w tracing) reach(ctx context.Context, t *target) (*link, error) {
	if w.agent != "" {
		return byHand(w.agent), nil
	}
	s, err := t.connect()
	if err != nil {
		return nil, err
	}
	a, err := s.account(ctx, w.line)
	if err != nil {
		return nil, err
	}
	return s.agentOf(ctx, a)
}

// trace reads what was asked for and writes it.
func (l *link) trace(ctx context.Context, what tracing, out io.Writer) (err error) {
	if what.last {
		if what.call, err = l.lastCall(ctx, what.line); err != nil {
			return err
		}
	}
	if what.file != "" && what.file != "-" {
		f, err := os.Create(what.file)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	path := what.path()
	body, until, err := l.read(ctx, path, "")
	if err != nil {
		return err
	}
	if _, err := out.Write(body); err != nil || !what.follow {
		return err
	}
	return l.followTrace(ctx, what, path, cmp.Or(until, beginning), out)
}

// path and query of what is asked for.
func (w tracing) path() string {
	path := "/lines/" + url.PathEscape(w.line)
	if w.call != "" {
		path = "/calls/" + url.PathEscape(w.call)
	}
	switch {
	case w.output == "pcap":
		return path + "/pcap?"
	case w.output == "json" && w.follow:
		return path + "/trace?format=ndjson"
	case w.output == "json":
		return path + "/trace?"
	case w.ascii:
		return path + "/ladder?charset=ascii"
	}
	return path + "/ladder?"
}

// beginning is before any message: what is asked for after it comes without a head.
const beginning = "1970-01-01T00:00:00Z"

// followEvery is the time between two looks at a trace that is followed.
const followEvery = 300 * time.Millisecond

// followTrace writes what comes after what was written.
func (l *link) followTrace(ctx context.Context, what tracing, path, until string, out io.Writer) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for quiet := 0; ; quiet++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil // that is how one ends it
		}
		over := what.call != "" && l.ended(ctx, what.call)
		body, now, err := l.read(ctx, path, until)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case now != until:
			until, quiet = now, 0
		case over && quiet > 1: // its last response came
			return nil
		}
		if _, err := out.Write(body); err != nil {
			return err
		}
	}
}

// ended tells whether a call is over; one without a record is.
func (l *link) ended(ctx context.Context, call string) bool {
	var c Call
	err := l.do(ctx, "GET", "/calls/"+url.PathEscape(call), nil, &c)
	return err != nil || c.End != nil
}

// read reads a trace after a time ("" = all of it), and until when it goes.
func (l *link) read(ctx context.Context, path, after string) (body []byte, until string, err error) {
	if after != "" {
		path += "&after=" + url.QueryEscape(after)
	}
	res, err := l.send(ctx, "GET", path, nil)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(res.Body, 64<<20)); err != nil {
		return nil, "", fmt.Errorf("agent: %w", err)
	}
	if until = res.Header.Get("Trace-Until"); until == "" {
		until = after
	}
	return body, until, nil
}

// lastCall gives the id of the line's last call.
func (l *link) lastCall(ctx context.Context, line string) (id string, err error) {
	var live struct {
		Calls []Call `json:"calls"` // the oldest first
	}
	if err := l.do(ctx, "GET", "/statusz", nil, &live); err != nil {
		return "", err
	}
	for _, c := range live.Calls {
		if c.Line == line {
			id = c.ID
		}
	}
	if id == "" {
		return "", fmt.Errorf("line %s has had no call of late", line)
	}
	return id, nil
}
