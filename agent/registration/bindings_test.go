package registration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// parse reads a response as it would come from the network.
func parse(t *testing.T, lines ...string) *sip.Response {
	t.Helper()
	msg, err := sip.ParseMessage([]byte("SIP/2.0 200 OK\r\n" + strings.Join(lines, "\r\n") + "\r\nContent-Length: 0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return msg.(*sip.Response)
}

func TestReadBindings(t *testing.T) {
	uri := ua.URI("k3x", "10.244.0.7:5060")
	uri.UriParams.Add("rinstance", "base-1")
	me := own{uri: uri, instance: "urn:uuid:1", rinstance: "base", public: "192.0.2.9:40000"}
	for name, tt := range map[string]struct {
		headers   []string
		granted   time.Duration
		leftovers []string
	}{
		"our own Contact's expires counts, whatever stands beside it": {
			[]string{`Contact: <sip:other@10.0.0.1>;expires=3600, <sip:k3x@10.244.0.7:5060;rinstance=base-1>;expires=120`, `Expires: 900`}, 120 * time.Second, nil},
		"as kamailio writes it": {
			[]string{`Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-1>;expires=300;received="sip:192.0.2.9:40000";+sip.instance="<urn:uuid:1>";reg-id=1`}, 300 * time.Second, nil},
		"parameter names have no case":             {[]string{`Contact: <sip:k3x@10.244.0.7;rinstance=base-1>;Expires=77`}, 77 * time.Second, nil},
		"without the parameter, Expires counts":    {[]string{`Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-1>`, `Expires: 900`}, 900 * time.Second, nil},
		"without either, what we asked for":        {[]string{`Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-1>`}, 600 * time.Second, nil},
		"a registrar that lists nothing":           {nil, 600 * time.Second, nil},
		"a registrar that lists only others":       {[]string{`Contact: <sip:someone@10.0.0.1>;expires=5`}, 600 * time.Second, nil},
		"no time at all":                           {[]string{`Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-1>;expires=0`}, 0, nil},
		"nonsense is no time":                      {[]string{`Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-1>;expires=99999999999`}, 0, nil},
		"the other slot's corpse is a leftover":    {[]string{`Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-1>;expires=60`, `Contact: <sip:old@10.244.0.3:5060;rinstance=base-2>;expires=500`}, 60 * time.Second, []string{"sip:old@10.244.0.3:5060;rinstance=base-2"}},
		"so is our instance at another address":    {[]string{`Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-1>;expires=60, <sip:q@10.9.9.9:5060>;+sip.instance="<URN:UUID:1>";expires=9`}, 60 * time.Second, []string{"sip:q@10.9.9.9:5060"}},
		"and our own address under another user":   {[]string{`Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-1>;expires=60`, `Contact: <sip:before@10.244.0.7:5060;rinstance=base-1>;expires=9`}, 60 * time.Second, []string{"sip:before@10.244.0.7:5060;rinstance=base-1"}},
		"other people's bindings are theirs":       {[]string{`Contact: <sip:k3x@10.244.0.7:5060;rinstance=base-1>;expires=60`, `Contact: <sip:desk@10.0.0.1;rinstance=based-1>;expires=9;+sip.instance="<urn:uuid:2>"`}, 60 * time.Second, nil},
		"rewritten to our public address":          {[]string{`Contact: <sip:k3x@192.0.2.9:40000;rinstance=base-1>;expires=60`, `Contact: <sip:k3x@192.0.2.9:1111;rinstance=base-1>;expires=9`}, 60 * time.Second, []string{"sip:k3x@192.0.2.9:1111;rinstance=base-1"}},
		"rewritten to what could be us: hands off": {[]string{`Contact: <sip:k3x@203.0.113.1:1;rinstance=base-1>;expires=60`, `Contact: <sip:k3x@203.0.113.1:2;rinstance=base-1>;expires=61`}, 60 * time.Second, nil},
		"a wildcard is not a binding":              {[]string{`Contact: *`}, 600 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			granted, leftovers := readBindings(parse(t, tt.headers...), me, 10*time.Minute)
			if granted != tt.granted || !slices.Equal(leftovers, tt.leftovers) {
				t.Errorf("granted %s, leftovers %q; want %s, %q", granted, leftovers, tt.granted, tt.leftovers)
			}
		})
	}
}

func TestWithoutIdentityNothingIsALeftover(t *testing.T) {
	me := own{uri: ua.URI("k3x", "10.0.0.1:5060")}
	_, leftovers := readBindings(parse(t, `Contact: <sip:k3x@10.0.0.1:5060>;expires=60`, `Contact: <sip:k3x@10.0.0.2:5060>;expires=60;+sip.instance=""`), me, time.Minute)
	if leftovers != nil {
		t.Errorf("leftovers %q", leftovers)
	}
}

func TestPublicAddress(t *testing.T) {
	for via, want := range map[string]string{
		"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx;rport=4242;received=192.0.2.1": "192.0.2.1:4242",
		"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx;rport=4242":                    "10.0.0.1:4242",
		"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx;rport;received=2001:db8::1":    "[2001:db8::1]:5060",
		"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx;rport=zz":                      "",
		"SIP/2.0/UDP pbx.test:5060;branch=z9hG4bKx":                               "",
	} {
		if got := publicAddress(parse(t, "Via: "+via)); got != want {
			t.Errorf("%s: %q, want %q", via, got, want)
		}
	}
}

func FuzzReadBindings(f *testing.F) {
	f.Add(`<sip:k3x@10.244.0.7:5060;rinstance=base-1>;expires=60, <sip:q@10.9.9.9:5060>;+sip.instance="<urn:uuid:1>"`, "60")
	f.Add(`*`, "")
	f.Add(`"a, b" <sip:k3x@h?x=y>;expires="-1"`, "99999999999999999999")
	uri := ua.URI("k3x", "10.244.0.7:5060")
	me := own{uri: uri, instance: "urn:uuid:1", rinstance: "base", public: "192.0.2.9:40000"}
	f.Fuzz(func(t *testing.T, contact, expires string) {
		msg, err := sip.ParseMessage([]byte("SIP/2.0 200 OK\r\nContact: " + contact + "\r\nExpires: " + expires + "\r\n\r\n"))
		if err != nil {
			return
		}
		res, ok := msg.(*sip.Response)
		if !ok {
			return
		}
		granted, leftovers := readBindings(res, me, time.Minute)
		if granted < 0 {
			t.Errorf("granted %s", granted)
		}
		for _, l := range leftovers {
			if strings.ContainsAny(l, "\r\n") || l == "" || l == uri.String() {
				t.Errorf("leftover %q", l)
			}
		}
	})
}
