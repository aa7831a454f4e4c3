package sdp

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Key is a secret of SRTP: a master key and the salt after it. It prints as dots.
type Key []byte

// String hides the key.
func (k Key) String() string { return "•••" }

// GoString hides the key.
func (k Key) GoString() string { return k.String() }

// Crypto is one a=crypto line (RFC 4568 §4): a suite and the key that its writer sends with.
type Crypto struct {
	Tag   int
	Suite string
	Key   Key
	MKI   []byte // master key identifier that each packet carries; nil = none
}

// suiteSizes are the crypto suites that are spoken, with the bytes of master key and salt, in our order of preference
// (RFC 7714 §14.2, RFC 6188 §6, RFC 4568 §6.2).
var suiteSizes = []struct {
	name string
	size int
}{
	{"AEAD_AES_256_GCM", 32 + 12},
	{"AEAD_AES_128_GCM", 16 + 12},
	{"AES_256_CM_HMAC_SHA1_80", 32 + 14},
	{"AES_CM_128_HMAC_SHA1_80", 16 + 14},
	{"AES_256_CM_HMAC_SHA1_32", 32 + 14},
	{"AES_CM_128_HMAC_SHA1_32", 16 + 14},
}

func suiteSize(name string) int {
	for _, s := range suiteSizes {
		if s.name == name {
			return s.size
		}
	}
	return 0
}

// Suites are the names of the SRTP crypto suites that are spoken, the preferred first.
func Suites() []string {
	names := make([]string, 0, len(suiteSizes))
	for _, s := range suiteSizes {
		names = append(names, s.name)
	}
	return names
}

// NewKeys draws a key for every suite that is spoken, tagged from 1. A call keeps them: a description sent again must not change
// keys by the way.
func NewKeys() []Crypto {
	keys := make([]Crypto, 0, len(suiteSizes))
	for i, s := range suiteSizes {
		key := make(Key, s.size)
		_, _ = rand.Read(key) // it never fails: crypto/rand
		keys = append(keys, Crypto{Tag: i + 1, Suite: s.name, Key: key})
	}
	return keys
}

// attribute is the a=crypto line.
func (c Crypto) attribute() Attribute {
	text := fmt.Sprintf("%d %s inline:%s", c.Tag, c.Suite, base64.StdEncoding.EncodeToString(c.Key))
	if len(c.MKI) > 0 {
		n := 0
		for _, b := range c.MKI {
			n = n<<8 | int(b)
		}
		text += fmt.Sprintf("|%d:%d", n, len(c.MKI))
	}
	return Attribute{"crypto", text}
}

// cryptos are the a=crypto lines of a stream that can be used, in the order they are in.
func (m *Media) cryptos() []Crypto {
	var list []Crypto
	for _, a := range m.Attributes {
		if !strings.EqualFold(a.Key, "crypto") {
			continue
		}
		if c, ok := parseCrypto(a.Value); ok && !slices.ContainsFunc(list, func(o Crypto) bool { return o.Tag == c.Tag }) {
			list = append(list, c)
		}
	}
	return list
}

// parseCrypto reads "TAG SUITE inline:KEY[|LIFETIME][|MKI:LENGTH] [PARAMETER…]" (RFC 4568 §9.1). A line is of no use to us when
// its suite is not spoken, it brings several keys, or a parameter changes what packets look like; such a line is passed over
// (§6.3: a parameter that is not understood makes its line invalid).
func parseCrypto(text string) (Crypto, bool) {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		return Crypto{}, false
	}
	tag, err := strconv.ParseUint(fields[0], 10, 30)
	c := Crypto{Tag: int(tag), Suite: strings.ToUpper(fields[1])}
	if c.Suite == "AES_CM_256_HMAC_SHA1_80" || c.Suite == "AES_CM_256_HMAC_SHA1_32" { // of drafts before RFC 6188, still written
		c.Suite = strings.Replace(c.Suite, "CM_256", "256_CM", 1)
	}
	size := suiteSize(c.Suite)
	inline, ok := cutPrefixFold(fields[2], "inline:")
	if err != nil || size == 0 || !ok || strings.Contains(inline, ";") || !harmless(fields[3:]) {
		return Crypto{}, false
	}
	parts := strings.Split(inline, "|")
	if c.Key, ok = keyOf(parts[0], size); !ok {
		return Crypto{}, false
	}
	for _, p := range parts[1:] {
		if !strings.Contains(p, ":") {
			continue // the lifetime: no call of ours lasts that long
		}
		if c.MKI, ok = mkiOf(p); !ok {
			return Crypto{}, false
		}
	}
	return c, true
}

// keyOf decodes base64, with or without the padding that some leave out.
func keyOf(text string, size int) (Key, bool) {
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	return key, err == nil && len(key) == size
}

// mkiOf reads "VALUE:LENGTH", the length in bytes.
func mkiOf(text string) ([]byte, bool) {
	value, length, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(value, 10, 64)
	size, err2 := strconv.ParseUint(length, 10, 8)
	if err != nil || err2 != nil || size == 0 || size > 128 {
		return nil, false
	}
	mki := make([]byte, size)
	for i := len(mki) - 1; i >= 0 && n > 0; i-- {
		mki[i] = byte(n)
		n >>= 8
	}
	return mki, n == 0
}

// harmless says whether session parameters leave packets as they are: the hint of a replay window, and those marked as optional.
func harmless(parameters []string) bool {
	for _, p := range parameters {
		if _, ok := cutPrefixFold(p, "WSH="); !ok && !strings.HasPrefix(p, "-") {
			return false
		}
	}
	return true
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
