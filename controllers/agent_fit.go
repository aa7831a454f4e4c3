package controllers

import (
	"maps"
	"slices"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// reserve is what agent.json and the credentials of an agent with the most lines need beside the documents.
const reserve = 100_000

// fit keeps the documents within what one Secret can hold. When they are too
// long together, the longest that grew go back to what they were, and are marked
// as kept, so that everyone else's lines are not disturbed.
func fit(files, before map[string][]byte, lines map[string]ledgerLine) {
	total := 0
	for _, document := range files {
		total += len(document)
	}
	grown := func(name string) int {
		return len(files[delivery.LineFile(name)]) - len(before[delivery.LineFile(name)])
	}
	names := slices.SortedFunc(maps.Keys(lines), func(a, b string) int {
		if d := grown(b) - grown(a); d != 0 {
			return d
		}
		if a < b {
			return -1
		}
		return 1
	})
	for _, name := range names {
		if total <= delivery.MaxBytes-reserve || grown(name) <= 0 {
			return
		}
		total -= grown(name)
		entry := lines[name]
		entry.Kept = true
		lines[name] = entry
		if old, ok := before[delivery.LineFile(name)]; ok {
			files[delivery.LineFile(name)] = old
		} else {
			delete(files, delivery.LineFile(name))
		}
	}
}
