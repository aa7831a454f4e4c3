package controllers

import (
	"fmt"
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// mediaReachable tells whether the audio of others gets to the line, and why its agent
// thinks so. It names addresses, and no port of a moment: it changes when the network does.
func mediaReachable(f accountFacts, c conditionSet) {
	switch {
	case f.placed == nil || suspended(f):
		c.remove(v1.ConditionMediaReachable)
		return
	case f.report == nil || f.report.Slot != int(f.placed.slot):
		return // what was told stands until there is something better to say
	case f.report.Media == nil:
		c.remove(v1.ConditionMediaReachable)
		return
	}
	m := f.report.Media
	status, known := mediaStatus[m.Reach]
	reason, message := mediaFinding(m)
	if !known || reason == "" {
		c.set(v1.ConditionMediaReachable, metav1.ConditionUnknown, v1.ReasonNoReport, "the agent found out what this version does not know: "+clean(string(m.Finding)))
		return
	}
	c.set(v1.ConditionMediaReachable, status, reason, message)
}

var mediaStatus = map[delivery.MediaReach]metav1.ConditionStatus{
	delivery.MediaReachable: metav1.ConditionTrue, delivery.MediaUnreachable: metav1.ConditionFalse, delivery.MediaUnsure: metav1.ConditionUnknown,
}

// mediaFinding is a finding in words, with what mends it; reason "" = none that is known.
func mediaFinding(m *delivery.MediaReport) (reason, message string) {
	announced, seen := mediaAddress(m.Address), mediaAddress(m.Seen)
	detail := ""
	if m.Detail != "" {
		detail = " (" + clean(m.Detail) + ")"
	}
	switch m.Finding {
	case delivery.MediaDirect:
		if m.Reach == delivery.MediaUnsure {
			return v1.ReasonDirect, "calls announce the agent's own address, " + announced + detail
		}
		return v1.ReasonDirect, "calls announce the agent's own address, " + announced + ", and others see no other" + detail
	case delivery.MediaMapped:
		return v1.ReasonMapped, "behind a NAT, calls announce " + announced + ", as STUN sees the agent"
	case delivery.MediaRelayed:
		return v1.ReasonRelayed, "calls announce " + announced + ", a TURN server's address, which passes their audio on"
	case delivery.MediaBehindNAT:
		return v1.ReasonBehindNAT, fmt.Sprintf("calls announce the agent's own address, %s, but the server sees it at %s%s: audio gets here only where the server relays it, "+
			"or answers to where ours comes from; name a STUN server, or run the agents on the host's network", announced, seen, detail)
	case delivery.MediaSymmetricNAT:
		return v1.ReasonSymmetricNAT, "the agent's NAT has another address for everybody, so what STUN finds is good for nobody else; calls announce " + announced +
			": give a user and a password of a TURN server" + detail
	case delivery.MediaNoRelay:
		return v1.ReasonNoRelay, "calls have to be relayed, and no TURN server does" + detail
	case delivery.MediaNoPorts:
		return v1.ReasonNoPorts, "there is no free port for audio" + detail
	}
	return "", ""
}

// mediaAddress is an address that a report names, or what stands for one that is none.
func mediaAddress(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String()
	}
	return "an unknown address"
}
