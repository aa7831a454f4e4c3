package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestFlags(t *testing.T) {
	env := func(name string) string {
		return map[string]string{"AGENT_IMAGE": "agent:env", "POD_NAMESPACE": "softphone-system"}[name]
	}
	none := func(string) string { return "" }
	for name, c := range map[string]struct {
		args   []string
		getenv func(string) string
		check  func(settings) bool
		err    string
	}{
		"the environment is enough": {nil, env, func(s settings) bool {
			return s.agentImage == "agent:env" && s.leaderNamespace == "softphone-system" && !s.leaderElect
		}, ""},
		"a flag goes before it":           {[]string{"--agent-image", "agent:flag"}, env, func(s settings) bool { return s.agentImage == "agent:flag" }, ""},
		"namespaces are a list":           {[]string{"--namespaces", "a, b,"}, env, func(s settings) bool { return slices.Equal(s.namespaces, []string{"a", "b"}) }, ""},
		"no image is refused":             {nil, none, nil, "say which image agents run"},
		"a stray word is refused":         {[]string{"now"}, env, nil, `unexpected argument "now"`},
		"an unknown log level is refused": {[]string{"--log-level", "loud"}, env, nil, "log-level"},
	} {
		s, err := parse(c.args, c.getenv, io.Discard)
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%s: got %v, want %q", name, err, c.err)
		case c.err == "" && (err != nil || !c.check(s)):
			t.Errorf("%s: got %+v, %v", name, s, err)
		}
	}
}
