package rewrite

import "testing"

func TestWhatRulesCompareOfADestination(t *testing.T) {
	for sentence, c := range map[string]struct{ to, want string }{
		"a number as it is":                           {"0049301234", "0049301234"},
		"a number without separators":                 {" +1 (555) 01-00.2/3 ", "+155501" + "0023"},
		"a name is compared as it is":                 {"bob.smith", "bob.smith"},
		"a tel URI is its number":                     {"TEL:+1-555-0100;phone-context=x", "+15550100"},
		"a SIP URI at the own domain is its user":     {"sip:0900123@PBX.test:5060;user=phone", "0900123"},
		"and so it is with TLS":                       {"sips:0900123@pbx.test", "0900123"},
		"and without a scheme":                        {"0900123@pbx.test.", "0900123"},
		"escapes hide nothing":                        {"sip:%30900123@pbx.test", "0900123"},
		"parameters of the user are none of it":       {"sip:+1555;phone-context=x@pbx.test", "+1555"},
		"a SIP URI of somebody else is no number":     {"sip:0900123@elsewhere.test", "-"},
		"nor is one without a user":                   {"sip:pbx.test", "-"},
		"an address of IPv6 is compared without port": {"sip:12@[2001:db8::1]:5060", "-"},
	} {
		got, ok := Target(c.to, "pbx.test:5080")
		if !ok {
			got = "-"
		}
		if got != c.want {
			t.Errorf("%s: %q gives %q, want %q", sentence, c.to, got, c.want)
		}
	}
	if got, ok := Target("sip:12@[2001:db8::1]:5060", "[2001:db8::1]"); !ok || got != "12" {
		t.Errorf("an own domain of IPv6: %q %v", got, ok)
	}
}

func TestWhatRulesCompareOfACaller(t *testing.T) {
	for from, want := range map[string]string{
		"+12223334455": "+12223334455", "sip:+1-222-333@x": "+1222333", "<sip:bob@pbx.test>;tag=1": "bob", "SIPS:1000:pw@x": "1000",
		"tel:+1-222;isub=1": "+1222", "anonymous@anonymous.invalid": "anonymous", "": "", "sip:%2B49@x": "+49", "bob.smith": "bob.smith",
	} {
		if got := Caller(from); got != want {
			t.Errorf("%q gives %q, want %q", from, got, want)
		}
	}
}
