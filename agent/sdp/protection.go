package sdp

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Policy is how a line treats one way of protecting media.
type Policy uint8

// The policies. Off behaves as if the way was unknown; BestEffort falls back to unprotected media; Required does not.
const (
	Off Policy = iota
	BestEffort
	Required
)

// Way is how a stream is protected.
type Way string

// The ways of protection.
const (
	Unprotected Way = "none"
	SDES        Way = "sdes" // keys in the description (RFC 4568)
	DTLS        Way = "dtls" // keys by a DTLS handshake on the media path (RFC 5763, RFC 5764)
)

// Protect is what a line brings to a negotiation to have its media protected.
type Protect struct {
	SDES, DTLS Policy
	// Keys of ours, NewKeys; the same ones for the whole call.
	Keys []Crypto
	// Fingerprint of our certificate, as FormatFingerprint writes it; without one there is no DTLS.
	Fingerprint string
	// Active is our part in the DTLS handshake of this call, once there was one: it stays (RFC 5763 §6.6). nil = not agreed yet.
	Active *bool
}

// Fingerprint is the hash of a certificate that the peer must show (RFC 8122 §5).
type Fingerprint struct {
	Hash string // "sha-256"
	Sum  []byte
}

// Protection is how a negotiated stream is protected.
type Protection struct {
	Way Way // "" is Unprotected
	// Ours and Theirs are the keys of SDES: we send with ours.
	Ours, Theirs Crypto
	// Fingerprints of which the peer's certificate must have one, and our part in the handshake of DTLS.
	Fingerprints []Fingerprint
	Active       bool
}

// String names the way: none, sdes, dtls.
func (p Protection) String() string {
	if p.Way == "" {
		return string(Unprotected)
	}
	return string(p.Way)
}

// sdes and dtls are the policies in force: what is required leaves no room for the other way, which would not satisfy it.
func (p Protect) sdes() Policy {
	if p.DTLS == Required && p.SDES != Required || len(p.Keys) == 0 {
		return Off
	}
	return p.SDES
}

func (p Protect) dtls() Policy {
	if p.SDES == Required || p.Fingerprint == "" {
		return Off
	}
	return p.DTLS
}

func (p Protect) required() bool { return p.SDES == Required || p.DTLS == Required }

// Profiles of RTP. The plain one carries keys, too, where protection is wanted and not insisted on: who knows nothing of it answers
// without. That is how softphones and PBXs do best effort; RFC 5939 found no friends.
const (
	profilePlain = "RTP/AVP"
	profileSDES  = "RTP/SAVP"
	profileDTLS  = "UDP/TLS/RTP/SAVP"
)

// profile is the one to offer.
func (p Protect) profile() string {
	switch {
	case p.dtls() == Required:
		return profileDTLS
	case p.sdes() == Required:
		return profileSDES
	}
	return profilePlain
}

// offer is what an offer says of protection.
func (p Protect) offer() []Attribute {
	var list []Attribute
	if p.dtls() != Off {
		list = append(list, Attribute{"fingerprint", p.Fingerprint}, Attribute{"setup", "actpass"})
	}
	if p.sdes() != Off {
		for _, c := range p.Keys {
			list = append(list, c.attribute())
		}
	}
	return list
}

// spoken reports whether a profile is one of ours, and whether it is a protected one.
func (m *Media) spoken() (protected, ok bool) {
	switch strings.ToUpper(m.Proto) {
	case "RTP/AVP", "RTP/AVPF":
		return false, true
	case "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF":
		return true, true
	}
	return false, false
}

// choose settles how an offered stream is protected; false when the line's policies and the offer leave no way.
func (p Protect) choose(d *Description, m *Media) (Protection, bool) {
	protected, ok := m.spoken()
	if !ok {
		return Protection{}, false
	}
	if prints := d.fingerprints(m); p.dtls() != Off && len(prints) > 0 {
		if active, ok := p.part(d.setup(m)); ok {
			return Protection{Way: DTLS, Fingerprints: prints, Active: active}, true
		}
	}
	if p.sdes() != Off && !strings.HasPrefix(strings.ToUpper(m.Proto), "UDP/TLS") {
		for _, theirs := range m.cryptos() {
			if i := p.key(theirs.Suite); i >= 0 {
				ours := p.Keys[i]
				ours.Tag = theirs.Tag
				return Protection{Way: SDES, Ours: ours, Theirs: theirs}, true
			}
		}
	}
	return Protection{}, !protected && !p.required()
}

func (p Protect) key(suite string) int {
	return slices.IndexFunc(p.Keys, func(c Crypto) bool { return c.Suite == suite })
}

// part is ours in a handshake that an offer asks for (RFC 5763 §5): the active one unless the other side takes it.
func (p Protect) part(setup string) (active, ok bool) {
	switch setup {
	case "active":
		return false, true
	case "passive":
		return true, true
	case "actpass", "": // nothing said: RFC 4145 §4's default would have the offerer begin; nobody means it
		return p.Active == nil || *p.Active, true
	}
	return false, false // holdconn
}

// answer is what an answer says of the protection chosen.
func (p Protection) answer(c Protect) []Attribute {
	switch p.Way {
	case DTLS:
		setup := "passive"
		if p.Active {
			setup = "active"
		}
		return []Attribute{{"fingerprint", c.Fingerprint}, {"setup", setup}}
	case SDES:
		return []Attribute{p.Ours.attribute()}
	}
	return nil
}

// agreed reads from an answer how the stream that we offered is protected.
func (p Protect) agreed(own *Media, d *Description, m *Media) (Protection, error) {
	if _, offered := attribute(own.Attributes, "fingerprint"); offered {
		if prints := d.fingerprints(m); len(prints) > 0 {
			setup := d.setup(m)
			return Protection{Way: DTLS, Fingerprints: prints, Active: setup == "passive" || setup == ""}, nil
		}
	}
	if ours, chosen := own.cryptos(), m.cryptos(); len(ours) > 0 && len(chosen) > 0 {
		theirs := chosen[0] // an answer has one
		i := slices.IndexFunc(ours, func(c Crypto) bool { return c.Tag == theirs.Tag })
		if i < 0 || ours[i].Suite != theirs.Suite {
			return Protection{}, fmt.Errorf("%w: the answer takes a crypto line that was not offered: %d %s", ErrNotAcceptable, theirs.Tag, theirs.Suite)
		}
		return Protection{Way: SDES, Ours: ours[i], Theirs: theirs}, nil
	}
	if protected, _ := own.spoken(); protected || p.required() {
		return Protection{}, fmt.Errorf("%w: the answer has no protection, the line requires it", ErrNotAcceptable)
	}
	return Protection{}, nil
}

func (d *Description) setup(m *Media) string {
	v, _ := d.attribute(m, "setup")
	return strings.ToLower(v)
}

// fingerprints of a stream, its own, else the session's.
func (d *Description) fingerprints(m *Media) []Fingerprint {
	read := func(attributes []Attribute) (list []Fingerprint) {
		for _, a := range attributes {
			if strings.EqualFold(a.Key, "fingerprint") {
				if f, ok := parseFingerprint(a.Value); ok {
					list = append(list, f)
				}
			}
		}
		return list
	}
	if list := read(m.Attributes); len(list) > 0 {
		return list
	}
	return read(d.Attributes)
}

// hashSizes are the hashes a fingerprint may be of. SHA-1 and MD5 can be forged.
var hashSizes = map[string]int{"sha-256": 32, "sha-384": 48, "sha-512": 64}

// parseFingerprint reads "sha-256 AB:CD:…".
func parseFingerprint(text string) (Fingerprint, bool) {
	hash, sum, ok := strings.Cut(strings.TrimSpace(text), " ")
	f := Fingerprint{Hash: strings.ToLower(hash)}
	var err error
	f.Sum, err = hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(sum), ":", ""))
	return f, ok && err == nil && len(f.Sum) > 0 && len(f.Sum) == hashSizes[f.Hash]
}

// FormatFingerprint writes a fingerprint the way a=fingerprint has it.
func FormatFingerprint(f Fingerprint) string {
	parts := make([]string, 0, len(f.Sum))
	for _, b := range f.Sum {
		parts = append(parts, fmt.Sprintf("%02X", b))
	}
	return f.Hash + " " + strings.Join(parts, ":")
}

// complaint says why an offered stream is not taken for the sake of its protection.
func (p Protect) complaint(m *Media) string {
	protected, ok := m.spoken()
	switch {
	case !ok:
		return fmt.Sprintf("profile %s is offered, %s is spoken", m.Proto, profilePlain)
	case !protected:
		return fmt.Sprintf("profile %s is offered without the protection that the line requires", m.Proto)
	case p.sdes() == Off && p.dtls() == Off:
		return fmt.Sprintf("profile %s is offered, the line takes unprotected media only", m.Proto)
	}
	return fmt.Sprintf("profile %s is offered without keys of a kind that the line takes", m.Proto)
}
