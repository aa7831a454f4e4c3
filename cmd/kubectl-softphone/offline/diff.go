package offline

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/softphone-operator/softphone-operator/account"
)

type comparison struct {
	showSecrets bool
	output      string
}

func diffCommand() *cobra.Command {
	var c comparison
	cmd := &cobra.Command{
		Use:   "diff A.xml B.xml",
		Short: "Compare two account XML files and say what the change does to a running line",
		Long: `Compare two account XML files node by node: + added, - removed, ~ changed. Priorities, sources, spacing and other
spellings of the same value do not count. The files need not be valid, only well-formed.

Each change tells what it does to a running line: nothing, live (used from the next request, call or packet on),
re-register, or restart (sockets are opened anew). The strongest comes last.

Secrets are shown as asterisks unless --show-secrets is given.
Exit status: 0 when nothing differs, 1 when something does, 2 on errors; as kubectl diff.`,
		Example: `  kubectl softphone diff alice.xml alice-new.xml
  kubectl softphone diff -o json alice.xml alice-new.xml`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: completeXML,
		RunE: func(cmd *cobra.Command, files []string) error {
			different, err := c.run(cmd, files)
			switch {
			case err != nil:
				return Status{Code: 2, Err: err}
			case different:
				return Status{Code: 1}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&c.showSecrets, "show-secrets", false, "show passwords and other secrets")
	outputFlag(cmd, &c.output)
	return cmd
}

// changesJSON is the output of diff -o json.
type changesJSON struct {
	Changes []changeJSON `json:"changes"`
	Effect  string       `json:"effect"`
}

type changeJSON struct {
	Node    string `json:"node"`
	Old     string `json:"old"`
	New     string `json:"new"`
	Added   bool   `json:"added,omitempty"`
	Removed bool   `json:"removed,omitempty"`
	Effect  string `json:"effect"`
}

func (c comparison) run(cmd *cobra.Command, files []string) (different bool, err error) {
	if err := checkOutput(c.output); err != nil {
		return false, err
	}
	var docs []*account.Document
	for _, file := range files {
		doc, err := readOne(cmd, file, account.Fetched)
		if err != nil {
			return false, err
		}
		docs = append(docs, doc)
	}
	compare := account.Diff
	if c.showSecrets {
		compare = account.DiffUnmasked
	}
	changes := compare(docs[0], docs[1])
	return len(changes) > 0, c.print(cmd, changes)
}

func (c comparison) print(cmd *cobra.Command, changes []account.Change) error {
	effect := account.MaxEffect(changes).String()
	if c.output == "json" {
		out := changesJSON{Changes: []changeJSON{}, Effect: effect}
		for _, ch := range changes {
			out.Changes = append(out.Changes, changeJSON{ch.Node, ch.Old, ch.New, ch.Added, ch.Removed, ch.Effect.String()})
		}
		return printJSON(cmd.OutOrStdout(), out)
	}
	var text bytes.Buffer
	for _, ch := range changes {
		fmt.Fprintln(&text, sentence(ch))
	}
	if len(changes) > 0 {
		fmt.Fprintf(&text, "effect: %s\n", effect)
	}
	_, err := text.WriteTo(cmd.OutOrStdout())
	return err
}

// sentence is one change on one line.
func sentence(c account.Change) string {
	switch {
	case c.Added:
		return fmt.Sprintf("+ %s: %s (%s)", c.Node, orEmpty(c.New), c.Effect)
	case c.Removed:
		return fmt.Sprintf("- %s: %s (%s)", c.Node, orEmpty(c.Old), c.Effect)
	}
	return fmt.Sprintf("~ %s: %s -> %s (%s)", c.Node, orEmpty(c.Old), orEmpty(c.New), c.Effect)
}
