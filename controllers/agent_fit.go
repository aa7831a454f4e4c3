package controllers

import (
	"cmp"
	"maps"
	"slices"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// reserve is what agent.json and the credentials of an agent with the most lines
// need beside the documents and certificates.
const reserve = 170_000

// fit keeps the parcels within what one Secret can hold. When they are too
// large together, the largest that grew go back to what they were, and are marked
// as kept, so that everyone else's lines are not disturbed.
func fit(parcels, before map[string]parcel, lines map[string]ledgerLine) {
	sizes := measure(parcels)
	grown := func(name string) int { return parcels[name].size() - before[name].size() }
	names := slices.SortedFunc(maps.Keys(lines), func(a, b string) int {
		return cmp.Or(cmp.Compare(grown(b), grown(a)), cmp.Compare(a, b))
	})
	for _, name := range names {
		if sizes.total <= delivery.MaxBytes-reserve || grown(name) <= 0 {
			return
		}
		sizes.take(parcels[name], -1)
		parcels[name] = before[name]
		sizes.take(parcels[name], 1)
		entry := lines[name]
		entry.Kept = true
		lines[name] = entry
	}
}

// size of a parcel by itself.
func (c parcel) size() int {
	n := len(c.document)
	for _, content := range c.files {
		n += len(content)
	}
	return n
}

// sizes count what several parcels hold in common once.
type sizes struct {
	total int
	users map[string]int
}

func measure(parcels map[string]parcel) *sizes {
	s := &sizes{users: map[string]int{}}
	for _, c := range parcels {
		s.take(c, 1)
	}
	return s
}

// take adds a parcel (by 1), or takes it away (by -1).
func (s *sizes) take(c parcel, by int) {
	s.total += by * len(c.document)
	for name, content := range c.files {
		before := s.users[name] > 0
		s.users[name] += by
		if after := s.users[name] > 0; after != before {
			s.total += by * len(content)
		}
	}
}
