package offline

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/softphone-operator/softphone-operator/account"
)

type rendering struct {
	objects                 objectFlags
	showSecrets, provenance bool
}

func renderCommand() *cobra.Command {
	var r rendering
	cmd := &cobra.Command{
		Use:   "render -f FILE.yaml... [--account NAME]",
		Short: "Write the account XML that the operator makes of SoftphoneAccounts",
		Long: `Write the account XML that the operator would deliver for the SoftphoneAccounts in the files: their layers, and the
Secrets and ConfigMaps they refer to, merged as in the cluster. Other kinds of objects are passed over.

Without --account all accounts are written, under one root. Secrets are shown as asterisks unless --show-secrets is
given; a Secret that is not among the files is then an error, otherwise a warning.
Exit status: 0, or 1 when an account cannot be rendered.`,
		Example: `  kubectl softphone render -f alice.yaml
  kubectl softphone render -f lines/ --account alice --provenance
  kubectl get sacc,sprof,sfleet -o yaml | kubectl softphone render -f - --account alice`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	r.objects.add(cmd)
	cmd.Flags().BoolVar(&r.showSecrets, "show-secrets", false, "show passwords and other secrets")
	cmd.Flags().BoolVar(&r.provenance, "provenance", false, "write the priority and source of each node")
	return cmd
}

func (r rendering) run(cmd *cobra.Command) error {
	all, err := r.objects.read(cmd)
	if err != nil {
		return err
	}
	chosen, err := all.chosen(r.objects.account)
	if err != nil {
		return err
	}
	var docs []*account.Document
	for _, a := range chosen {
		line, err := all.line(cmd, a, r.showSecrets)
		if err != nil {
			return err
		}
		docs = append(docs, line.Merged)
	}
	if err := account.WriteAll(cmd.OutOrStdout(), docs, account.WriteOptions{Mask: !r.showSecrets, Provenance: r.provenance}); err != nil {
		return fmt.Errorf("the account XML: %w", err)
	}
	return nil
}
