// Package offline is the half of kubectl-softphone that works on files alone:
// account documents and manifests. It needs no cluster, so that a pipeline can
// judge, compare and explain before anything is applied.
package offline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/softphone-operator/softphone-operator/account"
)

// Commands are the commands that need no cluster.
func Commands() []*cobra.Command {
	return []*cobra.Command{validateCommand(), mergeCommand(), diffCommand(), renderCommand(), explainCommand(), importCommand()}
}

// A Status ends the program with an exit code. Without an error the command has
// already said everything.
type Status struct {
	Code int
	Err  error
}

// Error is the error's text.
func (s Status) Error() string {
	if s.Err == nil {
		return fmt.Sprintf("exit status %d", s.Code)
	}
	return s.Err.Error()
}

// Unwrap gives the error.
func (s Status) Unwrap() error { return s.Err }

// stdin is the file name that means standard input.
const stdin = "-"

// read reads the accounts of a file. What is wrong with the file as a whole is a
// problem like the others, so that it is reported like them.
func read(cmd *cobra.Command, file string, mode account.Mode) ([]*account.Document, []account.Problem, error) {
	in := cmd.InOrStdin()
	if file != stdin {
		f, err := os.Open(file)
		if err != nil {
			return nil, nil, err
		}
		defer f.Close()
		in = f
	}
	docs, problems, err := account.Read(in, account.ReadOptions{Mode: mode, File: file})
	var fatal account.Problem
	if errors.As(err, &fatal) {
		return nil, append(problems, fatal), nil
	}
	return docs, problems, err
}

// readOne reads a file with one account that can be read without errors; what is
// wrong with it is written to standard error.
func readOne(cmd *cobra.Command, file string, mode account.Mode) (*account.Document, error) {
	docs, problems, err := read(cmd, file, mode)
	if err != nil {
		return nil, err
	}
	return theOne(cmd, file, docs, problems)
}

// readValid is readOne for a file whose values must be right as well.
func readValid(cmd *cobra.Command, file string, mode account.Mode) (*account.Document, error) {
	docs, problems, err := read(cmd, file, mode)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		problems = append(problems, d.ValidateLayer(mode)...)
	}
	return theOne(cmd, file, docs, problems)
}

func theOne(cmd *cobra.Command, file string, docs []*account.Document, problems []account.Problem) (*account.Document, error) {
	if err := printProblems(cmd.ErrOrStderr(), problems); err != nil {
		return nil, err
	}
	switch {
	case len(account.Errors(problems)) > 0:
		return nil, fmt.Errorf("%s is not a valid account document", file)
	case len(docs) != 1:
		return nil, fmt.Errorf("%s has %d accounts, and one is meant", file, len(docs))
	}
	return docs[0], nil
}

func printProblems(w io.Writer, problems []account.Problem) error {
	var out bytes.Buffer
	for _, p := range problems {
		fmt.Fprintln(&out, p)
	}
	_, err := out.WriteTo(w)
	return err
}

// outputs are the values of -o.
var outputs = []string{"text", "json"}

// outputFlag adds -o to a command.
func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", "text, or json for programs")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
}

func checkOutput(output string) error {
	for _, known := range outputs {
		if output == known {
			return nil
		}
	}
	return fmt.Errorf("-o %s: there is only %s", output, strings.Join(outputs, " and "))
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// completeXML completes the names of XML files.
func completeXML(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"xml"}, cobra.ShellCompDirectiveFilterFileExt
}
