package account

import (
	"slices"
	"strings"
)

// Conditions and actions of number-rewriting rules.
var (
	ruleConditions = []string{"startsWith", "doesntStartWith", "equals", "lengthEquals", "shorterThan",
		"longerThan", "networkType", "ssid", "contains", "numeric"}
	ruleActions = []string{"replace", "prepend", "append", "continue", "recordCall", "dialOut", "confirm", "drop",
		"callThrough", "overrideDialAction", "setHeader", "rejectCall", "forwardCall", "answerImmediately"}
	incomingOnly = []string{"rejectCall", "forwardCall", "answerImmediately"}
	networkTypes = []string{"wifi", "cellular", "any", "none"}
	dialActions  = []string{"autoCall", "voiceCall", "videoCall", "gsmCall", "webCallback", "callThrough", "text",
		"openUrl", "options", "customOptions", "forceOffnetCall"}
)

// RuleConditions lists the conditions of rewriting rules.
func RuleConditions() []string { return slices.Clone(ruleConditions) }

// RuleActions lists the actions of rewriting rules.
func RuleActions() []string { return slices.Clone(ruleActions) }

// KnownAction tells whether an action of a rewriting rule means something.
func KnownAction(name string) bool { return slices.Contains(ruleActions, name) }

// DialActions lists what a number can be dialled as.
func DialActions() []string { return slices.Clone(dialActions) }

// MatchesPart tells whether a condition says which part of a number it matched: what
// the action replace replaces.
func MatchesPart(c Clause) bool {
	return c.Type == "startsWith" || c.Type == "equals" || c.Type == "contains"
}

// decodeRules reads both forms of a rule: wrapped in conditions and actions, or flat.
func decodeRules(children []Element) []Rule {
	var out []Rule
	for i := range children {
		if e := &children[i]; e.Name == "rule" {
			out = append(out, Rule{Conditions: clauses(e, "condition"), Actions: clauses(e, "action")})
		}
	}
	return out
}

// clauses are the conditions or actions of a rule, in the document's order.
func clauses(rule *Element, name string) []Clause {
	var out []Clause
	for i := range rule.Children {
		switch e := &rule.Children[i]; e.Name {
		case name:
			out = append(out, Clause{Type: e.attr("type"), Param: e.attr("param")})
		case name + "s":
			out = append(out, clauses(e, name)...)
		}
	}
	return out
}

// SetRewriting sets a node of rules: rewriting or incomingRewriting.
func (d *Document) SetRewriting(node string, rules []Rule, priority int, source string) {
	var children []Element
	for _, r := range rules {
		children = append(children, Element{Name: "rule", Children: []Element{
			{Name: "conditions", Children: clauseElements("condition", r.Conditions)},
			{Name: "actions", Children: clauseElements("action", r.Actions)},
		}})
	}
	d.SetChildren(node, children, priority, source)
}

func clauseElements(name string, list []Clause) []Element {
	var out []Element
	for _, c := range list {
		e := attrElement(name, "type", c.Type)
		if c.Param != "" {
			e.Attrs = append(e.Attrs, Attr{"param", c.Param})
		}
		out = append(out, e)
	}
	return out
}

// canonicalRule wraps the conditions and actions that stand directly under a rule, and
// writes both wrappers. A rule that holds more than rules do is left as it is.
func canonicalRule(rule Element) Element {
	if rule.Name != "rule" || rule.hasText() {
		return rule
	}
	conditions, actions := Element{Name: "conditions"}, Element{Name: "actions"}
	var others []Element
	for _, e := range rule.Children {
		switch e.Name {
		case "condition":
			conditions.Children = append(conditions.Children, e)
		case "action":
			actions.Children = append(actions.Children, e)
		case "conditions", "actions":
			if e.hasText() || len(e.Attrs) > 0 {
				return rule
			}
			into := &conditions
			if e.Name == "actions" {
				into = &actions
			}
			into.Children = append(into.Children, e.Children...)
		default:
			others = append(others, e)
		}
	}
	rule.Children = append([]Element{conditions, actions}, others...)
	return rule
}

func judgeRewriting(n *Node) []remark {
	out := strangers(n.Children, "rule")
	for _, e := range n.Children {
		if e.Name == "rule" {
			out = append(out, strangers(e.Children, "conditions", "condition", "actions", "action")...)
		}
	}
	for i, r := range decodeRules(n.Children) {
		var found []remark
		for _, c := range r.Conditions {
			found = append(found, judgeCondition(c))
		}
		for _, a := range r.Actions {
			found = append(found, judgeAction(a, r, n.Name == "incomingRewriting"))
		}
		for _, f := range found {
			if f.verdict != fine {
				out = append(out, remarkf(f.verdict, "rule %d: %s", i+1, f.message))
			}
		}
	}
	return out
}

func judgeCondition(c Clause) remark {
	if !slices.Contains(ruleConditions, c.Type) {
		return remarkf(sloppy, "condition %s is unknown; the rule never matches", quote(c.Type))
	}
	switch c.Type {
	case "lengthEquals", "shorterThan", "longerThan":
		if v, ok := parseInt(c.Param); !ok || v < 0 {
			return remarkf(wrong, "condition %s: %s is not a length", c.Type, quote(c.Param))
		}
	case "networkType":
		if !slices.Contains(networkTypes, c.Param) {
			return remarkf(wrong, "condition networkType: %s is not one of %s", quote(c.Param), strings.Join(networkTypes, ", "))
		}
	}
	return remark{}
}

func judgeAction(a Clause, r Rule, incoming bool) remark {
	if !slices.Contains(ruleActions, a.Type) {
		return remarkf(sloppy, "action %s is unknown; the rule never matches", quote(a.Type))
	}
	if slices.Contains(incomingOnly, a.Type) && !incoming {
		return remarkf(odd, "action %s acts on incoming calls only", a.Type)
	}
	switch a.Type {
	case "replace":
		if !slices.ContainsFunc(r.Conditions, MatchesPart) {
			return remark{wrong, "action replace needs a condition startsWith, equals or contains to replace what it matched"}
		}
	case "overrideDialAction":
		if !slices.Contains(dialActions, a.Param) {
			return remarkf(wrong, "action overrideDialAction: %s is not a dial action", quote(a.Param))
		}
	case "forwardCall", "dialOut":
		if a.Param == "" {
			return remarkf(wrong, "action %s needs a param", a.Type)
		}
	case "setHeader":
		name, value, _ := strings.Cut(a.Param, ":")
		if reason := badHeader(strings.TrimSpace(name), value); reason != "" {
			return remarkf(wrong, "action setHeader: %s", reason)
		}
	}
	return remark{}
}
