package account

import "slices"

// migrations says what the deprecated incoming-call nodes become. The first one
// that applies decides.
var migrations = []struct{ node, value, icm string }{
	{"incomingUseGlobalSettings", "1", "auto"},
	{"incomingDisabled", "1", "off"},
	{"pushMethod", "tunnel", "push"},
	{"keepAwake", "1", "keepAwake"},
	{"registerWhenIncomingOff", "1", "off"},
}

// migrate turns the deprecated nodes of one layer into icm, with the priority and
// source of the node that decided. An explicit icm in the layer beats them all.
func migrate(nodes []Node) []Node {
	var deprecated map[string]*Node
	for i := range nodes {
		if isDeprecated(nodes[i].Name) {
			if deprecated == nil {
				deprecated = map[string]*Node{}
			}
			deprecated[nodes[i].Name] = &nodes[i]
		}
	}
	if len(deprecated) == 0 {
		return nodes // the caller's: not to be changed
	}
	out := slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return deprecated[n.Name] != nil })
	if contains(out, "icm") {
		return out
	}
	set := func(name string) bool {
		n := deprecated[name]
		return n != nil && canonicalText(rowOf(name), n.Value()) == "1"
	}
	for _, m := range migrations {
		from := deprecated[m.node]
		if from == nil || canonicalText(rowOf(m.node), from.Value()) != m.value {
			continue
		}
		out = append(out, from.become("icm", m.icm))
		if m.icm == "off" && set("registerWhenIncomingOff") && !contains(out, "requiresRegistrationForOutgoingCalls") {
			out = append(out, deprecated["registerWhenIncomingOff"].become("requiresRegistrationForOutgoingCalls", "1"))
		}
		break
	}
	return out
}

// isDeprecated is Row.Deprecated by name, without a look into the table.
func isDeprecated(name string) bool {
	for _, m := range migrations {
		if m.node == name {
			return true
		}
	}
	return false
}

func contains(nodes []Node, name string) bool {
	return slices.ContainsFunc(nodes, func(n Node) bool { return n.Name == name })
}

// become is a node of another name that keeps where this one comes from.
func (n *Node) become(name, text string) Node {
	to := *n
	to.Name, to.Text, to.MigratedFrom = name, text, n.Name
	to.Children, to.Operation, to.Shadows = nil, "", nil
	return to
}
