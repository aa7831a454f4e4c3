package account

import (
	"strings"
	"testing"
)

const complete = `<title>T</title><username>u</username><host>h</host>`

func TestDefaultsAloneAreClean(t *testing.T) {
	if problems := doc(t, complete).Validate(Authored); len(problems) > 0 {
		t.Errorf("a minimal account: %v", problems)
	}
	if problems := WithDefaults(doc(t, complete)).Validate(Authored); len(problems) > 0 {
		t.Errorf("all defaults spelled out: %v", problems)
	}
}

func TestLayersMayBeIncomplete(t *testing.T) {
	d := doc(t, `<rtpPortRangeStart>65000</rtpPortRangeStart><rtpPortRangeEnd>65001</rtpPortRangeEnd>`)
	if problems := d.ValidateLayer(Authored); len(problems) > 0 {
		t.Errorf("as a layer: %v", problems)
	}
	if problems := Errors(d.Validate(Authored)); len(problems) != 4 {
		t.Errorf("as an account: %v", problems)
	}
}

// TestValues are valid or not for both kinds of documents; what depends on the
// kind is in TestFetchedIsTolerant.
func TestValues(t *testing.T) {
	tests := map[string]struct{ good, bad []string }{
		"expires":                        {[]string{"30", "600", "2147483647"}, []string{"29", "-1", "2147483648", "10.5", "1e3", "+600"}},
		"sipisHostPrefixLength":          {[]string{"0", "40"}, []string{"-1", "41"}},
		"ptime":                          {[]string{"1", "20"}, []string{"0"}},
		"opusOptions.complexity":         {[]string{"", "0", "10"}, []string{"11", "-1"}},
		"opusOptions.bitrate":            {[]string{"", "-1000", "-1", "6000", "510000"}, []string{"0", "5999", "510001", "-2"}},
		"opusOptions.expectedPacketLoss": {[]string{"0", "100"}, []string{"101"}},
		"keepAlivePeriod":                {[]string{"5"}, []string{"4"}},
		"rtpPortRangeStart":              {[]string{"1025", "65535"}, []string{"1024", "65536"}},
		"listeningPort":                  {[]string{"", "0", "1025", "65535"}, []string{"1", "1024", "65536"}},
		"networkLossCallTimeoutMs":       {[]string{"0"}, []string{"-1"}},
		"extProvInterval":                {[]string{"0"}, []string{"-1"}},
		"autoAnswerTimeoutInSeconds":     {[]string{"0"}, []string{"-1"}},
		"webMessagesPollingIntervalMs":   {[]string{"1"}, []string{"0"}},
		"transport":                      {[]string{"udp", "TCP", "Tls", "tls+SIP:"}, []string{"tls+sip", "ws"}},
		"outboundProxy_transport":        {[]string{"", "tcp"}, []string{"ws"}},
		"outboundProxy_enabled":          {[]string{"", "0", "1"}, []string{"2"}},
		"allowMessage":                   {[]string{"0", "1"}, []string{"-1", "on"}},
		"autoSendVideoWifi":              {[]string{"", "0", "1"}, []string{"2"}},
		"natTraversal":                   {[]string{"off", "auto", "stunOnly", "stun", "turnAlways", "ice"}, []string{"turn"}},
		"contactIP":                      {[]string{"internal", "external"}, []string{"dynamic"}},
		"icm":                            {[]string{"auto", "push", "off", "localPush"}, []string{"on", "Auto"}},
		"videoDimsWifi":                  {[]string{"qcif", "1080p"}, []string{"4k"}},
		"sdesIncoming":                   {[]string{"", "disabled"}, []string{"yes"}},
		"pushMethod":                     {[]string{"off", "tunnel"}, []string{"push"}},
		"codecOrder":                     {[]string{"0", "8, 0", "103,9,8,0,3,18,102"}, []string{"8,8", "alaw", ","}},
		"dtmfOrder":                      {[]string{"info", "audio,rfc2833"}, []string{"rfc4733", "info,info"}},
		"iceDefaultCandidateOrder":       {[]string{"srflx,host,relay"}, []string{"srflx,host", "host,host,relay", "prflx,host,relay"}},
		"remoteContact":                  {[]string{"from"}, []string{"to"}},
		"forcedContact":                  {[]string{"", "::1"}, []string{"host.example", "1.2.3"}},
		"extProvUrl":                     {[]string{"", "http://h", "HTTPS://h/%account[username]%"}, []string{"ftp://h", "h", "https://"}},
		"wcb_url":                        {[]string{"https://h"}, []string{"lua://x", "javascript:alert(1)"}},
		"wcb_method":                     {[]string{"", "PUT"}, []string{"PATCH"}},
		"userDisplayName":                {[]string{"", `Ada "A" <b>`, "Grüße"}, []string{"a\nb", "a\tb"}},
		"password":                       {[]string{"", "\n\t", "a\u0085"}, nil},
		"genericBalanceCheckPostData":    {[]string{"a\nb"}, nil},
		"rfc2833Volume":                  {[]string{"0", "63"}, []string{"64"}},
	}
	for node, tt := range tests {
		t.Run(node, func(t *testing.T) {
			for _, mode := range []Mode{Authored, Fetched} {
				for i, text := range append(append([]string(nil), tt.good...), tt.bad...) {
					d := doc(t, complete)
					d.Set(node, text, 40, "gui")
					problems := Errors(d.ValidateLayer(mode))
					if bad := i >= len(tt.good); bad != (len(problems) > 0) {
						t.Errorf("%q: %v", text, problems)
					}
				}
			}
		})
	}
}

// TestAcrossNodes: each rule across nodes, and how it looks when it is kept.
func TestAcrossNodes(t *testing.T) {
	tests := map[string]struct{ broken, kept, want string }{
		"four ports": {`<rtpPortRangeStart>20000</rtpPortRangeStart><rtpPortRangeEnd>20003</rtpPortRangeEnd>`,
			`<rtpPortRangeStart>20000</rtpPortRangeStart><rtpPortRangeEnd>20004</rtpPortRangeEnd>`, "rtpPortRangeEnd: must be at least 4 ports after rtpPortRangeStart"},
		"four ports before the default end": {`<rtpPortRangeStart>65532</rtpPortRangeStart>`, `<rtpPortRangeStart>65531</rtpPortRangeStart>`,
			"rtpPortRangeEnd: must be at least 4 ports after rtpPortRangeStart"},
		"video bit rates on Wi-Fi":  {`<videoMinKbpsWifi>385</videoMinKbpsWifi>`, `<videoMinKbpsWifi>384</videoMinKbpsWifi>`, "videoMaxKbpsWifi: is less than videoMinKbpsWifi"},
		"video bit rates elsewhere": {`<videoMaxKbps3G>63</videoMaxKbps3G>`, `<videoMaxKbps3G>64</videoMaxKbps3G>`, "videoMaxKbps3G: is less than videoMinKbps3G"},
		"two technologies required": {
			`<opusOptions.vbr>0</opusOptions.vbr><codecOrder>8</codecOrder><codecOrder3G>8</codecOrder3G><zrtpOutgoing>required</zrtpOutgoing><dtlsOutgoing>required</dtlsOutgoing>`,
			`<codecOrder>8</codecOrder><codecOrder3G>8</codecOrder3G><zrtpIncoming>required</zrtpIncoming><dtlsOutgoing>required</dtlsOutgoing>`,
			"sdesOutgoing: zrtp and dtls are required at once; one technology protects a call"},
		"SDES without TLS": {
			`<codecOrder>8</codecOrder><codecOrder3G>8</codecOrder3G><sdesIncoming>enabled</sdesIncoming><transport>tcp</transport>`,
			`<codecOrder>8</codecOrder><codecOrder3G>8</codecOrder3G><sdesIncoming>enabled</sdesIncoming><transport>tls+sip:</transport>`,
			"sdesIncoming: warning: without TLS the media keys can be read on the way"},
		"SDES without TLS to the outbound proxy": {
			`<codecOrder>8</codecOrder><codecOrder3G>8</codecOrder3G><sdesOutgoing>required</sdesOutgoing><transport>tls</transport><outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>o</outboundProxy_host><outboundProxy_transport>udp</outboundProxy_transport>`,
			`<codecOrder>8</codecOrder><codecOrder3G>8</codecOrder3G><sdesOutgoing>required</sdesOutgoing><outboundProxy_enabled>1</outboundProxy_enabled><outboundProxy_host>o</outboundProxy_host><outboundProxy_transport>tls</outboundProxy_transport>`,
			"sdesOutgoing: warning: without TLS the media keys can be read on the way"},
		"Opus VBR in secure calls": {`<dtlsIncoming>enabled</dtlsIncoming><codecOrder3G>8</codecOrder3G>`,
			`<dtlsIncoming>enabled</dtlsIncoming><codecOrder3G>8</codecOrder3G><opusOptions.class/><opusOptions.vbr>0</opusOptions.vbr>`,
			"opusOptions.vbr: warning: variable bit rate is not advised for secure calls"},
		"an outbound proxy that is off": {`<outboundProxy_host>o</outboundProxy_host>`, `<outboundProxy_host>o</outboundProxy_host><outboundProxy_enabled>1</outboundProxy_enabled>`,
			"outboundProxy_host: warning: has no effect unless outboundProxy_enabled is 1"},
		"an outbound proxy without a host": {`<outboundProxy_enabled>1</outboundProxy_enabled>`, `<outboundProxy_enabled>0</outboundProxy_enabled>`,
			"outboundProxy_enabled: warning: has no effect without outboundProxy_host"},
		"a static contact without an address": {`<contactIP>static</contactIP>`, `<contactIP>static</contactIP><forcedContact>192.0.2.1</forcedContact>`,
			"contactIP: warning: static needs an address in forcedContact"},
		"an address without a static contact": {`<forcedContact>192.0.2.1</forcedContact>`, `<forcedContact/>`,
			"forcedContact: warning: has no effect unless contactIP is static"},
		"keepAwake on UDP": {`<icm>keepAwake</icm>`, `<icm>keepAwake</icm><transport>tcp</transport>`,
			"icm: warning: keepAwake is meant for tcp and tls; keep-alive packets are needed on udp"},
		"expires under 300 with a push relay": {`<expires>299</expires><sipisHost>s</sipisHost>`, `<expires>299</expires>`,
			"expires: warning: less than 300 seconds with sipisHost risks a ban by the push relay"},
		"the peer's codec list on Wi-Fi":     {`<honorTheirCodecListWiFi>0</honorTheirCodecListWiFi>`, `<honorTheirCodecListWiFi>1</honorTheirCodecListWiFi>`, "honorTheirCodecListWiFi: warning: should be left at 1"},
		"the peer's codec list elsewhere":    {`<honorTheirCodecList3G>1</honorTheirCodecList3G>`, `<honorTheirCodecList3G>0</honorTheirCodecList3G>`, "honorTheirCodecList3G: warning: should be left at 0"},
		"an ignored symmetric NAT":           {`<ignoreSymmetricNat>1</ignoreSymmetricNat>`, `<ignoreSymmetricNat>0</ignoreSymmetricNat>`, "ignoreSymmetricNat: warning: the address found behind a symmetric NAT can rarely be reached"},
		"DTMF in every way at once":          {`<dtmfAll>1</dtmfAll>`, `<dtmfAll>0</dtmfAll>`, "dtmfAll: warning: sends every digit several times"},
		"durations without the legacy clock": {`<rfc2833AdjustDurationTo8kHz>1</rfc2833AdjustDurationTo8kHz>`, `<rfc2833AdjustDurationTo8kHz>1</rfc2833AdjustDurationTo8kHz><rfc2833NegotiateOnly8kHzClockRate>1</rfc2833NegotiateOnly8kHzClockRate>`, "rfc2833AdjustDurationTo8kHz: warning: has no effect unless rfc2833NegotiateOnly8kHzClockRate is 1"},
		"a header that carries no caller id": {`<userCallerIdMethod>from,paid</userCallerIdMethod>`, `<userCallerIdMethod>from, PAI</userCallerIdMethod>`, `userCallerIdMethod: warning: "paid" has no effect; there is from, pai, ppi, rpid`},
		"forwarding to nowhere":              {`<forwardingEnabled>1</forwardingEnabled>`, `<forwardingEnabled>1</forwardingEnabled><forwardingNumber>1</forwardingNumber>`, "forwardingNumber: warning: is empty, but forwardingEnabled is 1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			problems := doc(t, complete+tt.broken).Validate(Authored)
			if len(problems) != 1 || !strings.HasSuffix(problems[0].String(), " "+tt.want) {
				t.Errorf("broken: %v\nwant %s", problems, tt.want)
			}
			if problems := doc(t, complete+tt.kept).Validate(Authored); len(problems) > 0 {
				t.Errorf("kept: %v", problems)
			}
		})
	}
}

func TestUnknownNodesAreNoProblem(t *testing.T) {
	d := doc(t, complete+`<acme a="1"><x/>text</acme><other/>`)
	if problems := d.Validate(Authored); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestNodesThatCannotBeWrittenAreProblems(t *testing.T) {
	d := doc(t, complete)
	d.Set("my node", "x", 40, "gui")
	d.Set("acme", "a\x00b", 40, "gui")
	got := ""
	for _, p := range Errors(d.Validate(Authored)) {
		got += p.String() + "\n"
	}
	want := "my node: \"my node\" is not an XML name\nacme: contains a character that XML cannot hold\n"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
