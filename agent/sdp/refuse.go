package sdp

// Refuse answers an offer with every stream of it refused (RFC 3264 §6: port zero), for
// offers that must have an answer even where nobody wants the session.
func Refuse(offer *Description, o Origin) *Description {
	d := &Description{Origin: o, Connection: at(o.Addr)}
	for i := range offer.Media {
		d.Media = append(d.Media, refuse(&offer.Media[i]))
	}
	return d
}
