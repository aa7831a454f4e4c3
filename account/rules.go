package account

import (
	"slices"
	"strings"
)

// A rule looks at several nodes at once.
type rule struct {
	// node is the one to mend; when the document leaves it at its default, at are
	// the nodes to point to instead.
	node  string
	at    []string
	judge func(a *Account) remark
}

var secureNodes = []string{"sdesIncoming", "sdesOutgoing", "zrtpIncoming", "zrtpOutgoing", "dtlsIncoming", "dtlsOutgoing"}

// crossRules is every rule across nodes.
var crossRules = []rule{
	{"rtpPortRangeEnd", []string{"rtpPortRangeStart"}, func(a *Account) remark {
		return when(a.RTPPortRangeEnd-a.RTPPortRangeStart < 4, wrong, "must be at least 4 ports after rtpPortRangeStart")
	}},
	{"videoMaxKbpsWifi", []string{"videoMinKbpsWifi"}, func(a *Account) remark {
		return when(a.VideoMaxKbpsWifi < a.VideoMinKbpsWifi, wrong, "is less than videoMinKbpsWifi")
	}},
	{"videoMaxKbps3G", []string{"videoMinKbps3G"}, func(a *Account) remark {
		return when(a.VideoMaxKbps3G < a.VideoMinKbps3G, wrong, "is less than videoMinKbps3G")
	}},
	{"sdesIncoming", []string{"zrtpIncoming"}, func(a *Account) remark { return oneRequired(a.SDESIncoming, a.ZRTPIncoming, a.DTLSIncoming) }},
	{"sdesOutgoing", []string{"zrtpOutgoing"}, func(a *Account) remark { return oneRequired(a.SDESOutgoing, a.ZRTPOutgoing, a.DTLSOutgoing) }},
	{"sdesIncoming", nil, func(a *Account) remark { return sdesNeedsTLS(a, a.SDESIncoming) }},
	{"sdesOutgoing", nil, func(a *Account) remark { return sdesNeedsTLS(a, a.SDESOutgoing) }},
	{"opusOptions.vbr", secureNodes, func(a *Account) remark { return vbrLeaks(a, a.OpusOptions, a.CodecOrder) }},
	{"opusOptions3G.vbr", secureNodes, func(a *Account) remark { return vbrLeaks(a, a.OpusOptions3G, a.CodecOrder3G) }},
	{"outboundProxy_host", nil, func(a *Account) remark {
		return when(a.OutboundProxyHost != "" && !a.OutboundProxyEnabled, odd, "has no effect unless outboundProxy_enabled is 1")
	}},
	{"outboundProxy_enabled", nil, func(a *Account) remark {
		return when(a.OutboundProxyEnabled && a.OutboundProxyHost == "", odd, "has no effect without outboundProxy_host")
	}},
	{"contactIP", nil, func(a *Account) remark {
		return when(a.ContactIP == "static" && a.ForcedContact == "", odd, "static needs an address in forcedContact")
	}},
	{"forcedContact", nil, func(a *Account) remark {
		return when(a.ContactIP != "static" && a.ForcedContact != "", odd, "has no effect unless contactIP is static")
	}},
	{"icm", nil, func(a *Account) remark {
		return when(a.ICM == "keepAwake" && a.Transport == UDP, odd, "keepAwake is meant for tcp and tls; keep-alive packets are needed on udp")
	}},
	{"expires", nil, func(a *Account) remark {
		return when(a.Expires < 300 && a.SIPISHost != "", odd, "less than 300 seconds with sipisHost risks a ban by the push relay")
	}},
	{"honorTheirCodecListWiFi", nil, func(a *Account) remark {
		return when(!a.HonorTheirCodecListWiFi, odd, "should be left at 1")
	}},
	{"honorTheirCodecList3G", nil, func(a *Account) remark {
		return when(a.HonorTheirCodecList3G, odd, "should be left at 0")
	}},
	{"ignoreSymmetricNat", nil, func(a *Account) remark {
		return when(a.IgnoreSymmetricNat, odd, "the address found behind a symmetric NAT can rarely be reached")
	}},
	{"dtmfAll", nil, func(a *Account) remark {
		return when(a.DTMFAll, odd, "sends every digit several times")
	}},
	{"rfc2833AdjustDurationTo8kHz", nil, func(a *Account) remark {
		return when(a.RFC2833AdjustDurationTo8kHz && !a.RFC2833NegotiateOnly8kHzClockRate, odd,
			"has no effect unless rfc2833NegotiateOnly8kHzClockRate is 1")
	}},
	{"userCallerIdMethod", nil, func(a *Account) remark { return knownMethods(a.UserCallerIDMethod) }},
	{"forwardingNumber", []string{"forwardingEnabled"}, func(a *Account) remark {
		return when(a.ForwardingEnabled && a.ForwardingNumber == "", odd, "is empty, but forwardingEnabled is 1")
	}},
}

func when(found bool, v verdict, message string) remark {
	if !found {
		return remark{}
	}
	return remark{v, message}
}

// callerIDMethods are the headers that may carry userCallerId.
var callerIDMethods = []string{"from", "pai", "ppi", "rpid"}

func knownMethods(list string) remark {
	for m := range strings.SplitSeq(list, ",") {
		if m = strings.TrimSpace(m); m != "" && !slices.Contains(callerIDMethods, strings.ToLower(m)) {
			return remarkf(odd, "%s has no effect; there is %s", quote(m), strings.Join(callerIDMethods, ", "))
		}
	}
	return remark{}
}

func oneRequired(sdes, zrtp, dtls string) remark {
	var names []string
	for _, t := range [...]struct{ name, value string }{{"sdes", sdes}, {"zrtp", zrtp}, {"dtls", dtls}} {
		if t.value == "required" {
			names = append(names, t.name)
		}
	}
	return when(len(names) > 1, wrong, strings.Join(names, " and ")+" are required at once; one technology protects a call")
}

func sdesNeedsTLS(a *Account, sdes string) remark {
	_, _, _, transport := a.Server()
	return when(sdes != "" && !transport.Secure(), odd, "without TLS the media keys can be read on the way")
}

// vbrLeaks: the size of variable bit rate packets tells what is said (RFC 6562).
func vbrLeaks(a *Account, o Opus, order []int) remark {
	secure := a.SDESIncoming+a.SDESOutgoing+a.ZRTPIncoming+a.ZRTPOutgoing+a.DTLSIncoming+a.DTLSOutgoing != ""
	return when(secure && o.VBR && slices.Contains(order, 103), odd, "variable bit rate is not advised for secure calls")
}

// rules applies the rules across nodes to the values that would be in force.
func (c *checker) rules() {
	a := effective(c.doc)
	for _, r := range crossRules {
		found := r.judge(a)
		n, _ := c.doc.Get(r.node)
		for i := 0; n == nil && i < len(r.at); i++ {
			n, _ = c.doc.Get(r.at[i])
		}
		c.add(n, r.node, found)
	}
}
