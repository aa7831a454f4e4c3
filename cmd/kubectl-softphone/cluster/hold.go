package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

func holdCommand() *cobra.Command {
	return changeCommand("hold", "Hold a call of a line", `Ask the other side of a call of an account to send no audio until "resume".`)
}

func resumeCommand() *cobra.Command {
	return changeCommand("resume", "Resume a call that a line holds", `End the hold of a call of an account; a hold by the other side stays.`)
}

// changeCommand asks the agent for a change of a running call; what is its path.
func changeCommand(what, short, long string) *cobra.Command {
	var t target
	var output string
	cmd := &cobra.Command{
		Use:   what + " ACCOUNT [CALL]",
		Short: short,
		Long: long + `

CALL is the call's id; without one it is the account's only call that is answered. The exit code is 0 when the other side
agreed, 1 when not.`,
		Example: "  kubectl softphone " + what + " alice",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := t.connect()
			if err != nil {
				return err
			}
			account, err := s.account(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			agent, err := s.agentOf(cmd.Context(), account)
			if err != nil {
				return err
			}
			defer agent.close()
			return agent.change(cmd.Context(), what, args, output, cmd.OutOrStdout())
		},
	}
	t.flags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "json for programs")
	return cmd
}

// change asks for hold or resume of a line's call: args are the line and, perhaps, the
// call's id.
func (l *link) change(ctx context.Context, what string, args []string, output string, w io.Writer) error {
	id := args[len(args)-1]
	if len(args) == 1 {
		var calls []Call
		if err := l.do(ctx, "GET", "/calls", nil, &calls); err != nil {
			return err
		}
		var err error
		if id, err = onlyCall(args[0], calls); err != nil {
			return err
		}
	}
	var c Call
	if err := l.do(ctx, "POST", "/calls/"+url.PathEscape(id)+"/"+what, nil, &c); err != nil {
		return err
	}
	if output == "json" {
		return json.NewEncoder(w).Encode(c)
	}
	_, err := fmt.Fprintf(w, "%s with %s: held by %s\n", c.ID, c.Remote, cmp.Or(c.Held, "nobody"))
	return err
}

var errWhichCall = errors.New("which call?")

// onlyCall is the id of the one answered call of a line.
func onlyCall(line string, calls []Call) (string, error) {
	var ids []string
	for _, c := range calls {
		if c.Line == line && c.State == "established" {
			ids = append(ids, c.ID)
		}
	}
	switch len(ids) {
	case 0:
		return "", fmt.Errorf("account %s has no answered call", line)
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%w account %s has %s", errWhichCall, line, strings.Join(ids, ", "))
}
