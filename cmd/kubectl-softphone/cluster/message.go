package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// messageRequest is the body of POST /messages.
type messageRequest struct {
	Line    string            `json:"line"`
	To      string            `json:"to"`
	Text    string            `json:"text"`
	Headers map[string]string `json:"headers,omitempty"`
	Confirm bool              `json:"confirm,omitempty"`
}

// Message is a text message as an agent tells it; the fields are those of /statusz.
type Message struct {
	ID      string    `json:"id"`
	Remote  string    `json:"remote"`
	Code    int       `json:"code"`
	Reason  string    `json:"reason"`
	EndedAt time.Time `json:"endedAt"`
}

func messageCommand() *cobra.Command {
	var t target
	var req messageRequest
	var headers []string
	var output string
	cmd := &cobra.Command{
		Use:   "message ACCOUNT TARGET TEXT",
		Short: "Send a text message from a line and tell its answer",
		Long: `Send a text message (SIP MESSAGE) from the line of an account to a number or SIP URI, and wait for the answer.

TARGET may also be the name of another account of the namespace. The account's rewriting rules apply to it. The exit code
is 0 when the message was taken (200 or 202), 1 when not.`,
		Example: `  kubectl softphone message alice +15550100 "See you at nine"
  kubectl softphone message alice bob hello -o json`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := t.connect()
			if err != nil {
				return err
			}
			req.Line, req.To, req.Text = args[0], args[1], args[2]
			if req.Headers, err = parseHeaders(headers); err != nil {
				return err
			}
			return s.message(cmd.Context(), req, output, cmd.OutOrStdout())
		},
	}
	t.flags(cmd)
	cmd.Flags().BoolVar(&req.Confirm, "confirm", false, "send it even when a rewriting rule asks for confirmation")
	cmd.Flags().StringArrayVar(&headers, "header", nil, "header of the MESSAGE, as Name=value (repeatable)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json for programs")
	return cmd
}

// errNotTaken is the verdict that makes the command exit 1.
var errNotTaken = errors.New("the message was not taken")

func (s *session) message(ctx context.Context, req messageRequest, output string, w io.Writer) error {
	from, err := s.account(ctx, req.Line)
	if err != nil {
		return err
	}
	if to, err := s.account(ctx, req.To); err == nil {
		req.To = addressOf(to)
	}
	agent, err := s.agentOf(ctx, from)
	if err != nil {
		return err
	}
	defer agent.close()
	return agent.message(ctx, req, output, w)
}

// message sends a text and waits for its answer.
func (l *link) message(ctx context.Context, req messageRequest, output string, w io.Writer) error {
	var m Message
	if err := l.do(ctx, "POST", "/messages", req, &m); err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for m.EndedAt.IsZero() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := l.do(ctx, "GET", "/messages/"+url.PathEscape(m.ID), nil, &m); err != nil {
			return err
		}
	}
	var err error
	if output == "json" {
		err = json.NewEncoder(w).Encode(m)
	} else {
		_, err = fmt.Fprintf(w, "%s: %s\n", m.Remote, m.Reason)
	}
	if m.Code < 200 || m.Code > 299 {
		err = errors.Join(err, fmt.Errorf("%w: %s", errNotTaken, m.Reason))
	}
	return err
}
