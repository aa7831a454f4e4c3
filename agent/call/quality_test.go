package call_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
)

func TestTheRecordTellsHowAudioArrives(t *testing.T) {
	n := func(v float64) *float64 { return &v }
	heard := &media.Figures{
		LossPercent: n(2), DiscardPercent: n(0.5), BurstPercent: n(30), BurstMs: n(120), GapPercent: n(1), GapMs: n(4000), JitterMs: n(3), RTTMs: n(80),
		BufferMs: n(40), EndSystemMs: n(60), DelayMs: n(100), R: n(86), MOSLQ: n(4.25), MOSCQ: n(4.2), SignalDBm0: n(-20),
	}
	const method = `{"method":"` + media.MOSMethod + `"`
	for says, c := range map[string]struct {
		stats media.Stats
		want  string
	}{
		"nothing was measured": {media.Stats{Sent: 5}, ""},
		"what comes here": {media.Stats{Received: 980, Lost: 20, Discarded: 5, Duplicates: 1, Reordered: 2, In: heard}, method +
			`,"received":{"packets":980,"lost":20,"lossPercent":2,"discarded":5,"discardPercent":0.5,"duplicates":1,"reordered":2,"burstPercent":30,"burstMs":120,"gapPercent":1,"gapMs":4000,` +
			`"jitterMs":3,"rttMs":80,"bufferMs":40,"endSystemMs":60,"delayMs":100,"r":86,"mosLq":4.25,"mosCq":4.2,"signalDbm0":-20}}`},
		"what a peer tells by reception reports": {media.Stats{Sent: 50, Out: &media.Figures{LossPercent: n(4), JitterMs: n(2)}, Peer: &media.PeerReport{Lost: 2, Of: 50}}, method +
			`,"sent":{"packets":50,"lost":2,"lossPercent":4,"jitterMs":2},"by":"rtcp"}`},
		"what a peer tells by VoIP metrics": {media.Stats{Sent: 50, Out: &media.Figures{LossPercent: n(4), MOSCQ: n(3.9), NoiseDBm0: n(-60)}, Peer: &media.PeerReport{Lost: -1}, Extended: true}, method +
			`,"sent":{"packets":50,"lost":0,"lossPercent":4,"mosCq":3.9,"noiseDbm0":-60},"by":"rtcp-xr"}`},
	} {
		simulate(t, autoAnswer, func(b *bench) {
			b.talking()
			b.session().measured(c.stats)
			r := b.record()
			got, err := json.Marshal(r.Quality)
			if r.Quality == nil {
				got = nil
			}
			if err != nil || string(got) != c.want {
				b.t.Errorf("%s:\n got %s\nwant %s", says, got, c.want)
			}
		})
	}
}

// A check that probes sends a probe, and its record tells what came back of it.
func TestAProbeIsSentWhereItIsAskedFor(t *testing.T) {
	for says, c := range map[string]struct {
		dial call.Dial
		want media.Source
	}{
		"a check that probes": {call.Dial{Check: "run", ToneHz: call.CheckToneHz, Probe: true}, media.Probe{Hz: call.CheckToneHz, LevelDBm0: -10, BesideHz: call.MarkerHz}},
		"one that does not":   {call.Dial{Check: "run", ToneHz: call.CheckToneHz}, media.Tone{Hz: call.CheckToneHz, LevelDBm0: -10}},
		"a silent call":       {call.Dial{Probe: true}, media.Silence{}},
	} {
		simulate(t, nil, func(b *bench) {
			b.talk(c.dial)
			if got := b.session().has().source; got != c.want {
				b.t.Errorf("%s: %+v is sent", says, got)
			}
			b.session().measured(media.Stats{Probe: &media.Probed{MouthToEarMs: 61.5, SegmentalSNR: 26, SpectralDistance: 1.5}})
			got, err := json.Marshal(b.record().Probe)
			if err != nil || string(got) != `{"mouthToEarMs":61.5,"segmentalSnrDb":26,"spectralDistanceDb":1.5}` {
				b.t.Errorf("%s: the record tells %s (%v)", says, got, err)
			}
		})
	}
}

// Both sides ask for VoIP metrics, where the other side knows of them.
func TestVoIPMetricsAreNegotiated(t *testing.T) {
	const asks = "a=rtcp-xr:voip-metrics"
	simulate(t, nil, func(b *bench) {
		invite := b.talk(call.Dial{})
		if body := string(invite.req.Body()); strings.Count(body, asks) != 1 {
			b.t.Errorf("the offer is\n%s", body)
		}
	})
	for _, knows := range []bool{true, false} {
		simulate(t, autoAnswer, func(b *bench) {
			offer := offerPCMU
			if knows {
				offer += asks + "\r\n"
			}
			p := b.invite("metrics", sdpBody(offer)...)
			p.ack()
			b.wantState(call.Established)
			if body := string(p.tx.last().Body()); strings.Contains(body, asks) != knows || b.session().has().agreed[0].VoIPMetrics != knows {
				b.t.Errorf("knows %v: the answer is\n%s", knows, body)
			}
		})
	}
}
