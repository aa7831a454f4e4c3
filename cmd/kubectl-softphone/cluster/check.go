package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Work with CallChecks"}
	cmd.AddCommand(checkRunCommand())
	return cmd
}

func checkRunCommand() *cobra.Command {
	var t target
	var output string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Run a check now and print its verdict",
		Long: `Ask for a run of a CallCheck now, suspended or not, wait for it, and print what it found.

The exit code is 0 when the run passed (with warnings, too), 1 when it failed or nothing came of it, 2 when it was
inconclusive: our own side could not try.`,
		Example: `  kubectl softphone check run bob-calls-alice
  kubectl softphone check run echo-test -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := t.connect()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			run, err := s.runCheck(ctx, args[0])
			if err != nil {
				return err
			}
			if err := printRun(cmd.OutOrStdout(), args[0], run, output); err != nil {
				return err
			}
			return runVerdict(run)
		},
	}
	t.flags(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long to wait for the run")
	cmd.Flags().StringVarP(&output, "output", "o", "", "json for programs")
	return cmd
}

// Verdicts that are no success. ErrInconclusive makes the program exit 2.
var (
	errRunFailed    = errors.New("the check failed")
	ErrInconclusive = errors.New("the check was inconclusive")
)

// runVerdict is the error of a run; nil when it passed.
func runVerdict(r voipv1.CheckRun) error {
	switch r.Result {
	case "pass", "warn":
		return nil
	case "inconclusive":
		return fmt.Errorf("%w: %s", ErrInconclusive, r.Message)
	}
	return fmt.Errorf("%w: %s", errRunFailed, r.Message)
}

// runCheck asks for a run and waits until there is one.
func (s *session) runCheck(ctx context.Context, name string) (voipv1.CheckRun, error) {
	key := client.ObjectKey{Namespace: s.namespace, Name: name}
	var c voipv1.CallCheck
	if err := s.client.Get(ctx, key, &c); err != nil {
		return voipv1.CheckRun{}, err
	}
	asked := time.Now().UTC().Format(time.RFC3339Nano)
	before := c.DeepCopy()
	metav1.SetMetaDataAnnotation(&c.ObjectMeta, voipv1.AnnotationRunAt, asked)
	if err := s.client.Patch(ctx, &c, client.MergeFrom(before)); err != nil {
		return voipv1.CheckRun{}, fmt.Errorf("ask for a run: %w", err)
	}
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		if c.Status.RunAt == asked && c.Status.LastRun != nil {
			return *c.Status.LastRun, nil
		}
		if stalled := meta.FindStatusCondition(c.Status.Conditions, voipv1.ConditionStalled); stalled != nil && c.Status.ObservedGeneration == c.Generation {
			return voipv1.CheckRun{}, fmt.Errorf("check %s cannot run: %s", name, stalled.Message)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return voipv1.CheckRun{}, fmt.Errorf("no run of check %s: %w%s", name, ctx.Err(), standing(&c))
		}
		if err := s.client.Get(ctx, key, &c); err != nil && ctx.Err() == nil {
			return voipv1.CheckRun{}, err
		}
	}
}

// standing is what keeps a check from running, as far as its status tells.
func standing(c *voipv1.CallCheck) string {
	ready := meta.FindStatusCondition(c.Status.Conditions, voipv1.ConditionReady)
	if ready == nil {
		return " (the operator has not looked at it)"
	}
	return " (" + ready.Message + ")"
}

func printRun(w io.Writer, name string, r voipv1.CheckRun, output string) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	table := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "CHECK\tVERDICT\tREASON\tCODE\tRING\tSETUP\tFIRST-PACKET\tMOS\tLOSS\tJITTER\tMESSAGE")
	took := func(d *metav1.Duration) string {
		if d == nil {
			return "-"
		}
		return d.Duration.String()
	}
	figure := func(d *voipv1.Decimal, unit string) string {
		if d == nil {
			return "-"
		}
		return string(*d) + unit
	}
	fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, r.Result, dash(r.Reason), dash(number(r.Code)), took(r.Ring), took(r.Setup),
		took(r.FirstPacket), figure(r.MOS, ""), figure(r.LossPercent, " %"), took(r.Jitter), dash(r.Message))
	return table.Flush()
}
