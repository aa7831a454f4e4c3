package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
)

const root = "../.."

// What is committed is what the table says now.
func TestGeneratedFilesAreFresh(t *testing.T) {
	for _, f := range generated {
		want, err := f.write(root)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, f.path))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is stale: make generate", f.path)
		}
	}
}

func TestEveryNodeIsDocumented(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "docs/account.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range account.Schema() {
		line := "| `" + row.Name + "`"
		if i := strings.Index(string(content), "\n"+line); i < 0 || !strings.Contains(string(content[i:]), strings.TrimSuffix(row.Doc, ".")) {
			t.Errorf("%s is not documented", row.Name)
		}
		if row.Doc == "" || !strings.HasSuffix(row.Doc, ".") {
			t.Errorf("%s: %q is no sentence", row.Name, row.Doc)
		}
	}
	if !strings.Contains(string(content), "| mirrored | 126/126 |") {
		t.Error("the document's nodes are not 126")
	}
}

// A claim whose test is gone, or whose node nobody honours, is no claim.
func TestClaimsWithoutATestAreRefused(t *testing.T) {
	if err := verifyProofs(root); err != nil {
		t.Error(err)
	}
	for node, proof := range map[string]string{
		"username":      "agent/call.TestThatNobodyWrote",
		"ringingTone":   "agent/call.TestOutgoing",
		"noSuchNode":    "agent/call.TestOutgoing",
		"title":         "nowhere.TestOutgoing",
		"autoAnswerFoo": "",
	} {
		before, had := proofs[node]
		proofs[node] = proof
		if err := verifyProofs(root); err == nil {
			t.Errorf("%s is claimed by %q", node, proof)
		}
		delete(proofs, node)
		if had {
			proofs[node] = before
		}
	}
}
