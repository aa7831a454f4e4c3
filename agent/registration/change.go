package registration

import "slices"

// change is what another configuration means for a running registration.
type change string

const (
	nothing    change = "nothing"
	live       change = "live"       // taken as it is
	reregister change = "reregister" // REGISTER again
	relocate   change = "relocate"   // un-REGISTER the old one first
)

// compare says what has to be done for b to be in force instead of a. Both have
// their defaults filled.
func compare(a, b Config) change {
	retrusted := a.Link.Trust != b.Link.Trust
	a.Link.Trust = b.Link.Trust
	switch {
	case a.AOR.User != b.AOR.User, a.AOR.Host != b.AOR.Host, a.Registrar != b.Registrar, a.Proxy != b.Proxy,
		a.Route != b.Route, a.Link != b.Link, a.ContactUser != b.ContactUser,
		a.Instance != b.Instance, a.RInstance != b.RInstance, a.Slot != b.Slot:
		return relocate
	case a.AuthUsername != b.AuthUsername, a.Password != b.Password, a.Expires != b.Expires, retrusted,
		a.ContactAddress != b.ContactAddress, a.Forced != b.Forced,
		a.AOR.Display != b.AOR.Display, !slices.Equal(a.Headers, b.Headers):
		return reregister
	case a.KeepAlive != b.KeepAlive, a.KeepAlivePeriod != b.KeepAlivePeriod, a.Name != b.Name, a.Log != b.Log:
		return live
	}
	return nothing
}
