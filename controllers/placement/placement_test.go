package placement_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/softphone-operator/softphone-operator/controllers/placement"
)

type (
	line    = placement.Line
	agent   = placement.Agent
	binding = placement.Binding
	at      = placement.At
)

func TestCompute(t *testing.T) {
	one := map[string]int{"f": 2, "g": 2}
	for name, c := range map[string]struct {
		in   placement.Snapshot
		want []agent
	}{
		"no lines need no agent": {placement.Snapshot{}, []agent{}},
		"a first line gets a first agent": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}}},
			[]agent{{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}}}},
		},
		"a line that comes back takes the other slot": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f", LastSlot: 1}}},
			[]agent{{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}}},
		},
		"a line on hold is not placed anew": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f", Hold: true}}},
			[]agent{},
		},
		"a line on hold stays": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f", Hold: true}}, Agents: []agent{{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}}}}},
			[]agent{{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}}}},
		},
		"a deleted account leaves": {
			placement.Snapshot{Agents: []agent{{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}}}}},
			[]agent{{Name: "f-0", Fleet: "f", Bindings: []binding{}}},
		},
		"the fullest agent with room is filled first": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}, {Name: "b", Fleet: "f"}},
				Agents: []agent{{Name: "f-0", Fleet: "f"}, {Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "b", Slot: 1}}}}},
			[]agent{{Name: "f-0", Fleet: "f"}, {Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}, {Line: "b", Slot: 1}}}},
		},
		"a name in use is not taken": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}}, Reserved: map[string]bool{"f-0": true}},
			[]agent{{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}}}},
		},
		"a leaving agent's line is made elsewhere first": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}}, Agents: []agent{{Name: "f-0", Fleet: "f", Leaving: true, Bindings: []binding{{Line: "a", Slot: 1}}}}},
			[]agent{
				{Name: "f-0", Fleet: "f", Leaving: true, Bindings: []binding{{Line: "a", Slot: 1}}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}},
			},
		},
		"it is not broken before it is made": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}}, Agents: []agent{
				{Name: "f-0", Fleet: "f", Leaving: true, Bindings: []binding{{Line: "a", Slot: 1}}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}},
			}, Registered: map[at]bool{{"f-0", "a"}: true}},
			[]agent{
				{Name: "f-0", Fleet: "f", Leaving: true, Bindings: []binding{{Line: "a", Slot: 1}}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}},
			},
		},
		"when it is registered there, the old one drains": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}}, Agents: []agent{
				{Name: "f-0", Fleet: "f", Leaving: true, Bindings: []binding{{Line: "a", Slot: 1}}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}},
			}, Registered: map[at]bool{{"f-0", "a"}: true, {"f-1", "a"}: true}},
			[]agent{
				{Name: "f-0", Fleet: "f", Leaving: true, Bindings: []binding{{Line: "a", Slot: 1, Draining: true}}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}},
			},
		},
		"when it has drained, it is gone": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}}, Agents: []agent{
				{Name: "f-0", Fleet: "f", Leaving: true, Bindings: []binding{{Line: "a", Slot: 1, Draining: true}}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}},
			}, Drained: map[at]bool{{"f-0", "a"}: true}},
			[]agent{
				{Name: "f-0", Fleet: "f", Leaving: true, Bindings: []binding{}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}},
			},
		},
		"a line moves to its new fleet": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "g"}}, Agents: []agent{{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}}}},
			[]agent{
				{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 2}}},
				{Name: "g-0", Fleet: "g", Bindings: []binding{{Line: "a", Slot: 1}}},
			},
		},
		"no second move before the first has drained": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}}, Agents: []agent{
				{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1, Draining: true}}},
				{Name: "f-1", Fleet: "f", Leaving: true, Bindings: []binding{{Line: "a", Slot: 2}}},
			}},
			[]agent{
				{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1, Draining: true}}},
				{Name: "f-1", Fleet: "f", Leaving: true, Bindings: []binding{{Line: "a", Slot: 2}}},
			},
		},
		"the same slot twice is mended": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}}, Agents: []agent{
				{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}}},
			}, Registered: map[at]bool{{"f-1", "a"}: true}},
			[]agent{
				{Name: "f-0", Fleet: "f", Bindings: []binding{}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}}},
			},
		},
		"a smaller capacity moves the last lines": {
			placement.Snapshot{Lines: []line{{Name: "a", Fleet: "f"}, {Name: "b", Fleet: "f"}, {Name: "c", Fleet: "f"}}, Agents: []agent{
				{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}, {Line: "b", Slot: 1}, {Line: "c", Slot: 1}}},
			}},
			[]agent{
				{Name: "f-0", Fleet: "f", Bindings: []binding{{Line: "a", Slot: 1}, {Line: "b", Slot: 1}, {Line: "c", Slot: 1}}},
				{Name: "f-1", Fleet: "f", Bindings: []binding{{Line: "c", Slot: 2}}},
			},
		},
	} {
		c.in.Capacity = one
		got := placement.Compute(c.in)
		if !same(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, c.want)
		}
	}
}

// same compares, taking nil and empty bindings for the same.
func same(a, b []agent) bool {
	return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b)
}

// world is a cluster that does what placement asks, in random order, with random things happening to it.
type world struct {
	r *rand.Rand
	placement.Snapshot
}

func newWorld(seed uint64) *world {
	return &world{rand.New(rand.NewPCG(seed, 7)), placement.Snapshot{
		Capacity: map[string]int{"f": 3, "g": 2}, Registered: map[at]bool{}, Drained: map[at]bool{},
	}}
}

// happen changes one thing of the world.
func (w *world) happen() {
	switch n := w.r.IntN(10); {
	case n < 4:
		w.Lines = append(w.Lines, line{Name: fmt.Sprintf("l%d", w.r.IntN(1000)), Fleet: w.fleet(), Hold: w.r.IntN(5) == 0})
		w.dedup()
	case len(w.Lines) == 0:
	case n == 4:
		i := w.r.IntN(len(w.Lines))
		w.Lines = append(w.Lines[:i], w.Lines[i+1:]...)
	case n == 5:
		w.Lines[w.r.IntN(len(w.Lines))].Fleet = w.fleet()
	case n == 6 && len(w.Agents) > 0:
		w.Agents[w.r.IntN(len(w.Agents))].Leaving = w.r.IntN(2) == 0
	case n == 7 && len(w.Agents) > 0:
		i := w.r.IntN(len(w.Agents))
		w.Agents = append(w.Agents[:i], w.Agents[i+1:]...)
	case n == 8:
		w.Capacity["f"] = 1 + w.r.IntN(4)
	default:
		w.Lines[w.r.IntN(len(w.Lines))].Hold = w.r.IntN(2) == 0
	}
}

func (w *world) fleet() string { return []string{"f", "f", "g"}[w.r.IntN(3)] }

func (w *world) dedup() {
	last := w.Lines[len(w.Lines)-1]
	for _, l := range w.Lines[:len(w.Lines)-1] {
		if l.Name == last.Name {
			w.Lines = w.Lines[:len(w.Lines)-1]
			return
		}
	}
}

// apply makes the result the world, removing empty agents, and lets some agents do their work.
func (w *world) apply(result []agent, all bool) {
	w.Agents = nil
	for _, a := range result {
		if len(a.Bindings) > 0 {
			w.Agents = append(w.Agents, a)
		}
	}
	w.Registered, w.Drained = map[at]bool{}, map[at]bool{}
	for _, a := range w.Agents {
		for _, b := range a.Bindings {
			if all || w.r.IntN(2) == 0 {
				w.Registered[at{a.Name, b.Line}] = !b.Draining
				w.Drained[at{a.Name, b.Line}] = b.Draining
			}
		}
	}
}

// check holds one result against what must always be true.
func (w *world) check(t *testing.T, before placement.Snapshot, result []agent) {
	t.Helper()
	active, slots, had := map[string]int{}, map[string]map[int]bool{}, map[string]int{}
	for _, a := range before.Agents {
		had[a.Name] = len(a.Bindings)
	}
	for _, a := range result {
		if len(a.Bindings) > max(w.Capacity[a.Fleet], had[a.Name]) {
			t.Fatalf("agent %s of fleet %s holds %d lines, capacity %d", a.Name, a.Fleet, len(a.Bindings), w.Capacity[a.Fleet])
		}
		for _, b := range a.Bindings {
			if slots[b.Line] == nil {
				slots[b.Line] = map[int]bool{}
			}
			if slots[b.Line][b.Slot] || b.Slot < 1 || b.Slot > 2 {
				t.Fatalf("line %s: slot %d twice, or no slot: %+v", b.Line, b.Slot, result)
			}
			slots[b.Line][b.Slot] = true
			if !b.Draining {
				active[b.Line]++
			}
		}
	}
	for _, l := range w.Lines {
		if active[l.Name] == 0 && !l.Hold {
			t.Fatalf("line %s is active nowhere: %+v", l.Name, result)
		}
		delete(slots, l.Name)
	}
	if len(slots) > 0 {
		t.Fatalf("lines nobody asked for: %v", slots)
	}
}

func TestEveryLineIsPlacedWhateverHappens(t *testing.T) {
	for seed := range uint64(300) {
		w := newWorld(seed)
		for range 60 {
			w.happen()
			before := w.Snapshot
			result := placement.Compute(w.Snapshot)
			w.check(t, before, result)
			if again := placement.Compute(w.Snapshot); !reflect.DeepEqual(again, result) {
				t.Fatalf("seed %d: two answers to one question", seed)
			}
			w.apply(result, false)
		}
	}
}

func TestQuietWorldsComeToRest(t *testing.T) {
	for seed := range uint64(300) {
		w := newWorld(seed)
		for range 40 {
			w.happen()
			w.apply(placement.Compute(w.Snapshot), false)
		}
		for i := range w.Agents {
			w.Agents[i].Leaving = false
		}
		w.apply(placement.Compute(w.Snapshot), true) // from here on every agent does its work
		rest := 0
		for ; rest < 20; rest++ {
			before := fmt.Sprintf("%+v", w.Agents)
			w.apply(placement.Compute(w.Snapshot), true)
			if before == fmt.Sprintf("%+v", w.Agents) {
				break
			}
		}
		if rest == 20 {
			t.Fatalf("seed %d: still moving after 20 rounds: %+v", seed, w.Agents)
		}
		for _, a := range w.Agents {
			if len(a.Bindings) > w.Capacity[a.Fleet] {
				t.Fatalf("seed %d: agent %s rests above its capacity", seed, a.Name)
			}
			for _, b := range a.Bindings {
				if b.Draining {
					t.Fatalf("seed %d: line %s rests draining", seed, b.Line)
				}
			}
		}
	}
}

func TestOneMoreLineMovesNoOther(t *testing.T) {
	for seed := range uint64(200) {
		w := newWorld(seed)
		for i := range 30 {
			w.Lines = append(w.Lines, line{Name: fmt.Sprintf("l%02d", w.r.IntN(90)*100+i), Fleet: w.fleet()})
		}
		for range 4 {
			w.apply(placement.Compute(w.Snapshot), true)
		}
		homes := func() map[at]int {
			out := map[at]int{}
			for _, a := range w.Agents {
				for _, b := range a.Bindings {
					out[at{a.Name, b.Line}] = b.Slot
				}
			}
			return out
		}
		before := homes()
		if seed%2 == 0 {
			w.Lines = append(w.Lines, line{Name: "newcomer", Fleet: "f"})
		} else {
			delete(before, func() at {
				for k := range before {
					if k.Line == w.Lines[0].Name {
						return k
					}
				}
				return at{}
			}())
			w.Lines = w.Lines[1:]
		}
		w.apply(placement.Compute(w.Snapshot), true)
		after := homes()
		for k, slot := range before {
			if after[k] != slot {
				t.Fatalf("seed %d: %v moved or flipped although nothing asked for it", seed, k)
			}
		}
	}
}
