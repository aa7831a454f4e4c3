package sdp

import (
	"slices"
	"strings"
)

// Redirect is a description of ours offered again with another direction of its audio, as hold and resume do: nothing else changes,
// neither codecs nor keys, so that nothing else is negotiated anew.
func Redirect(previous *Description, dir Direction, o Origin) *Description {
	d := *previous
	d.Origin, d.Media = o, slices.Clone(previous.Media)
	if i := d.audio(); i >= 0 {
		m := &d.Media[i]
		m.Attributes = append(slices.DeleteFunc(slices.Clone(m.Attributes), func(a Attribute) bool {
			return slices.ContainsFunc(directionNames[:], func(name string) bool { return strings.EqualFold(a.Key, name) })
		}), Attribute{Key: dir.String()})
	}
	return &d
}

// Restart is a description of ours offered again with the credentials and candidates of a further ICE session (RFC 8839 §4.4.1.1.1):
// nothing else changes.
func Restart(previous *Description, own *ICE, o Origin) *Description {
	d := *previous
	d.Origin, d.Media = o, slices.Clone(previous.Media)
	if i := d.audio(); i >= 0 {
		m := &d.Media[i]
		m.Attributes = append(slices.DeleteFunc(slices.Clone(m.Attributes), func(a Attribute) bool {
			return slices.Contains([]string{keyUfrag, keyPwd, keyCandidate}, strings.ToLower(a.Key))
		}), own.attributes()...)
	}
	return &d
}
