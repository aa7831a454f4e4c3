package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestFlags(t *testing.T) {
	o, _, err := parse([]string{
		"--accounts", "/etc/softphone/lines", "--listen", ":8080", "--report", ":8443", "--control", "127.0.0.1:8081",
		"--state", "/var/lib/softphone", "--name", "default-0", "--network", "cellular", "--sip", "10.0.0.1:5070", "--control-token-file", "/t",
		"--prompts", "/prompts", "--resolver", "192.0.2.53:53", "--resolver", "[2001:db8::53]:5353",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.Accounts != "/etc/softphone/lines" || o.Listen != ":8080" || o.Report != ":8443" || o.Control != "127.0.0.1:8081" || o.State != "/var/lib/softphone" ||
		o.Name != "default-0" || o.Network != delivery.Cellular || o.SIP.String() != "10.0.0.1:5070" || o.ControlTokenFile != "/t" || o.Prompts != "/prompts" || o.Log == nil ||
		fmt.Sprint(o.Resolvers) != "[192.0.2.53:53 [2001:db8::53]:5353]" {
		t.Errorf("%+v", o)
	}
}

func TestMistakesOnTheCommandLine(t *testing.T) {
	for says, c := range map[string]struct{ args, want string }{
		"an unknown flag":         {"--nonsense", "nonsense"},
		"a word too many":         {"--accounts x lines", `"lines"`},
		"an address that is none": {"--sip nowhere", "--sip"},
		"a resolver that is none": {"--resolver ns.test", "-resolver"},
		"a level that is none":    {"--log-level loud", "debug, info, warn"},
		"a format that is none":   {"--log-format xml", "text, json"},
		"no accounts":             {"", "--accounts"},
	} {
		if err := run(strings.Fields(c.args), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something with %q", says, err, c.want)
		}
	}
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"--version"}, &out, io.Discard); err != nil || strings.TrimSpace(out.String()) != version {
		t.Errorf("%q %v", out.String(), err)
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"--help"}, io.Discard, &out); err != nil || !strings.Contains(out.String(), "-accounts") {
		t.Errorf("%q %v", out.String(), err)
	}
}
