package interop

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/linphone"
)

// codecPage tells who hears whom in which codec.
var codecPage = drill.Page{
	File: "codecs.md", Title: "Codecs with others",
	Intro: "Calls from a line of an agent that offers one codec, each side sending a tone of its own, which the other tells by its frequency. baresip records what it " +
		"decodes. linphone joins the call to one with another line, in G.711, so that each line hears what linphone decoded of the other. " +
		"Lost are packets on the way to us; the MOS is what the codec allows at its best.",
	Columns: []string{"baresip", "linphone"},
}

// tableCodecs are codecs by number and by the SDP's name, and baresip's name for each; "" = it has it not, as Debian builds it. (Of iLBC
// Debian has a decoder only, which TestILBCAgainstFFmpeg asks.) MOS is what the E-model (G.107) gives the codec with nothing lost and some
// 150 ms from mouth to ear at most.
var tableCodecs = []struct{ number, sdp, baresip, mos string }{
	{"0", "PCMU/8000", "PCMU/8000", unimpaired},
	{"8", "PCMA/8000", "PCMA/8000", unimpaired},
	{"9", "G722/8000", "G722/16000", unimpaired},
	{"3", "GSM/8000", "GSM/8000", `3\.(5[4-9]|6\d|7[0-4])`},
	{"18", "G729/8000", "", `(3\.9[1-9]|4\.0\d|4\.10)`},
	{"103", "opus/48000/2", "opus/48000/2", unimpaired},
}

const unimpaired = `4\.(2[89]|3\d|40|41)`

// TestCodecsWithPeers calls each peer in each codec that both have, and listens at both ends.
func TestCodecsWithPeers(t *testing.T) {
	t.Parallel()
	g := newGrid(t, &codecPage)
	for _, c := range tableCodecs {
		name, _, _ := strings.Cut(c.sdp, "/")
		g.row(name)
		if c.baresip != "" {
			t.Run(name+"/baresip", func(t *testing.T) {
				t.Parallel()
				g.cell(t, name, "baresip", inCodecWithBaresip(t, c.number, c.sdp), "both ways, lost 0, MOS "+c.mos)
			})
		}
		t.Run(name+"/linphone", func(t *testing.T) {
			t.Parallel()
			g.cell(t, name, "linphone", inCodecWithLinphone(t, c.number, c.sdp), "both ways, lost 0, MOS "+c.mos)
		})
	}
}

// inCodecWithBaresip calls baresip, which has all of its codecs, and sends 700 Hz.
func inCodecWithBaresip(t *testing.T, number, sdp string) string {
	t.Helper()
	var all []string
	for _, c := range tableCodecs {
		if c.baresip != "" {
			all = append(all, c.baresip)
		}
	}
	a, b, ctx := withBaresip(t, baresip.Account{AutoAnswer: true, Codecs: all}, "<codecOrder>"+number+"</codecOrder>")
	end := a.awaitCall(a.dial(`{"line":"alice","to":"bob","seconds":3,"toneHz":1004}`), "has ended", ended)
	_, err := b.Await(ctx, "CALL_CLOSED")
	must(t, err)
	hz, share := baresipHeard(t, b)
	return inCodec(t, end, sdp, near(end, 700), math.Abs(hz-1004) < 2 && share > 0.5)
}

// inCodecWithLinphone calls linphone's conference, with the other side of it in G.711.
func inCodecWithLinphone(t *testing.T, number, sdp string) string {
	t.Helper()
	other := map[bool]string{true: "PCMA/8000", false: "PCMU/8000"}[sdp == "PCMU/8000"]
	end, there := acrossLinphone(t, linphone.Config{Codecs: []string{other, sdp}}, "<codecOrder>"+number+"</codecOrder>", "<codecOrder>0,8</codecOrder>")
	if there.Codec != other {
		t.Errorf("the other line speaks %s", there.Codec)
	}
	return inCodec(t, end, sdp, near(end, 852), near(there, 1004))
}

// acrossLinphone lets alice, who sends 1004 Hz, and carol, who sends 852, hear each other in linphone's conference, each with nodes of its
// own: it decodes what alice encodes, and alice what it encodes. here is alice's record of the call in the end, there is carol's.
func acrossLinphone(t *testing.T, c linphone.Config, alice, carol string) (here, there record) {
	t.Helper()
	c.AutoAnswer = true
	a, p, ctx := withLinphoneOf(t, c, `{"version":1,"drainSeconds":1}`, []string{"alice", "carol"}, map[string]string{"alice": alice, "carol": carol})
	calls, theirs := make(map[string]string), ""
	for _, user := range []string{"alice", "carol"} {
		calls[user] = a.dial(fmt.Sprintf(`{"line":%q,"to":"lin","toneHz":%d}`, user, map[string]int{"alice": 1004, "carol": 852}[user]))
		next, err := p.AwaitOther(ctx, "StreamsRunning", theirs)
		must(t, err)
		must(t, p.Confer(ctx, next))
		theirs = next
	}
	there = a.awaitCall(calls["carol"], "hears what linphone decoded", hears(1004))
	a.awaitCall(calls["alice"], "hears what linphone encoded", func(r record) bool { return hears(852)(r) && r.MOS != nil })
	if code, answer := a.request("DELETE", "/calls/"+calls["alice"], ""); code != 204 {
		t.Errorf("DELETE: %d %s", code, answer)
	}
	return a.awaitCall(calls["alice"], "has ended", ended), there
}

// inCodec tells what came of a call, which must have used the codec.
func inCodec(t *testing.T, end record, sdp string, we, they bool) string {
	t.Helper()
	if end.Codec != sdp {
		t.Errorf("want %s, the record says %s", sdp, pretty(end))
	}
	return fmt.Sprintf("%s, lost %d, %s", whoHears(we, they), end.RTP.Lost, mos(end))
}
