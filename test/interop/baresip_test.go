package interop

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// withBaresip runs an agent with the line alice, a registered baresip bob that
// sends 700 Hz, and their registrar.
func withBaresip(t *testing.T, bob baresip.Account, more ...string) (*softphone, *baresip.Program, context.Context) {
	t.Helper()
	return withBaresipOn(t, "{\"version\":1}", bob, more...)
}

// withBaresipOn is withBaresip with an agent.json.
func withBaresipOn(t *testing.T, agentJSON string, bob baresip.Account, more ...string) (*softphone, *baresip.Program, context.Context) {
	t.Helper()
	return withBaresipIn(t, options{files: map[string]string{"agent.json": agentJSON}}, bob, more...)
}

// withBaresipIn is withBaresip with an agent of its own kind.
func withBaresipIn(t *testing.T, o options, bob baresip.Account, more ...string) (*softphone, *baresip.Program, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	r, host := registrar(t, kamailio.Config{}, "alice", "bob")
	o.files["alice.xml"] = accountXML("alice", "secret-alice", host, more...)
	a := startAgent(t, o)
	a.awaitLine("alice", "registered")
	bob.User, bob.Host, bob.Password, bob.Register = "bob", host, "secret-bob", true
	b := baresip.ForTest(t, baresip.Config{ToneHz: 700, Account: bob})
	awaitBindings(t, r, "bob", 1)
	return a, b, ctx
}

// baresipHeard ends baresip and tells which tone it recorded.
func baresipHeard(t *testing.T, b *baresip.Program) (hz, share float64) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	hz, share, err := b.Heard()
	if err != nil {
		t.Fatal(err)
	}
	return hz, share
}

// baresipCodecs are codecs by baresip's names and by the SDP's: G.722's clock is
// not its sampling rate.
var baresipCodecs = []struct{ number, theirs, sdp string }{
	{"0", "PCMU/8000", "PCMU/8000"}, {"8", "PCMA/8000", "PCMA/8000"}, {"9", "G722/16000", "G722/8000"}, {"3", "GSM/8000", "GSM/8000"},
	{"103", "opus/48000/2", "opus/48000/2"},
}

func TestBaresipCallsTheEcho(t *testing.T) {
	t.Parallel()
	for _, codec := range baresipCodecs {
		t.Run(strings.Split(codec.sdp, "/")[0], func(t *testing.T) {
			a, b, ctx := withBaresip(t, baresip.Account{Codecs: []string{codec.theirs}}, autoAnswer)
			echoes(ctx, t, a, b, codec.sdp)
		})
	}
}

// echoes has baresip call alice, who echoes; both must hear baresip's 700 Hz in
// the codec that was agreed on.
func echoes(ctx context.Context, t *testing.T, a *softphone, b *baresip.Program, codec string) {
	t.Helper()
	if err := b.Dial(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Await(ctx, "CALL_ESTABLISHED"); err != nil {
		t.Fatal(err)
	}
	a.awaitIncoming("alice", "has two seconds of audio", func(r record) bool { return r.RTP.Received > 100 && near(r, 700) })
	if err := b.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	end := a.awaitIncoming("alice", "ended", ended)
	hz, share := baresipHeard(t, b)
	if math.Abs(hz-700) > 2 || share < 0.5 {
		t.Errorf("baresip heard %.0f Hz with a share of %.2f, it sent 700 Hz to an echo", hz, share)
	}
	if end.Codec != codec || end.End.By != "remote" || end.RTP.Lost > 2 || end.MOS == nil {
		t.Errorf("the record says %s, want codec %s", pretty(end), codec)
	}
	outcome(t, "baresip", "%s: we heard %s, it heard %.0f Hz (purity %.2f), lost %d, %s", end.Codec, heard(end), hz, share, end.RTP.Lost, mos(end))
}

// TestWhoseCodecListWins has baresip offer G.722, µ-law and GSM, in that order, to
// lines of different opinions.
func TestWhoseCodecListWins(t *testing.T) {
	t.Parallel()
	const cellular = `{"version":1,"network":{"type":"cellular"}}`
	for sentence, c := range map[string]struct{ agentJSON, account, want string }{
		"Wi-Fi honours theirs":         {`{"version":1}`, "<codecOrder>0,3,9</codecOrder>", "G722/8000"},
		"Wi-Fi told to keep ours":      {`{"version":1}`, "<codecOrder>0,3,9</codecOrder><honorTheirCodecListWiFi>0</honorTheirCodecListWiFi>", "PCMU/8000"},
		"cellular keeps ours":          {cellular, "<codecOrder3G>18,3,0,9</codecOrder3G>", "GSM/8000"},
		"cellular told to take theirs": {cellular, "<codecOrder3G>3,0,9</codecOrder3G><honorTheirCodecList3G>1</honorTheirCodecList3G>", "G722/8000"},
	} {
		t.Run(sentence, func(t *testing.T) {
			a, b, ctx := withBaresipOn(t, c.agentJSON, baresip.Account{Codecs: []string{"G722/16000", "PCMU/8000", "GSM/8000"}}, autoAnswer, c.account)
			echoes(ctx, t, a, b, c.want)
		})
	}
}

func TestDigitsFromBaresip(t *testing.T) {
	t.Parallel()
	a, b, ctx := withBaresip(t, baresip.Account{}, autoAnswer)
	if err := b.Dial(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Await(ctx, "CALL_ESTABLISHED"); err != nil {
		t.Fatal(err)
	}
	want := ""
	for _, digit := range "42*#0" {
		want += string(digit)
		if err := b.SendDigits(ctx, string(digit)); err != nil {
			t.Fatal(err)
		}
		a.awaitIncoming("alice", fmt.Sprintf("received %q", want), func(r record) bool { return r.DTMF == want })
	}
	if err := b.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	end := a.awaitIncoming("alice", "ended", ended)
	outcome(t, "baresip", "RFC 4733 digits %q, pressed one by one", end.DTMF)
}

func TestBaresipRefusesACall(t *testing.T) {
	t.Parallel()
	a, b, ctx := withBaresip(t, baresip.Account{})
	id := a.dial(`{"line":"alice","to":"bob"}`)
	if _, err := b.Await(ctx, "CALL_INCOMING"); err != nil {
		t.Fatal(err)
	}
	a.awaitCall(id, "rings", func(r record) bool { return r.State == "ringing" })
	if err := b.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	end := a.awaitCall(id, "has ended", ended)
	if end.End.Code < 400 || end.End.By != "remote" {
		t.Errorf("the record says %s", pretty(end))
	}
	outcome(t, "baresip", "rings, then %s", end.End.Reason)
}
