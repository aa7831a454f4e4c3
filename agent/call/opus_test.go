package call

import (
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/codec"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Each node of opusOptions changes how Opus is asked for or sent, on its own kind of network.
func TestOpusNodesShapeTheCodec(t *testing.T) {
	wide := codec.DefaultOpus
	narrow := wide
	narrow.Bandwidth = 8000
	with := func(change func(*codec.Opus)) codec.Opus { o := wide; change(&o); return o }
	complexity, bits := 3, 24000
	base := account.Opus{Bandwidth: "wb", FEC: true, DTX: true, VBR: true, ExpectedPacketLoss: 5}
	for node, row := range map[string]struct {
		change func(*account.Opus)
		want   codec.Opus
	}{
		"nothing":            {func(*account.Opus) {}, wide},
		"bandwidth nb":       {func(o *account.Opus) { o.Bandwidth = "nb" }, narrow},
		"bandwidth fb":       {func(o *account.Opus) { o.Bandwidth = "fb" }, with(func(o *codec.Opus) { o.Bandwidth = 48000 })},
		"complexity":         {func(o *account.Opus) { o.Complexity = &complexity }, with(func(o *codec.Opus) { o.Complexity = 3 })},
		"bitrate":            {func(o *account.Opus) { o.Bitrate = &bits }, with(func(o *codec.Opus) { o.Bitrate = 24000 })},
		"fec":                {func(o *account.Opus) { o.FEC = false }, with(func(o *codec.Opus) { o.FEC = false })},
		"dtx":                {func(o *account.Opus) { o.DTX = false }, with(func(o *codec.Opus) { o.DTX = false })},
		"vbr":                {func(o *account.Opus) { o.VBR = false }, with(func(o *codec.Opus) { o.VBR = false })},
		"expectedPacketLoss": {func(o *account.Opus) { o.ExpectedPacketLoss = 20 }, with(func(o *codec.Opus) { o.ExpectedLoss = 20 })},
	} {
		o := base
		row.change(&o)
		if got := opus(o); got != row.want {
			t.Errorf("%s: %+v, want %+v", node, got, row.want)
		}
	}
	// Which set counts is the network's matter.
	a := &account.Account{Settings: &account.Settings{}}
	a.CodecOrder, a.CodecOrder3G, a.OpusOptions, a.OpusOptions3G = []int{103}, []int{103}, base, base
	a.OpusOptions3G.Bandwidth = "nb"
	for network, want := range map[delivery.NetworkType]codec.Opus{delivery.WiFi: wide, delivery.Cellular: narrow} {
		for _, f := range capabilities(a, network).Codecs { // none in a build without libopus
			if f.Opus != want || f.Params != want.Params() {
				t.Errorf("%v: %+v", network, f)
			}
		}
	}
}

// The nodes of the legacy telephone-events reach the negotiation, on every kind of network; agent/sdp and agent/media show what comes of it there.
func TestLegacyTelephoneEvents(t *testing.T) {
	for nodes, want := range map[string][2]bool{
		"": {false, false},
		"<rfc2833NegotiateOnly8kHzClockRate>1</rfc2833NegotiateOnly8kHzClockRate>":                                                             {true, false},
		"<rfc2833NegotiateOnly8kHzClockRate>1</rfc2833NegotiateOnly8kHzClockRate><rfc2833AdjustDurationTo8kHz>1</rfc2833AdjustDurationTo8kHz>": {true, true},
	} {
		docs, _, err := account.ReadString("<account><username>1</username><host>h</host>"+nodes+"</account>", account.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := account.Effective(docs[0])
		for _, network := range []delivery.NetworkType{delivery.WiFi, delivery.Cellular} {
			c := capabilities(a, network)
			if got := [2]bool{c.EventsAt8k, c.DurationsAt8k}; got != want {
				t.Errorf("%s on %v: %v, want %v", nodes, network, got, want)
			}
			n := 0
			c.Codecs = []codec.Format{{Name: "narrow", PT: 96, Clock: 8000, Channels: 1}, {Name: "wide", PT: 97, Clock: 48000, Channels: 1}}
			for _, line := range sdp.Offer(c, sdp.Origin{}).Media[0].Attributes {
				if strings.Contains(line.Value, "telephone-event/") {
					n++
				}
			}
			if only := n == 1; only != want[0] {
				t.Errorf("%s on %v: %d telephone-events are offered", nodes, network, n)
			}
		}
	}
}
