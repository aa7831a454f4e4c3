// Package placement decides which agent runs which line, and in which slot.
//
// It is one pure function over a snapshot. It keeps every line that may stay
// where it is, moves make-before-break (a line is active on its new agent, in
// the other slot, and registered there before the old one is told to drain), and
// never asks an agent to hold more lines than its fleet allows.
package placement

import (
	"cmp"
	"fmt"
	"slices"
)

// Line is an account as far as placement is concerned.
type Line struct {
	Name  string
	Fleet string
	// Hold keeps the line where it is, but places it nowhere anew.
	Hold bool
	// LastSlot the line had, 0 = never placed.
	LastSlot int
}

// Binding is a line on an agent.
type Binding struct {
	Line     string
	Slot     int // 1 or 2
	Draining bool
}

// Agent is an agent and the lines bound to it.
type Agent struct {
	Name     string
	Fleet    string
	Bindings []Binding
	// Leaving agents are to be emptied.
	Leaving bool
}

// At is a line on an agent.
type At struct{ Agent, Line string }

// Snapshot is everything the decision looks at.
type Snapshot struct {
	Lines  []Line
	Agents []Agent
	// Capacity is the most lines an agent of each fleet runs.
	Capacity map[string]int
	// Registered tells where a line is reported registered, or else as it shall be.
	Registered map[At]bool
	// Drained tells where nothing is left of a draining line.
	Drained map[At]bool
	// Reserved are names no new agent may get.
	Reserved map[string]bool
}

// Compute gives the bindings wanted: the agents of the snapshot with their
// bindings changed, and new ones behind them. An agent without bindings has
// nothing to do any more. The order is by fleet and name; bindings by line.
func Compute(s Snapshot) []Agent {
	c := newComputation(s)
	for _, l := range c.lines {
		c.settle(l)
	}
	for _, l := range c.lines {
		c.place(l)
	}
	return c.result()
}

type computation struct {
	Snapshot
	lines  []Line
	byName map[string]Line
	agents []*Agent
	// surplus are lines that an agent holds above its capacity.
	surplus map[At]bool
}

func newComputation(s Snapshot) *computation {
	c := &computation{Snapshot: s, byName: map[string]Line{}, surplus: map[At]bool{}}
	c.lines = slices.SortedFunc(slices.Values(s.Lines), func(a, b Line) int { return cmp.Compare(a.Name, b.Name) })
	for _, l := range c.lines {
		c.byName[l.Name] = l
	}
	for _, a := range s.Agents {
		agent := a
		agent.Bindings = slices.DeleteFunc(slices.Clone(a.Bindings), func(b Binding) bool { _, wanted := c.byName[b.Line]; return !wanted })
		slices.SortFunc(agent.Bindings, func(a, b Binding) int { return cmp.Compare(a.Line, b.Line) })
		c.agents = append(c.agents, &agent)
	}
	slices.SortFunc(c.agents, func(a, b *Agent) int { return cmp.Or(cmp.Compare(a.Fleet, b.Fleet), cmp.Compare(a.Name, b.Name)) })
	for _, a := range c.agents {
		c.markSurplus(a)
	}
	return c
}

// markSurplus chooses the lines an agent over its capacity gives away: those
// already on their way first, then the last by name.
func (c *computation) markSurplus(a *Agent) {
	over := len(a.Bindings) - c.capacity(a.Fleet)
	if over <= 0 {
		return
	}
	order := slices.Clone(a.Bindings)
	slices.SortStableFunc(order, func(x, y Binding) int {
		if mx, my := c.moving(x.Line), c.moving(y.Line); mx != my {
			return map[bool]int{true: -1, false: 1}[mx]
		}
		return cmp.Compare(y.Line, x.Line)
	})
	for _, b := range order[:over] {
		c.surplus[At{a.Name, b.Line}] = true
	}
}

func (c *computation) capacity(fleet string) int {
	if n := c.Capacity[fleet]; n > 0 {
		return n
	}
	return 1
}

func (c *computation) moving(line string) bool { return len(c.holders(line)) > 1 }

// holders are the agents that have a binding of the line.
func (c *computation) holders(line string) []*Agent {
	var out []*Agent
	for _, a := range c.agents {
		if a.binding(line) != nil {
			out = append(out, a)
		}
	}
	return out
}

func (a *Agent) binding(line string) *Binding {
	i, found := slices.BinarySearchFunc(a.Bindings, line, func(b Binding, name string) int { return cmp.Compare(b.Line, name) })
	if !found {
		return nil
	}
	return &a.Bindings[i]
}

func (a *Agent) drop(line string) {
	a.Bindings = slices.DeleteFunc(a.Bindings, func(b Binding) bool { return b.Line == line })
}

func (a *Agent) add(b Binding) {
	i, _ := slices.BinarySearchFunc(a.Bindings, b.Line, func(b Binding, name string) int { return cmp.Compare(b.Line, name) })
	a.Bindings = slices.Insert(a.Bindings, i, b)
}

// good tells whether the line may stay on the agent.
func (c *computation) good(l Line, a *Agent) bool {
	return a.Fleet == l.Fleet && !a.Leaving && !c.surplus[At{a.Name, l.Name}]
}

// settle ends what a move has left behind: drained bindings go, and when the
// line is registered at its target, every other binding drains.
func (c *computation) settle(l Line) {
	var active []*Agent
	for _, a := range c.holders(l.Name) {
		b := a.binding(l.Name)
		switch {
		case b.Draining && c.Drained[At{a.Name, l.Name}]:
			a.drop(l.Name)
		case !b.Draining:
			active = append(active, a)
		}
	}
	if len(active) < 2 {
		return
	}
	target := c.target(l, active)
	for _, a := range active {
		switch {
		case a == target:
		case a.binding(l.Name).Slot == target.binding(l.Name).Slot:
			a.drop(l.Name) // never two in one slot: the registrar could not tell them apart
		case c.Registered[At{target.Name, l.Name}]:
			a.binding(l.Name).Draining = true
		}
	}
}

// target is where a line that is active on several agents shall end: where it
// may stay, and rather where it is registered already.
func (c *computation) target(l Line, active []*Agent) *Agent {
	return slices.MaxFunc(active, func(x, y *Agent) int {
		return cmp.Or(
			compareBool(c.good(l, x), c.good(l, y)),
			compareBool(c.Registered[At{x.Name, l.Name}], c.Registered[At{y.Name, l.Name}]),
		)
	})
}

func compareBool(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return 1
	}
	return -1
}

// place gives the line an active binding when it has none, or a second one when
// it must leave the one it has.
func (c *computation) place(l Line) {
	holders := c.holders(l.Name)
	used := map[int]bool{}
	var active *Agent
	for _, a := range holders {
		b := a.binding(l.Name)
		used[b.Slot] = true
		if !b.Draining {
			if active != nil {
				return // a move is on its way
			}
			active = a
		}
	}
	if active != nil && c.good(l, active) {
		return
	}
	if len(holders) == 0 && l.Hold || len(used) > 1 {
		return // nothing runs that must go on; or both slots are taken until one has drained
	}
	target := c.room(l, holders)
	target.add(Binding{Line: l.Name, Slot: nextSlot(used, l.LastSlot)})
}

// nextSlot is the slot that is not in use, or was not the last.
func nextSlot(used map[int]bool, last int) int {
	switch {
	case used[1], len(used) == 0 && last == 1:
		return 2
	default:
		return 1
	}
}

// room is the fullest agent of the line's fleet that has room: so the others can
// become empty. Without one there is a new agent.
func (c *computation) room(l Line, not []*Agent) *Agent {
	var best *Agent
	for _, a := range c.agents {
		if a.Fleet != l.Fleet || a.Leaving || len(a.Bindings) >= c.capacity(a.Fleet) || slices.Contains(not, a) {
			continue
		}
		if best == nil || len(a.Bindings) > len(best.Bindings) {
			best = a
		}
	}
	if best == nil {
		best = &Agent{Name: c.freeName(l.Fleet), Fleet: l.Fleet}
		c.agents = append(c.agents, best)
	}
	return best
}

func (c *computation) freeName(fleet string) string {
	for i := 0; ; i++ {
		name := fmt.Sprintf("%s-%d", fleet, i)
		if !c.Reserved[name] && !slices.ContainsFunc(c.agents, func(a *Agent) bool { return a.Name == name }) {
			return name
		}
	}
}

func (c *computation) result() []Agent {
	out := make([]Agent, len(c.agents))
	for i, a := range c.agents {
		out[i] = *a
	}
	return out
}
