package offline

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/softphone-operator/softphone-operator/account"
)

type merging struct {
	showSecrets, defaults bool
	output                string
}

func mergeCommand() *cobra.Command {
	var m merging
	cmd := &cobra.Command{
		Use:   "merge SOURCE[@PRIORITY]=FILE.xml...",
		Short: "Merge account XML files and show where each value comes from",
		Long: `Merge account XML files, in the order they are given, into one account with the priority and source of each node.

A node replaces the one of an earlier file when its priority is higher or equal. Nodes that say no priority have
their file's: 0 for the source default, 10 for provisioning, 20 for extProv, 40 for gui; other sources need one.
Files of the source extProv are read with the tolerance for provisioning services.

Secrets are shown as asterisks unless --show-secrets is given. Problems go to standard error.
Exit status: 0, or 1 when a file is not a valid account document.`,
		Example: `  kubectl softphone merge provisioning=carrier.xml gui=alice.xml
  kubectl softphone merge provisioning=carrier.xml site@15=berlin.xml gui=alice.xml extProv=answer.xml
  kubectl softphone merge --defaults -o json gui=alice.xml`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeXML,
		RunE:              func(cmd *cobra.Command, args []string) error { return m.run(cmd, args) },
	}
	cmd.Flags().BoolVar(&m.showSecrets, "show-secrets", false, "show passwords and other secrets")
	cmd.Flags().BoolVar(&m.defaults, "defaults", false, "add the nodes that no file sets, with their defaults")
	outputFlag(cmd, &m.output)
	return cmd
}

func (m merging) run(cmd *cobra.Command, args []string) error {
	if err := checkOutput(m.output); err != nil {
		return err
	}
	var layers []account.Layer
	for _, arg := range args {
		layer, err := readLayer(cmd, arg)
		if err != nil {
			return err
		}
		layers = append(layers, layer)
	}
	merged := account.Merge(layers...)
	if m.defaults {
		merged = account.WithDefaults(merged)
	}
	if m.output == "json" {
		return printJSON(cmd.OutOrStdout(), mergedJSON{nodesOf(merged, m.showSecrets)})
	}
	return merged.Write(cmd.OutOrStdout(), account.WriteOptions{Mask: !m.showSecrets, Provenance: true})
}

// priorities are the ones a source has when nothing else is said.
var priorities = map[string]int{
	account.SourceDefault:      account.PriorityDefault,
	account.SourceProvisioning: account.PriorityProvisioning,
	account.SourceExtProv:      account.PriorityExtProv,
	account.SourceGUI:          account.PriorityGUI,
}

// readLayer reads the file of SOURCE[@PRIORITY]=FILE.
func readLayer(cmd *cobra.Command, arg string) (account.Layer, error) {
	head, file, found := strings.Cut(arg, "=")
	source, number, given := strings.Cut(head, "@")
	if !found || source == "" || file == "" {
		return account.Layer{}, fmt.Errorf("%q is not SOURCE[@PRIORITY]=FILE", arg)
	}
	priority, known := priorities[source]
	if given {
		v, err := strconv.ParseInt(number, 10, 32)
		if err != nil {
			return account.Layer{}, fmt.Errorf("%q: priority %q is not a whole number", arg, number)
		}
		priority = int(v)
	} else if !known {
		return account.Layer{}, fmt.Errorf("%q: the source %s has no priority of its own; write %s@PRIORITY=%s", arg, source, source, file)
	}
	mode := account.Authored
	if source == account.SourceExtProv {
		mode = account.Fetched
	}
	doc, err := readValid(cmd, file, mode)
	return account.Layer{Doc: doc, Source: source, Priority: priority}, err
}
