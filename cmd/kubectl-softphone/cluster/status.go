package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

func statusCommand() *cobra.Command {
	var t target
	var everywhere bool
	var output string
	cmd := &cobra.Command{
		Use:   "status [ACCOUNT]",
		Short: "Show the lines of a namespace, or one line with its conditions and calls",
		Example: `  kubectl softphone status
  kubectl softphone status -A
  kubectl softphone status alice`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := t.connect()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return s.statusOfOne(cmd.Context(), args[0], output, cmd.OutOrStdout())
			}
			return s.statusOfAll(cmd.Context(), everywhere, output, cmd.OutOrStdout())
		},
	}
	t.flags(cmd)
	cmd.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "the lines of all namespaces")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json for programs")
	return cmd
}

func (s *session) statusOfAll(ctx context.Context, everywhere bool, output string, w io.Writer) error {
	var accounts voipv1.SoftphoneAccountList
	var in []client.ListOption
	if !everywhere {
		in = append(in, client.InNamespace(s.namespace))
	}
	if err := s.client.List(ctx, &accounts, in...); err != nil {
		return err
	}
	if output == "json" {
		return json.NewEncoder(w).Encode(accounts.Items)
	}
	if len(accounts.Items) == 0 {
		_, err := fmt.Fprintln(w, "No accounts found.")
		return err
	}
	slices.SortFunc(accounts.Items, func(a, b voipv1.SoftphoneAccount) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	table := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "NAMESPACE\tNAME\tSTATE\tSERVER\tAGENT\tCODE\tSINCE\tREASON")
	for _, a := range accounts.Items {
		st := a.Status
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Namespace, a.Name, dash(string(st.State)), dash(st.Server), dash(st.Agent),
			dash(number(st.Code)), since(st.Since), dash(whyNotReady(&a)))
	}
	return table.Flush()
}

func (s *session) statusOfOne(ctx context.Context, name, output string, w io.Writer) error {
	a, err := s.account(ctx, name)
	if err != nil {
		return err
	}
	var live struct {
		Calls []Call `json:"calls"`
	}
	unreachable := s.live(ctx, a, &live)
	if output == "json" {
		return json.NewEncoder(w).Encode(map[string]any{"account": a, "calls": live.Calls})
	}
	table := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	for _, row := range [][2]string{
		{"Account", a.Namespace + "/" + a.Name},
		{"State", fmt.Sprintf("%s for %s", dash(string(a.Status.State)), since(a.Status.Since))},
		{"Server", dash(a.Status.Server)},
		{"Contact", dash(a.Status.Contact)},
		{"Agent", dash(a.Status.Agent)},
		{"Last answer", fmt.Sprintf("%s %s", dash(number(a.Status.Code)), a.Status.Reason)},
	} {
		fmt.Fprintf(table, "%s:\t%s\n", row[0], row[1])
	}
	fmt.Fprintln(table, "\nCONDITION\tSTATUS\tREASON\tMESSAGE")
	for _, c := range a.Status.Conditions {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if unreachable != nil {
		_, err := fmt.Fprintf(w, "\nCalls: unknown (%v)\n", unreachable)
		return err
	}
	calls := slices.DeleteFunc(live.Calls, func(c Call) bool { return c.Line != a.Name })
	if len(calls) == 0 {
		_, err := fmt.Fprintln(w, "\nNo calls.")
		return err
	}
	fmt.Fprintln(w)
	return printCalls(w, calls)
}

// live asks the agent for its own status.
func (s *session) live(ctx context.Context, a *voipv1.SoftphoneAccount, out any) error {
	agent, err := s.agentOf(ctx, a)
	if err != nil {
		return err
	}
	defer agent.close()
	return agent.do(ctx, "GET", "/statusz", nil, out)
}

// whyNotReady is the message of the condition that keeps an account from being
// ready, "" for a ready one.
func whyNotReady(a *voipv1.SoftphoneAccount) string {
	ready := meta.FindStatusCondition(a.Status.Conditions, voipv1.ConditionReady)
	switch {
	case ready == nil:
		return "the operator has not looked at it"
	case ready.Status == metav1.ConditionTrue:
		return ""
	}
	return cmp.Or(ready.Message, ready.Reason)
}

func dash(s string) string { return cmp.Or(s, "-") }

func number(n int32) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func since(t *metav1.Time) string {
	if t == nil {
		return "-"
	}
	return duration.HumanDuration(time.Since(t.Time))
}
