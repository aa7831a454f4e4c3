package account

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// sameAccount compares field by field.
func sameAccount(t *testing.T, got, want *Account) {
	t.Helper()
	g, w := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range w.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("%s is %#v, want %#v", w.Type().Field(i).Name, g.Field(i), w.Field(i))
		}
	}
}

// sample is a valid value of a node other than its default.
func sample(row *Row) string {
	candidates := map[Kind][]string{
		KindString:   {"some-text"},
		KindBool:     {"1", "0"},
		KindTristate: {"0"},
		KindHost:     {"server.example.org:5070"},
		KindIP:       {"192.0.2.77"},
		KindURL:      {"https://example.org/?u=%account[username]%"},
		KindTemplate: {"user=%account[username]%"},
		KindTone:     {"silence(100ms)"},
	}[row.Kind]
	switch row.Kind {
	case KindInt, KindIntEmpty:
		candidates = []string{fmt.Sprint(row.Range.Min + 7), fmt.Sprint(row.Range.Min + 8)}
	case KindEnum:
		candidates = row.Enum
	case KindCSV, KindIntCSV:
		reversed := slices.Clone(row.Enum)
		slices.Reverse(reversed)
		candidates = []string{strings.Join(reversed, ","), strings.Join(row.Enum, ",")}
	}
	for _, c := range candidates {
		if c != row.Default {
			return c
		}
	}
	return ""
}

var samples = map[string]string{
	"headers":           `<header method="*" name="X-Site" value="north"/>`,
	"doNotDisturb":      `<dndEntry><from>08:00</from><to>10:00</to><weekdays>31</weekdays><contacts/></dndEntry>`,
	"rewriting":         `<rule><conditions/><actions><action type="drop"/></actions></rule>`,
	"incomingRewriting": `<rule><conditions/><actions><action type="rejectCall"/></actions></rule>`,
	"blf":               `<uri>2001</uri>`,
}

// sampleNode is the node as XML, with a value other than its default.
func sampleNode(row *Row) string {
	value := sample(row)
	if row.Kind == KindSubtree {
		value = samples[row.Name]
	}
	return "<" + row.Name + ">" + value + "</" + row.Name + ">"
}

// TestEveryNodeOneByOne: each node of the schema is read, valid, merged, written and
// seen by the typed account, alone.
func TestEveryNodeOneByOne(t *testing.T) {
	fields := map[string][]int{}
	collectFields(reflect.TypeFor[Account](), "", nil, fields)
	plain, _ := Effective(&Document{})
	for _, row := range Schema() {
		xml := sampleNode(&row)
		d := doc(t, xml)
		if strings.Contains(xml, "></") && row.Kind != KindSubtree && sample(&row) == "" {
			t.Errorf("%s has no sample", row.Name)
		}
		if problems := Errors(d.ValidateLayer(Authored)); len(problems) > 0 {
			t.Errorf("%s: %v", row.Name, problems)
		}
		merged := Merge(Layer{Doc: d, Source: "gui", Priority: 40})
		want := strings.Replace(xml, ">", ` priority="40" source="gui">`, 1)
		if got := inside(t, merged); got != want && !row.Deprecated() {
			t.Errorf("merged %s, want %s", got, want)
		}
		if row.Untyped || row.Deprecated() {
			continue
		}
		if prefix, part, _ := strings.Cut(row.Name, "."); strings.HasPrefix(prefix, "opus") && part != "class" {
			d = doc(t, xml+"<"+prefix+".class/>")
		}
		a, problems := Effective(d)
		if len(problems) > 0 {
			t.Errorf("%s: %v", row.Name, problems)
		}
		path := fields[row.Name]
		got, before := reflect.ValueOf(a).Elem().FieldByIndex(path), reflect.ValueOf(plain).Elem().FieldByIndex(path)
		if reflect.DeepEqual(got.Interface(), before.Interface()) {
			t.Errorf("%s: %s does not reach the account: %#v", row.Name, xml, got)
		}
	}
}

func TestEffectiveDefaults(t *testing.T) {
	a, problems := Effective(&Document{})
	if len(problems) > 0 {
		t.Error(problems)
	}
	if a.Transport != UDP || a.Expires != 600 || a.KeepAlive || a.KeepAlivePeriod != 30 || !slices.Equal(a.CodecOrder, []int{0, 8, 9, 103, 102, 18, 3}) ||
		a.Ptime != 20 || a.Ptime3G != 30 || a.RTPPortRangeStart != 10000 || a.RTPPortRangeEnd != 65535 || a.ListeningPort != "" ||
		a.ICM != "auto" || !a.SendAudioBack || !a.CallWaiting || a.AutoAnswerEnabled || a.AutoAnswerTimeoutInSeconds != 5 ||
		a.NetworkLossCallTimeoutMs != 30000 || a.VideoConferencingEnabled != nil || a.AutoSendVideoWifi != nil || a.OutboundProxyEnabled ||
		!slices.Equal(a.DTMFOrder, []string{"rfc2833", "info", "audio"}) || a.SDESIncoming != "" {
		t.Errorf("defaults: %+v", struct{ *Account }{a})
	}
	spelled, problems := Effective(WithDefaults(&Document{}))
	if len(problems) > 0 {
		t.Error(problems)
	}
	sameAccount(t, spelled, a)
}

func TestEffective(t *testing.T) {
	number := func(p *int) string {
		if p == nil {
			return "nil"
		}
		return fmt.Sprint(*p)
	}
	tests := map[string]struct {
		in   string
		get  func(a *Account) any
		want any
	}{
		"a transport in any case":                  {`<transport>TLS+sip:</transport>`, func(a *Account) any { return a.Transport }, TLSSIP},
		"a synonym reads as its word":              {`<natTraversal>stun</natTraversal>`, func(a *Account) any { return a.NatTraversal }, "stunOnly"},
		"disabled reads as empty":                  {`<sdesIncoming>disabled</sdesIncoming>`, func(a *Account) any { return a.SDESIncoming }, ""},
		"localPush reads as push":                  {`<icm>localPush</icm>`, func(a *Account) any { return a.ICM }, "push"},
		"deprecated nodes become icm":              {`<keepAwake>1</keepAwake>`, func(a *Account) any { return a.ICM }, "keepAwake"},
		"words for booleans":                       {`<keepAlive>yes</keepAlive>`, func(a *Account) any { return a.KeepAlive }, true},
		"an unusable value gives the default":      {`<expires>soon</expires>`, func(a *Account) any { return a.Expires }, 600},
		"an empty number gives the default":        {`<ptime/>`, func(a *Account) any { return a.Ptime }, 20},
		"an empty list gives the default":          {`<dtmfOrder/>`, func(a *Account) any { return len(a.DTMFOrder) }, 3},
		"undocumented payload numbers are dropped": {`<codecOrder>34,8,0</codecOrder>`, func(a *Account) any { return fmt.Sprint(a.CodecOrder) }, "[8 0]"},
		"white space in lists":                     {"<codecOrder>8 ,\n0</codecOrder>", func(a *Account) any { return fmt.Sprint(a.CodecOrder) }, "[8 0]"},
		"a listening port of 0":                    {`<listeningPort>0</listeningPort>`, func(a *Account) any { return a.ListeningPort }, "0"},
		"a preset hides the detailed nodes": {`<opusOptions.class>fb</opusOptions.class><opusOptions.fec>0</opusOptions.fec><opusOptions.bitrate>9000</opusOptions.bitrate>`, func(a *Account) any {
			return fmt.Sprint(a.OpusOptions.Bandwidth, " ", a.OpusOptions.FEC, " ", number(a.OpusOptions.Bitrate))
		}, "fb true nil"},
		"without a preset the detailed nodes count": {`<opusOptions.class/><opusOptions.fec>0</opusOptions.fec><opusOptions.bitrate>9000</opusOptions.bitrate>`, func(a *Account) any { return fmt.Sprint(a.OpusOptions.FEC, " ", number(a.OpusOptions.Bitrate)) }, "false 9000"},
		"a bit rate of -1000 is automatic":          {`<opusOptions.class/><opusOptions.bitrate>-1000</opusOptions.bitrate>`, func(a *Account) any { return number(a.OpusOptions.Bitrate) }, "nil"},
		"a bit rate of -1 is the maximum":           {`<opusOptions.class/><opusOptions.bitrate>-1</opusOptions.bitrate>`, func(a *Account) any { return number(a.OpusOptions.Bitrate) }, "-1"},
		"the cellular preset hides its own nodes":   {`<opusOptions3G.fec>0</opusOptions3G.fec><opusOptions3G.complexity>3</opusOptions3G.complexity>`, func(a *Account) any { return fmt.Sprint(a.OpusOptions3G.FEC, " ", number(a.OpusOptions3G.Complexity)) }, "true nil"},
		"any other bandwidth is wb":                 {`<opusOptions.class/><opusOptions.bandwidth>swb</opusOptions.bandwidth>`, func(a *Account) any { return a.OpusOptions.Bandwidth }, "wb"},
		"flat rules are read":                       {`<rewriting><rule><condition type="numeric"/><action type="drop"/></rule></rewriting>`, func(a *Account) any { return fmt.Sprint(a.Rewriting) }, "[{[{numeric }] [{drop }]}]"},
		"contacts are read from child elements":     {`<doNotDisturb><dndEntry><contacts><contactInfo><phone>1</phone></contactInfo></contacts></dndEntry></doNotDisturb>`, func(a *Account) any { return a.DoNotDisturb.Entries[0].Contacts[0].Phone }, "1"},
		"an entry is on unless it says otherwise":   {`<doNotDisturb><dndEntry/></doNotDisturb>`, func(a *Account) any { return a.DoNotDisturb.Entries[0].Enabled }, true},
		"a header the stack owns is left out":       {`<headers><header method="*" name="v" value="x"/><header method="*" name="X-A" value="1"/></headers>`, func(a *Account) any { return fmt.Sprint(a.Headers) }, "[{* X-A 1}]"},
		"the digest name falls back to username":    {`<username>u</username>`, func(a *Account) any { return a.DigestUsername() }, "u"},
		"authUsername goes before username":         {`<username>u</username><authUsername>a</authUsername>`, func(a *Account) any { return a.DigestUsername() }, "a"},
		"the caller id falls back to username":      {`<username>u</username>`, func(a *Account) any { return a.CallerID() }, "u"},
		"the domain has no port":                    {`<host>[2001:db8::1]:5080</host>`, func(a *Account) any { return a.Domain() }, "2001:db8::1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, _ := Effective(doc(t, tt.in))
			if got := tt.get(a); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestServer(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"the host":                                  {`<host>h.example</host>`, "h.example 5060 false udp"},
		"the host's port":                           {`<host>h.example:5070</host>`, "h.example 5070 true udp"},
		"5060 spelled out is explicit":              {`<host>h.example:5060</host>`, "h.example 5060 true udp"},
		"proxy goes before host":                    {`<host>h.example:1</host><proxy>p.example</proxy>`, "p.example 5060 false udp"},
		"TLS has another default port":              {`<host>h.example</host><transport>tls</transport>`, "h.example 5061 false tls"},
		"TLS with sip: URIs has it as well":         {`<host>h.example</host><proxy>p.example</proxy><transport>tls+sip:</transport>`, "p.example 5061 false tls+sip:"},
		"the outbound proxy goes before both":       {`<host>h</host><proxy>p</proxy><outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>o:9</outboundProxy_host>`, "o 9 true udp"},
		"an outbound proxy that is not enabled":     {`<host>h</host><outboundProxy_host>o</outboundProxy_host><outboundProxy_transport>tls</outboundProxy_transport>`, "h 5060 false udp"},
		"an enabled one without a host":             {`<host>h</host><outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_transport>tls</outboundProxy_transport>`, "h 5060 false udp"},
		"the outbound proxy's transport":            {`<host>h</host><outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>o</outboundProxy_host><outboundProxy_transport>TLS</outboundProxy_transport>`, "o 5061 false tls"},
		"the outbound proxy inherits the transport": {`<host>h</host><transport>tcp</transport><outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>o</outboundProxy_host>`, "o 5060 false tcp"},
		"an IPv4 address":                           {`<host>192.0.2.1</host>`, "192.0.2.1 5060 false udp"},
		"an IPv6 address in brackets":               {`<host>[2001:db8::1]:5080</host>`, "2001:db8::1 5080 true udp"},
		"an IPv6 address without":                   {`<host>2001:db8::1</host>`, "2001:db8::1 5060 false udp"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := doc(t, tt.in)
			if problems := Errors(d.ValidateLayer(Authored)); len(problems) > 0 {
				t.Fatal(problems)
			}
			a, _ := Effective(d)
			host, port, explicit, transport := a.Server()
			if got := fmt.Sprint(host, " ", port, " ", explicit, " ", transport); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestPushRelay(t *testing.T) {
	const who = `<username>alice</username><password>secret</password><host>pbx.example.org:5070</host>`
	// SHA1("alice:secret:pbx.example.org:5070"), by another program.
	const selector = "47bf1ecf9959c87c09772745718131b915834f42"
	tests := map[string]struct{ in, want string }{
		"one digit by default":          {who + `<sipisHost>sipis.example</sipisHost>`, "s-" + selector[:1] + ".sipis.example"},
		"more digits":                   {who + `<sipisHost>sipis.example</sipisHost><sipisHostPrefixLength>3</sipisHostPrefixLength>`, "s-" + selector[:3] + ".sipis.example"},
		"all digits":                    {who + `<sipisHost>sipis.example</sipisHost><sipisHostPrefixLength>40</sipisHostPrefixLength>`, "s-" + selector + ".sipis.example"},
		"a single server":               {who + `<sipisHost>sipis.example</sipisHost><sipisHostPrefixLength>0</sipisHostPrefixLength>`, "sipis.example"},
		"without a relay there is none": {who, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, _ := Effective(doc(t, tt.in))
			if got := a.PushRelay(); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	for _, good := range []string{"a", "a.b", "a.b.", "A-1.b_2", "192.0.2.1", "192.0.2.1:5060", "[::1]", "[::1]:1", "::1", "a:65535", "1a.2b"} {
		if _, _, ok := splitHost(good); !ok {
			t.Errorf("%q should be a host", good)
		}
	}
	for _, bad := range []string{"", ".", "a..b", "-a", "a-", "a b", "a:", "a:0", "a:65536", "a:x", "a:1:2", "[::1", "[::1]x", "[::1]:", "[1.2.3.4]",
		"1.2.3", "1.2.3.256", "sip:a", "a@b", "a/b", "größe", strings.Repeat("a", 64), strings.Repeat("a.", 128)} {
		if _, _, ok := splitHost(bad); ok {
			t.Errorf("%q should be no host", bad)
		}
	}
}
