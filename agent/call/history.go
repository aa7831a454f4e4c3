package call

import (
	"cmp"
	"slices"
	"time"
)

// Ended calls are kept this long, and this many of them.
const (
	keepEnded = 10 * time.Minute
	mostEnded = 100
)

// history is the calls that ended, in the order they did.
type history struct{ records []Record }

func (h *history) add(r Record) {
	h.expire()
	if len(h.records) >= mostEnded {
		h.records = slices.Delete(h.records, 0, len(h.records)-mostEnded+1)
	}
	h.records = append(h.records, r)
}

func (h *history) expire() {
	oldest := time.Now().Add(-keepEnded)
	h.records = slices.DeleteFunc(h.records, func(r Record) bool { return r.EndedAt.Before(oldest) })
}

func (h *history) list() []Record {
	h.expire()
	return slices.Clone(h.records)
}

func (h *history) find(id string) (Record, bool) {
	h.expire()
	i := slices.IndexFunc(h.records, func(r Record) bool { return r.ID == id })
	if i < 0 {
		return Record{}, false
	}
	return h.records[i], true
}

// sortRecords puts the oldest call first.
func sortRecords(records []Record) {
	slices.SortStableFunc(records, func(a, b Record) int {
		return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.ID, b.ID))
	})
}
