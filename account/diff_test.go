package account

import (
	"fmt"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	base := `<title>T</title><username>u</username><password>old</password><host>h</host>`
	tests := map[string]struct {
		from, to string
		want     []string
		effect   Effect
	}{
		"nothing changed":                     {base, base, nil, Nothing},
		"a priority or a source is no change": {`<icm>push</icm>`, `<icm priority="7" source="x">push</icm>`, nil, Nothing},
		"another spelling of the same value is no change": {
			`<transport>UDP</transport><keepAlive>true</keepAlive><codecOrder>0, 8</codecOrder><natTraversal>stun</natTraversal>`,
			`<natTraversal>stunOnly</natTraversal><codecOrder>0,8</codecOrder><transport>udp</transport><keepAlive>1</keepAlive>`, nil, Nothing},
		"the flat and the wrapped form of a rule are the same": {
			`<rewriting><rule><condition type="numeric"/><action type="drop"/></rule></rewriting>`,
			`<rewriting><rule><conditions><condition type="numeric"/></conditions><actions><action type="drop"/></actions></rule></rewriting>`, nil, Nothing},
		"a default that is spelled out has no effect": {``, `<expires>600</expires>`,
			[]string{`expires "" -> "600" added: nothing`}, Nothing},
		"an unusable value has the effect of the default": {`<expires>600</expires>`, `<expires>soon</expires>`,
			[]string{`expires "600" -> "soon": nothing`}, Nothing},
		"a title is only shown": {`<title>a</title>`, `<title>b</title>`,
			[]string{`title "a" -> "b": nothing`}, Nothing},
		"a codec order counts from the next call on": {``, `<codecOrder>8</codecOrder>`,
			[]string{`codecOrder "" -> "8" added: live`}, Live},
		"a new password registers anew and is not shown": {base, strings.Replace(base, "old", "new", 1),
			[]string{`password "********" -> "********": re-register`}, Reregister},
		"a password that goes": {`<password>old</password>`, ``,
			[]string{`password "********" -> "" removed: re-register`}, Reregister},
		"another transport opens sockets anew": {``, `<transport>tcp</transport>`,
			[]string{`transport "" -> "tcp" added: restart`}, Restart},
		"the strongest of several": {`<title>a</title><keepAlive>1</keepAlive>`, `<title>b</title><host>h</host>`,
			[]string{`title "a" -> "b": nothing`, `host "" -> "h" added: re-register`, `keepAlive "1" -> "" removed: live`}, Reregister},
		"subtrees are compared whole": {
			`<headers><header method="*" name="A" value="1"/></headers>`, `<headers><header value="2" name="A" method="*"/></headers>`,
			[]string{`headers "<header method=\"*\" name=\"A\" value=\"1\"/>" -> "<header method=\"*\" name=\"A\" value=\"2\"/>": re-register`}, Reregister},
		"the order of attributes is no change": {
			`<headers><header method="*" name="A" value="1"/></headers>`, `<headers><header value="1" name="A" method="*"/></headers>`, nil, Nothing},
		"an empty subtree is like none": {``, `<headers/>`,
			[]string{`headers "" -> "" added: nothing`}, Nothing},
		"unknown nodes have no effect": {`<acme>1</acme>`, `<acme>2</acme><other/>`,
			[]string{`acme "1" -> "2": nothing`, `other "" -> "" added: nothing`}, Nothing},
		"unknown attributes are part of the value": {`<acme a="1">1</acme>`, `<acme a="2">1</acme>`,
			[]string{`acme "1" -> "1": nothing`}, Nothing},
		"deprecated nodes are compared as what they become": {`<icm>off</icm>`, `<incomingDisabled>1</incomingDisabled>`, nil, Nothing},
		"localised text counts by what is in force": {`<host>h</host>`, `<host><value lang="de">g</value></host>`,
			[]string{`host "h" -> "<value lang=\"de\">g</value>": re-register`}, Reregister},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			changes := Diff(doc(t, tt.from), doc(t, tt.to))
			var got []string
			for _, c := range changes {
				note := ""
				if c.Added {
					note = " added"
				} else if c.Removed {
					note = " removed"
				}
				got = append(got, fmt.Sprintf("%s %q -> %q%s: %s", c.Node, c.Old, c.New, note, c.Effect))
			}
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("changes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if e := MaxEffect(changes); e != tt.effect {
				t.Errorf("effect %s, want %s", e, tt.effect)
			}
		})
	}
}

// TestEveryChangeHasItsRowsEffect: setting a node that was not set has the effect of its row.
func TestEveryChangeHasItsRowsEffect(t *testing.T) {
	for _, row := range Schema() {
		if row.Deprecated() {
			continue
		}
		changes := Diff(&Document{}, doc(t, sampleNode(&row)))
		if len(changes) != 1 || changes[0].Effect != row.Effect || changes[0].Node != row.Name {
			t.Errorf("%s: %+v, want %s", row.Name, changes, row.Effect)
		}
		if back := Diff(doc(t, sampleNode(&row)), nil); len(back) != 1 || !back[0].Removed || back[0].Effect != row.Effect {
			t.Errorf("%s removed: %+v", row.Name, back)
		}
	}
}

func TestEffectsAreOrdered(t *testing.T) {
	if !(Nothing < Live && Live < Reregister && Reregister < Restart) || MaxEffect(nil) != Nothing {
		t.Error("the order of effects is what MaxEffect counts on")
	}
}
