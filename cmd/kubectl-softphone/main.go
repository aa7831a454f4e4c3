// Command kubectl-softphone is the plugin behind "kubectl softphone": what needs
// a cluster is in package cluster, what needs none in package offline.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/softphone-operator/softphone-operator/cmd/kubectl-softphone/cluster"
	"github.com/softphone-operator/softphone-operator/cmd/kubectl-softphone/offline"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := rootCommand().ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err))
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:     "kubectl-softphone",
		Short:   "Fleets of softphones: their lines, their calls, their account documents",
		Version: version,
		// The name people type; completion keeps the program's own.
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl softphone"},
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(cluster.Commands()...)
	root.AddCommand(offline.Commands()...)
	return root
}

// exitCode says what a pipeline is told: a command's own status, which needs no
// words, or the command's status for an error that is printed here.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	var status offline.Status
	if errors.As(err, &status) && status.Err == nil {
		return status.Code
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if errors.Is(err, cluster.ErrInconclusive) {
		return 2
	}
	if status.Code != 0 {
		return status.Code
	}
	return 1
}
