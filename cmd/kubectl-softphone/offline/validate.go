package offline

import (
	"github.com/spf13/cobra"

	"github.com/softphone-operator/softphone-operator/account"
)

type validation struct {
	fetched, layer bool
	output         string
}

func validateCommand() *cobra.Command {
	var v validation
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check account XML files",
		Long: `Check account XML files: every value, the nodes that must be there, and the rules across nodes.
Each problem is one line on standard output, FILE:LINE:COL: node: message.
A file named - is standard input.

Exit status: 0 when there are no errors (warnings do not count), 1 when there are.`,
		Example: `  kubectl softphone validate alice.xml
  kubectl softphone validate --layer carrier.xml          # part of an account: nodes may be missing
  curl -s "$PROVISIONING_URL" | kubectl softphone validate --fetched -`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeXML,
		RunE:              func(cmd *cobra.Command, files []string) error { return v.run(cmd, files) },
	}
	cmd.Flags().BoolVar(&v.fetched, "fetched", false, "judge with the tolerance for provisioning services")
	cmd.Flags().BoolVar(&v.layer, "layer", false, "the files are layers: required nodes may be missing, nodes are judged one by one")
	outputFlag(cmd, &v.output)
	return cmd
}

// problemJSON is one problem of -o json.
type problemJSON struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Col     int    `json:"col,omitempty"`
	Node    string `json:"node,omitempty"`
	Message string `json:"message"`
	Warning bool   `json:"warning"`
}

func (v validation) run(cmd *cobra.Command, files []string) error {
	if err := checkOutput(v.output); err != nil {
		return err
	}
	var all []account.Problem
	for _, file := range files {
		problems, err := v.file(cmd, file)
		if err != nil {
			return err
		}
		all = append(all, problems...)
	}
	if err := v.print(cmd, all); err != nil {
		return err
	}
	if len(account.Errors(all)) > 0 {
		return Status{Code: 1}
	}
	return nil
}

func (v validation) file(cmd *cobra.Command, file string) ([]account.Problem, error) {
	mode := account.Authored
	if v.fetched {
		mode = account.Fetched
	}
	docs, problems, err := read(cmd, file, mode)
	for _, d := range docs {
		if v.layer {
			problems = append(problems, d.ValidateLayer(mode)...)
		} else {
			problems = append(problems, d.Validate(mode)...)
		}
	}
	return problems, err
}

func (v validation) print(cmd *cobra.Command, all []account.Problem) error {
	if v.output != "json" {
		return printProblems(cmd.OutOrStdout(), all)
	}
	list := []problemJSON{}
	for _, p := range all {
		list = append(list, problemJSON(p))
	}
	return printJSON(cmd.OutOrStdout(), list)
}
