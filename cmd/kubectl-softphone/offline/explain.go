package offline

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/account/rewrite"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/delivery"
)

type explaining struct {
	objects               objectFlags
	number, from, at      string
	network, ssid         string
	showSecrets, defaults bool
	output                string
}

func explainCommand() *cobra.Command {
	var e explaining
	cmd := &cobra.Command{
		Use:   "explain -f FILE.yaml... --account NAME",
		Short: "Say what an account comes to: its values and their origin, its server, what happens to a call",
		Long: `Say what a SoftphoneAccount comes to: each value with its source, priority and what it won over; the server its
requests go to; its codecs. With --number also what number rewriting makes of a number that is dialled. With --from
(and --at) what happens to an incoming call of that caller at that time: do-not-disturb, then incoming rewriting.

The network comes from --network and --ssid, else from the account's fleet among the files, else it is wifi.
Secrets are shown as asterisks unless --show-secrets is given.
Exit status: 0, or 1 when the account cannot be rendered.`,
		Example: `  kubectl softphone explain -f alice.yaml --account alice
  kubectl softphone explain -f alice.yaml --account alice --number 0049301234 --network cellular
  kubectl softphone explain -f alice.yaml --account alice --from +12223334455 --at 2026-11-23T08:30:00+01:00 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.run(cmd) },
	}
	e.objects.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&e.number, "number", "", "a number that is dialled")
	flags.StringVar(&e.from, "from", "", "the caller of an incoming call: a number or a SIP URI")
	flags.StringVar(&e.at, "at", "", "when the call comes in, as 2026-11-23T08:30:00+01:00; now without it")
	flags.StringVar(&e.network, "network", "", "wifi, cellular or none")
	flags.StringVar(&e.ssid, "ssid", "", "name of the Wi-Fi network")
	flags.BoolVar(&e.defaults, "defaults", false, "list the nodes that nobody sets, with their defaults, too")
	flags.BoolVar(&e.showSecrets, "show-secrets", false, "show passwords and other secrets")
	outputFlag(cmd, &e.output)
	_ = cmd.RegisterFlagCompletionFunc("network", cobra.FixedCompletions([]string{"wifi", "cellular", "none"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// explanation is the output of explain -o json.
type explanation struct {
	Account  string        `json:"account"`
	Network  networkJSON   `json:"network"`
	Nodes    []nodeJSON    `json:"nodes"`
	Server   serverJSON    `json:"server"`
	Sipis    sipisJSON     `json:"sipis"`
	Codecs   codecsJSON    `json:"codecs"`
	Number   *numberJSON   `json:"number,omitempty"`
	DND      *dndJSON      `json:"dnd,omitempty"`
	Incoming *incomingJSON `json:"incoming,omitempty"`
}

type networkJSON struct {
	Type string `json:"type"`
	SSID string `json:"ssid,omitempty"`
}

type serverJSON struct {
	Host      string `json:"host"`
	Port      int    `json:"port"`
	Transport string `json:"transport"`
	// Lookup tells that no port is written, so that SRV records come first (RFC 3263 §4.2).
	Lookup bool `json:"lookup"`
}

type sipisJSON struct {
	Host string `json:"host"`
}

type codecsJSON struct {
	Audio []string `json:"audio"`
	Video []string `json:"video"`
}

type numberJSON struct {
	Input      string           `json:"input"`
	Output     string           `json:"output"`
	Rules      []rewrite.Step   `json:"rules"`
	Headers    []rewrite.Header `json:"headers"`
	DialOut    string           `json:"dialOut"`
	DialAction string           `json:"dialAction"`
	Record     bool             `json:"record"`
	Dropped    bool             `json:"dropped"`
	Confirm    bool             `json:"confirm"`
}

type dndJSON struct {
	Rejected bool `json:"rejected"`
	Rule     int  `json:"rule"`
}

type incomingJSON struct {
	Action string         `json:"action"`
	Param  string         `json:"param"`
	Rule   int            `json:"rule"`
	Rules  []rewrite.Step `json:"rules"`
}

func (e explaining) run(cmd *cobra.Command) error {
	at, err := e.check()
	if err != nil {
		return err
	}
	all, err := e.objects.read(cmd)
	if err != nil {
		return err
	}
	chosen, err := all.chosen(e.objects.account)
	if err != nil {
		return err
	}
	if len(chosen) > 1 {
		return fmt.Errorf("the files hold %d SoftphoneAccounts: say which with --account%s", len(chosen), all.others())
	}
	line, err := all.line(cmd, chosen[0], e.showSecrets)
	if err != nil {
		return err
	}
	effective, _ := account.Effective(line.Merged)
	out := explain(effective, e.on(render.FleetSettings(all.fleet(chosen[0])).Network), e.number, e.from, at)
	out.Account, out.Sipis.Host = chosen[0].Name, relay(effective, e.showSecrets)
	shown := line.Merged
	if e.defaults {
		shown = account.WithDefaults(shown)
	}
	out.Nodes = nodesOf(shown, e.showSecrets)
	if e.output == "json" {
		return printJSON(cmd.OutOrStdout(), out)
	}
	return out.print(cmd.OutOrStdout())
}

// check judges the flags and gives the time of the call.
func (e explaining) check() (time.Time, error) {
	if err := checkOutput(e.output); err != nil {
		return time.Time{}, err
	}
	switch e.network {
	case "", string(delivery.WiFi), string(delivery.Cellular), string(delivery.NoNetwork):
	default:
		return time.Time{}, fmt.Errorf("--network %s: there is only wifi, cellular and none", e.network)
	}
	if e.ssid != "" && e.network != "" && e.network != string(delivery.WiFi) {
		return time.Time{}, errors.New("--ssid means something on wifi only")
	}
	if e.at == "" {
		return time.Now(), nil
	}
	if e.from == "" {
		return time.Time{}, errors.New("--at needs --from: it is the time of a call")
	}
	at, err := time.Parse(time.RFC3339, e.at)
	if err != nil {
		return time.Time{}, fmt.Errorf("--at %s: not a time as 2026-11-23T08:30:00+01:00", e.at)
	}
	return at, nil
}

// on is the network that was said, else the fleet's.
func (e explaining) on(fleet delivery.Network) delivery.Network {
	if e.network == "" && e.ssid == "" {
		return fleet
	}
	return delivery.Network{Type: delivery.NetworkType(cmp.Or(e.network, string(delivery.WiFi))), SSID: e.ssid}
}

// explain says all but the values. from and number are "" when nobody asks.
func explain(a *account.Account, network delivery.Network, number, from string, at time.Time) *explanation {
	host, port, explicit, transport := a.Server()
	audio, video := a.CodecOrder, a.VideoCodecOrder
	if network.Type == delivery.Cellular {
		audio, video = a.CodecOrder3G, a.VideoCodecOrder3G
	}
	out := &explanation{
		Network: networkJSON{Type: string(network.Type), SSID: network.SSID},
		Server:  serverJSON{Host: host, Port: port, Transport: string(transport), Lookup: !explicit && net.ParseIP(host) == nil},
		Codecs:  codecsJSON{Audio: codecs(audio), Video: codecs(video)},
	}
	on := rewrite.Network{Type: string(network.Type), SSID: network.SSID}
	if number != "" {
		rules := a.Rewriting
		if plain, ok := rewrite.Target(number, a.Host); ok {
			number = plain
		} else {
			rules = nil // a URI of another domain is dialled as it stands
		}
		r := rewrite.Apply(rules, number, on)
		out.Number = &numberJSON{
			Input: r.Input, Output: r.Output, Rules: r.Rules, Headers: append([]rewrite.Header{}, r.Headers...),
			DialOut: r.DialOut, DialAction: r.DialAction, Record: r.Record, Dropped: r.Dropped, Confirm: r.Confirm,
		}
	}
	if from != "" {
		rule, rejected := a.DoNotDisturb.Rejects(from, at)
		out.DND = &dndJSON{Rejected: rejected, Rule: rule}
		r := rewrite.Apply(a.IncomingRewriting, rewrite.Caller(from), on)
		out.Incoming = &incomingJSON{Action: r.Incoming, Param: r.Param, Rule: r.Decided, Rules: r.Rules}
	}
	return out
}

// relay is the push relay. The digits that spread relays are of a hash of the
// password, and so they are a secret, too.
func relay(a *account.Account, showSecrets bool) string {
	if a.SIPISHost == "" || a.SIPISHostPrefixLength <= 0 || showSecrets {
		return a.PushRelay()
	}
	return "s-" + strings.Repeat("*", min(a.SIPISHostPrefixLength, 8)) + "." + a.SIPISHost
}

// codecs are names, and the numbers that nobody has a name for.
func codecs(numbers []int) []string {
	names := []string{}
	for _, n := range numbers {
		names = append(names, cmp.Or(account.CodecName(n), strconv.Itoa(n)))
	}
	return names
}

// print writes the explanation for people.
func (x *explanation) print(w io.Writer) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "account   %s\n", x.Account)
	server := net.JoinHostPort(x.Server.Host, strconv.Itoa(x.Server.Port)) + " over " + x.Server.Transport
	if x.Server.Lookup {
		server += ", unless SRV records name others"
	}
	fmt.Fprintf(&out, "server    %s\n", server)
	if x.Sipis.Host != "" {
		fmt.Fprintf(&out, "sipis     %s\n", x.Sipis.Host)
	}
	fmt.Fprintf(&out, "network   %s\n", strings.TrimSpace(x.Network.Type+" "+x.Network.SSID))
	fmt.Fprintf(&out, "codecs    %s; video %s\n", strings.Join(x.Codecs.Audio, ", "), strings.Join(x.Codecs.Video, ", "))
	x.printNumber(&out)
	x.printIncoming(&out)
	fmt.Fprintln(&out)
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tVALUE\tSOURCE\tPRIORITY\tWON OVER")
	for _, n := range x.Nodes {
		var over []string
		for _, s := range n.Shadows {
			over = append(over, fmt.Sprintf("%s (%s %d)", orEmpty(s.Value), s.Source, s.Priority))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", n.Node, orEmpty(n.Value), n.Source, n.Priority, strings.Join(over, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := out.WriteTo(w)
	return err
}

func (x *explanation) printNumber(out *bytes.Buffer) {
	n := x.Number
	if n == nil {
		return
	}
	fmt.Fprintf(out, "number    %s is dialled as %s", n.Input, n.Output)
	for _, also := range []struct {
		holds bool
		says  string
	}{
		{n.Dropped, "not at all: a rule drops it"},
		{n.Confirm, "only when the request confirms it"},
		{n.DialOut != "", "through the account " + n.DialOut},
		{n.DialAction != "", "by " + n.DialAction},
		{n.Record, "recorded"},
	} {
		if also.holds {
			fmt.Fprintf(out, ", %s", also.says)
		}
	}
	fmt.Fprintln(out)
	for _, h := range n.Headers {
		fmt.Fprintf(out, "          with the header %s: %s\n", h.Name, h.Value)
	}
	printSteps(out, n.Rules)
}

func (x *explanation) printIncoming(out *bytes.Buffer) {
	if x.DND == nil {
		return
	}
	if x.DND.Rejected {
		fmt.Fprintf(out, "incoming  do-not-disturb rule %d turns the call away (486)\n", x.DND.Rule)
		return
	}
	switch i := x.Incoming; i.Action {
	case "":
		fmt.Fprintln(out, "incoming  neither do-not-disturb nor incoming rewriting touches the call")
	case "forwardCall":
		fmt.Fprintf(out, "incoming  rule %d forwards the call to %s (302)\n", i.Rule, i.Param)
	case "rejectCall":
		fmt.Fprintf(out, "incoming  rule %d turns the call away (486)\n", i.Rule)
	default:
		fmt.Fprintf(out, "incoming  rule %d answers the call at once\n", i.Rule)
	}
	printSteps(out, x.Incoming.Rules)
}

func printSteps(out *bytes.Buffer, steps []rewrite.Step) {
	for _, s := range steps {
		if s.Matched {
			fmt.Fprintf(out, "          rule %d: %s -> %s\n", s.Rule, s.Before, s.After)
		} else {
			fmt.Fprintf(out, "          rule %d: does not match: %s\n", s.Rule, s.Why)
		}
	}
}
