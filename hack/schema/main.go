// Command schema writes what is made of the schema table: the Go fields of
// spec.account with their markers, and docs/account.md. The table is the truth;
// nothing of it is written twice by hand.
//
// usage: go run ./hack/schema ROOT
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./hack/schema ROOT")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

// generated are the files that are made of the table.
var generated = []struct {
	path  string
	write func(root string) ([]byte, error)
}{
	{"api/v1/account_settings.go", settings},
	{"docs/account.md", docs},
}

func run(root string) error {
	for _, f := range generated {
		content, err := f.write(root)
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if err := os.WriteFile(filepath.Join(root, f.path), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
