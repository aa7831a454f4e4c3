package call

import (
	"testing"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/codec"
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
