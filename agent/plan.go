package agent

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/provisioning"
	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// action is what a line has to do about a new snapshot. The order counts: the
// strongest reason decides.
type action int

const (
	nothing    action = iota // the line does not notice
	live                     // from the next request, call or packet on
	reregister               // the binding is made anew, or taken away
	restart                  // another identity or socket: old one retires, new one starts
	add                      // a line that was not there
	remove                   // a line that is no longer there
)

// String is the word logs use.
func (a action) String() string {
	return [...]string{"nothing", "live", "re-register", "restart", "add", "remove"}[a]
}

// target is what one line shall be: its account and what of the agent's settings concerns it.
type target struct {
	provisioning.Line
	settings *settings // of all lines of a snapshot
}

// settings are the agent-wide settings of a line.
type settings struct {
	network         delivery.Network
	incomingMode    string
	noAnswerSeconds int
	drainSeconds    int
	caps            delivery.Caps
	destinations    delivery.Destinations
	transfers       delivery.Transfers
}

func settingsOf(a delivery.Agent) *settings {
	return &settings{
		network: a.Network, incomingMode: a.IncomingCallMode,
		noAnswerSeconds: a.NoAnswerSeconds, drainSeconds: a.DrainSeconds, caps: a.Caps, destinations: a.Destinations, transfers: a.Transfers,
	}
}

// targets of a snapshot, by name.
func targets(s provisioning.Snapshot) map[string]*target {
	of := settingsOf(s.Agent)
	all := make(map[string]*target, len(s.Lines))
	for _, l := range s.Lines {
		all[l.Name] = &target{Line: l, settings: of}
	}
	return all
}

// lineChange is one line's part of a plan.
type lineChange struct {
	name   string
	action action
	why    []string // nodes and settings that differ
	to     *target  // nil for remove
}

// plan works out what every line has to do, before any of them is touched.
// Lines that differ in nothing but their hashes are in it, too: they report
// what they run.
func plan(old, new map[string]*target) []lineChange {
	var changes []lineChange
	for name := range old {
		if new[name] == nil {
			changes = append(changes, lineChange{name: name, action: remove})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(new)) {
		from, to := old[name], new[name]
		act, why := compare(from, to)
		if act != nothing || from.ConfigHash != to.ConfigHash || from.EffectiveHash != to.EffectiveHash {
			changes = append(changes, lineChange{name: name, action: act, why: why, to: to})
		}
	}
	slices.SortStableFunc(changes, func(a, b lineChange) int { return cmp.Compare(a.name, b.name) })
	return changes
}

// compare tells what turns a line from one target into another.
func compare(from, to *target) (action, []string) {
	if from == nil {
		return add, nil
	}
	act, why := nothing, []string(nil)
	differs := func(is bool, what string, effect action) {
		if is {
			act, why = max(act, effect), append(why, what)
		}
	}
	if from.ConfigHash != to.ConfigHash {
		for _, c := range account.Diff(from.Document(), to.Document()) {
			differs(true, c.Node, effectOf(c.Effect))
		}
	}
	a, b := from.Row, to.Row
	differs(a.Slot != b.Slot, "slot", restart)
	differs(a.Instance != b.Instance, "instance", restart)
	differs(a.State != b.State, "state", reregister)
	differs(a.Suspended != b.Suspended, "suspended", reregister)
	differs(a.Trunk != b.Trunk, "trunk", restart)
	differs(a.Flow != b.Flow, "flow", live)
	differs(a.Play != b.Play, "play", live)
	differs(a.Record != b.Record, "record", live)
	s, t := from.settings, to.settings
	differs(s.incomingMode != t.incomingMode, "incomingCallMode", reregister)
	differs((s.network.Type == delivery.NoNetwork) != (t.network.Type == delivery.NoNetwork), "network", reregister)
	differs(s.network != t.network, "network", live)
	differs(s.noAnswerSeconds != t.noAnswerSeconds, "noAnswerSeconds", live)
	differs(s.drainSeconds != t.drainSeconds, "drainSeconds", live)
	differs(s.caps != t.caps, "caps", live)
	differs(trustOf(from) != trustOf(to) && linkOf(to.Account).Transport == ua.TLS, "certificates", reregister)
	differs(!reflect.DeepEqual(s.destinations, t.destinations), "destinations", live)
	differs(s.transfers != t.transfers, "transfers", live)
	return act, slices.Compact(why)
}

// effectOf is the schema's effect of a node as an action.
func effectOf(e account.Effect) action {
	switch e {
	case account.Nothing:
		return nothing
	case account.Live:
		return live
	case account.Reregister:
		return reregister
	}
	return restart
}
