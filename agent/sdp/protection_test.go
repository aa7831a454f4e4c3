package sdp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	printA = "sha-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF"
	key30  = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz" // RFC 4568 §10.2's
)

func side(sdes, dtls Policy) Protect {
	return Protect{SDES: sdes, DTLS: dtls, Keys: NewKeys(), Fingerprint: printA}
}

// Best effort and insistence, both ways, on both sides: what two lines agree on, or that they do not.
func TestTwoLinesAgreeOnProtection(t *testing.T) {
	const none, refused = "none", "refused"
	for what, row := range map[string]struct {
		caller, called Protect
		profile, want  string
	}{
		"neither wants any":                               {side(Off, Off), side(Off, Off), "RTP/AVP", none},
		"both want SDES if it can be had":                 {side(BestEffort, Off), side(BestEffort, Off), "RTP/AVP", "sdes"},
		"the called side knows nothing of SDES":           {side(BestEffort, Off), side(Off, Off), "RTP/AVP", none},
		"the caller knows nothing of it":                  {side(Off, Off), side(BestEffort, BestEffort), "RTP/AVP", none},
		"the caller insists on SDES":                      {side(Required, Off), side(BestEffort, Off), "RTP/SAVP", "sdes"},
		"… and the called side has none":                  {side(Required, Off), side(Off, BestEffort), "RTP/SAVP", refused},
		"the called side insists on SDES":                 {side(BestEffort, Off), side(Required, Off), "RTP/AVP", "sdes"},
		"… and the caller has none":                       {side(Off, Off), side(Required, Off), "RTP/AVP", refused},
		"both want either: DTLS comes first":              {side(BestEffort, BestEffort), side(BestEffort, BestEffort), "RTP/AVP", "dtls"},
		"either is offered, SDES is taken":                {side(BestEffort, BestEffort), side(BestEffort, Off), "RTP/AVP", "sdes"},
		"the caller insists on DTLS":                      {side(Off, Required), side(Off, BestEffort), "UDP/TLS/RTP/SAVP", "dtls"},
		"… and the called side has SDES only":             {side(Off, Required), side(Required, Off), "UDP/TLS/RTP/SAVP", refused},
		"the called side insists on DTLS and is offered":  {side(BestEffort, BestEffort), side(BestEffort, Required), "RTP/AVP", "dtls"},
		"SDES does not satisfy who insists on DTLS":       {side(BestEffort, Off), side(BestEffort, Required), "RTP/AVP", refused},
		"DTLS is not offered by who has no certificate":   {Protect{DTLS: BestEffort}, side(Off, BestEffort), "RTP/AVP", none},
		"insisting on SDES leaves DTLS out of the offer":  {side(Required, BestEffort), side(BestEffort, BestEffort), "RTP/SAVP", "sdes"},
		"two that insist on the same":                     {side(Off, Required), side(Off, Required), "UDP/TLS/RTP/SAVP", "dtls"},
		"insisting meets who does nothing":                {side(Off, Required), side(Off, Off), "UDP/TLS/RTP/SAVP", refused},
		"a called line that insists refuses a plain call": {side(Off, Off), side(Off, Required), "RTP/AVP", refused},
	} {
		caller, called := caps(), caps()
		caller.Protect, called.Protect = row.caller, row.called
		offer := Offer(caller, origin)
		if got := offer.Media[0].Proto; got != row.profile {
			t.Errorf("%s: offers %s", what, got)
		}
		read, err := Parse(offer.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		answer, theirs, err := Answer(read, called, origin)
		if errors.Is(err, ErrNotAcceptable) && row.want == refused {
			continue
		}
		if err != nil || answer.Media[0].Proto != row.profile {
			t.Errorf("%s: %v, %+v", what, err, answer)
			continue
		}
		ours, err := AcceptWith(offer, answer, caller)
		if err != nil || ours.Protection.String() != row.want || theirs.Protection.String() != row.want {
			t.Errorf("%s: the caller has %s (%v), the called side %s", what, ours.Protection, err, theirs.Protection)
			continue
		}
		a, b := ours.Protection, theirs.Protection
		switch a.Way {
		case SDES:
			if !bytes.Equal(a.Ours.Key, b.Theirs.Key) || !bytes.Equal(b.Ours.Key, a.Theirs.Key) || a.Ours.Suite != b.Ours.Suite || a.Ours.Tag != b.Ours.Tag ||
				bytes.Equal(a.Ours.Key, b.Ours.Key) || a.Ours.Suite != Suites()[0] {
				t.Errorf("%s: the keys do not fit", what)
			}
		case DTLS:
			if a.Active || !b.Active || FormatFingerprint(a.Fingerprints[0]) != printA {
				t.Errorf("%s: parts %v and %v", what, a.Active, b.Active)
			}
		}
	}
}

// An answer that takes nothing is a refusal to who insists; one that takes what was not offered is to everybody.
func TestAnswersThatBreakTheAgreement(t *testing.T) {
	for what, row := range map[string]struct {
		with Protect
		edit func(m *Media)
		want string
	}{
		"no key in answer to the profile that needs one": {side(Required, Off), func(m *Media) { m.Attributes = nil }, "has no protection"},
		"a tag that was not offered":                     {side(BestEffort, Off), func(m *Media) { m.Attributes[len(m.Attributes)-3].Value = "9 AES_CM_128_HMAC_SHA1_80 inline:" + key30 }, "not offered"},
		"another suite under the tag":                    {side(BestEffort, Off), func(m *Media) { m.Attributes[len(m.Attributes)-3].Value = "1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 }, "not offered"},
	} {
		c := caps()
		c.Protect = row.with
		offer := Offer(c, origin)
		answer, _, err := Answer(offer, c, origin)
		if err != nil {
			t.Fatal(err)
		}
		row.edit(&answer.Media[0])
		if _, err := AcceptWith(offer, answer, c); !errors.Is(err, ErrNotAcceptable) || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestCryptoLines(t *testing.T) {
	long := strings.Repeat("2Khm", 15) + "TQ" // 46 bytes
	for line, want := range map[string]string{
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30:                       "1 AES_CM_128_HMAC_SHA1_80",
		"2 aes_cm_128_hmac_sha1_32 INLINE:" + key30 + "|2^20":             "2 AES_CM_128_HMAC_SHA1_32",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|2^20|1:4":         "1 AES_CM_128_HMAC_SHA1_80 mki 00000001",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|258:2":            "1 AES_CM_128_HMAC_SHA1_80 mki 0102",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " WSH=64":           "1 AES_CM_128_HMAC_SHA1_80",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " -KDR=1":           "1 AES_CM_128_HMAC_SHA1_80",
		"1 AES_CM_256_HMAC_SHA1_80 inline:" + long + "==":                 "1 AES_256_CM_HMAC_SHA1_80",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " KDR=1":            "",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + " UNENCRYPTED_SRTP": "",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + ";inline:" + key30:  "",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30 + "|999:1":            "",
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key30[1:]:                   "",
		"1 F8_128_HMAC_SHA1_80 inline:" + key30:                           "",
		"x AES_CM_128_HMAC_SHA1_80 inline:" + key30:                       "",
		"1 AES_CM_128_HMAC_SHA1_80 " + key30:                              "",
		"1 AES_CM_128_HMAC_SHA1_80":                                       "",
	} {
		c, ok := parseCrypto(line)
		got := ""
		if ok {
			got = fmt.Sprintf("%d %s", c.Tag, c.Suite)
			if c.MKI != nil {
				got += fmt.Sprintf(" mki %x", c.MKI)
			}
		}
		if got != want {
			t.Errorf("%s:\n got %q\nwant %q", line, got, want)
		}
		if again, ok2 := parseCrypto(c.attribute().Value); ok && (!ok2 || !bytes.Equal(again.Key, c.Key) || !bytes.Equal(again.MKI, c.MKI)) {
			t.Errorf("%s: written %s", line, c.attribute().Value)
		}
		if text := fmt.Sprintf("%v %+v %#v", c, c, c.Key); strings.Contains(text, key30[:8]) || strings.Contains(text, "89 83") {
			t.Errorf("prints its key: %s", text)
		}
	}
}

// A further offer in a call keeps keys and parts, whatever its wording.
func TestAReofferKeepsTheKeys(t *testing.T) {
	caller, called := caps(), caps()
	caller.Protect, called.Protect = side(BestEffort, BestEffort), side(BestEffort, BestEffort)
	offer := Offer(caller, origin)
	answer, first, err := Answer(offer, called, origin)
	if err != nil {
		t.Fatal(err)
	}
	// The called side offers next. It was the active one; the caller, asked for either part, must stay the passive one.
	called.Protect.Active = &first.Protection.Active
	passive := false
	caller.Protect.Active = &passive
	again := Reoffer(answer, called, origin.Next())
	back, n, err := Answer(again, caller, origin.Next())
	if err != nil || n.Protection.Way != DTLS || n.Protection.Active {
		t.Fatalf("%v: the caller changes its part: %+v", err, n.Protection)
	}
	if n, err := AcceptWith(again, back, called); err != nil || !n.Protection.Active {
		t.Errorf("%v: the called side changes its part: %+v", err, n.Protection)
	}
	caller.Protect.DTLS, called.Protect.DTLS = Off, Off
	one, two := Offer(caller, origin), Reoffer(Offer(caller, origin), caller, origin.Next())
	if fmt.Sprint(one.Media) != fmt.Sprint(two.Media) {
		t.Errorf("the keys change:\n%s\n%s", one.Marshal(), two.Marshal())
	}
}

func TestFingerprints(t *testing.T) {
	for text, ok := range map[string]bool{
		printA: true, strings.ToLower(printA): true, "SHA-256 " + printA[8:]: true,
		"sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB": false,
		"sha-256 4A:AD": false, "sha-256": false, "": false, "md5 4A": false,
	} {
		if f, got := parseFingerprint(text); got != ok || ok && FormatFingerprint(f) != printA {
			t.Errorf("%q: %v", text, got)
		}
	}
}
