// Package account is the account document: the XML that describes one SIP line.
//
// Every other part of the product speaks about an account in the words of this
// package. The operator merges layers of account documents and renders one per
// line; the agent reads it, merges what a provisioning service adds, and runs
// the line by it. Both use the same code, so that they can never disagree about
// what a node means.
//
// One table (Schema) has a row per node. It alone drives reading, writing,
// merging, validating, comparing and redacting; the typed Account is a view of
// a Document through it. A node that is not in the table is never an error and
// never lost.
package account
