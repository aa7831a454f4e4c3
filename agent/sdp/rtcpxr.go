package sdp

import (
	"slices"
	"strings"
)

// Extended reports (RFC 3611 §5). A description says which blocks its owner wants to be sent; who offers asks, who answers may ask
// in turn where the offer had the attribute.
const (
	keyRTCPXR   = "rtcp-xr"
	voipMetrics = "voip-metrics"
)

// askMetrics is the attribute that asks for VoIP metrics.
func askMetrics() Attribute { return Attribute{Key: keyRTCPXR, Value: voipMetrics} }

// knowsXR reports whether the owner of a description knows the attribute, whatever it asks for.
func (d *Description) knowsXR(m *Media) bool {
	_, ok := d.attribute(m, keyRTCPXR)
	return ok
}

// wantsMetrics reports whether the owner of a description asks for VoIP metrics.
func (d *Description) wantsMetrics(m *Media) bool {
	text, _ := d.attribute(m, keyRTCPXR)
	return slices.Contains(strings.Fields(text), voipMetrics)
}
