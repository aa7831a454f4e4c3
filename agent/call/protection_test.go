package call_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
)

// What is offered when best effort is refused, step by step, until nothing is left to offer.
func TestARefusedBestEffortInsists(t *testing.T) {
	const sdes, dtls = "<sdesOutgoing>enabled</sdesOutgoing>", "<dtlsOutgoing>enabled</dtlsOutgoing>"
	for nodes, want := range map[string][]string{
		"":                                       {"RTP/AVP"},
		sdes:                                     {"RTP/AVP crypto", "RTP/SAVP crypto"},
		dtls:                                     {"RTP/AVP fingerprint", "UDP/TLS/RTP/SAVP fingerprint"},
		sdes + dtls:                              {"RTP/AVP fingerprint crypto", "UDP/TLS/RTP/SAVP fingerprint", "RTP/SAVP crypto"},
		"<sdesOutgoing>required</sdesOutgoing>":  {"RTP/SAVP crypto"},
		"<dtlsOutgoing>required</dtlsOutgoing>":  {"UDP/TLS/RTP/SAVP fingerprint"},
		"<sdesIncoming>required</sdesIncoming>":  {"RTP/AVP"},
		"<sdesOutgoing>disabled</sdesOutgoing>":  {"RTP/AVP"},
		"<zrtpOutgoing>enabled</zrtpOutgoing>":   {"RTP/AVP"},
		"<dtlsOutgoing>enabled</dtlsOutgoing>\n": {"RTP/AVP fingerprint", "UDP/TLS/RTP/SAVP fingerprint"},
	} {
		simulate(t, func(o *call.Options) { o.Account = accountOf(t, nodes) }, func(b *bench) {
			b.dial(call.Dial{})
			for i, what := range want {
				invites := b.net.requests("INVITE")
				if len(invites) != i+1 {
					b.t.Fatalf("%s: %d INVITEs, want %d", nodes, len(invites), i+1)
				}
				invite := invites[i]
				if got := offerOf(string(invite.req.Body())); got != what || invite.req.CSeq().SeqNo != uint32(i+1) {
					b.t.Errorf("%s: INVITE %d (CSeq %s) offers %s, want %s", nodes, i, invite.req.CSeq().Value(), got, what)
				}
				if n := len(invite.req.GetHeaders("Content-Type")); n != 1 {
					b.t.Errorf("%d Content-Type headers", n)
				}
				invite.respond(488, "Not Acceptable Here", fmt.Sprint("callee", i))
			}
			b.wantEnd(488, call.Remote, "488 Not Acceptable Here")
		})
	}
}

// offerOf is a description's profile and what it says of protection.
func offerOf(body string) string {
	_, media, _ := strings.Cut(body, "m=audio ")
	words := []string{strings.Fields(media)[1]}
	for _, key := range []string{"fingerprint", "crypto"} {
		if strings.Contains(body, "a="+key+":") {
			words = append(words, key)
		}
	}
	return strings.Join(words, " ")
}

// What a line requires and nobody speaks costs no INVITE.
func TestARequiredProtectionThatNobodySpeaks(t *testing.T) {
	simulate(t, func(o *call.Options) { o.Account = accountOf(t, "<zrtpOutgoing>required</zrtpOutgoing>") }, func(b *bench) {
		b.dial(call.Dial{})
		b.wantEnd(488, call.Policy, "the line requires a protection of its media that is not spoken here: ZRTP")
		if n := len(b.net.requests("INVITE")); n != 0 {
			b.t.Errorf("%d INVITEs", n)
		}
	})
}

// A handshake that fails ends the call: it must not go on in the clear.
func TestACallEndsWhenItsMediaGetsNoKeys(t *testing.T) {
	var config media.Config
	simulate(t, func(o *call.Options) {
		open := o.OpenMedia
		o.OpenMedia = func(c media.Config) (call.Media, error) { config = c; return open(c) }
	}, func(b *bench) {
		b.talk(call.Dial{})
		config.OnProtected(fmt.Errorf("%w: DTLS: handshake timed out", media.ErrNotProtected))
		synctest.Wait()
		bye := b.net.only("BYE")
		if got := bye.req.GetHeader("Reason"); got == nil || !strings.Contains(got.Value(), "media not protected") {
			b.t.Errorf("BYE says %v", got)
		}
		bye.respond(200, "OK", "callee")
		b.wantEnd(200, call.Policy, "the media could not be protected: DTLS: handshake timed out")
	})
}

// Calls of ours are protected as the Outgoing nodes say, calls to us as the Incoming ones do, whatever the others say.
func TestEachDirectionHasItsOwnProtection(t *testing.T) {
	const refused = "488"
	plain, sdes, dtls := theirs("none"), theirs("sdes"), theirs("dtls")
	_, key, _ := strings.Cut(sdes, "a=crypto:")
	either := plain + "a=crypto:" + key
	for nodes, c := range map[string]struct {
		offers  string            // of ours
		answers map[string]string // to offers of theirs
	}{
		"<sdesIncoming>required</sdesIncoming>":                                      {"RTP/AVP", map[string]string{plain: refused, sdes: "RTP/SAVP crypto", either: "RTP/AVP crypto", dtls: refused}},
		"<sdesOutgoing>required</sdesOutgoing>":                                      {"RTP/SAVP crypto", map[string]string{plain: "RTP/AVP", sdes: refused, either: "RTP/AVP", dtls: refused}},
		"<sdesIncoming>enabled</sdesIncoming>":                                       {"RTP/AVP", map[string]string{plain: "RTP/AVP", sdes: "RTP/SAVP crypto", either: "RTP/AVP crypto", dtls: refused}},
		"<sdesOutgoing>enabled</sdesOutgoing>":                                       {"RTP/AVP crypto", map[string]string{plain: "RTP/AVP", sdes: refused, either: "RTP/AVP", dtls: refused}},
		"<dtlsIncoming>required</dtlsIncoming>":                                      {"RTP/AVP", map[string]string{plain: refused, sdes: refused, either: refused, dtls: "UDP/TLS/RTP/SAVP fingerprint"}},
		"<dtlsOutgoing>required</dtlsOutgoing>":                                      {"UDP/TLS/RTP/SAVP fingerprint", map[string]string{plain: "RTP/AVP", sdes: refused, either: "RTP/AVP", dtls: refused}},
		"<dtlsIncoming>enabled</dtlsIncoming>":                                       {"RTP/AVP", map[string]string{plain: "RTP/AVP", sdes: refused, dtls: "UDP/TLS/RTP/SAVP fingerprint"}},
		"<sdesOutgoing>required</sdesOutgoing><dtlsIncoming>required</dtlsIncoming>": {"RTP/SAVP crypto", map[string]string{plain: refused, sdes: refused, dtls: "UDP/TLS/RTP/SAVP fingerprint"}},
	} {
		account := func(o *call.Options) { o.Account = answering(t, nodes) }
		simulate(t, account, func(b *bench) {
			if got := offerOf(description(b, false)); got != c.offers {
				b.t.Errorf("%s: offers %s, want %s", nodes, got, c.offers)
			}
		})
		for offer, want := range c.answers {
			simulate(t, account, func(b *bench) {
				p := b.invite("a", sdpBody(offer)...)
				got := fmt.Sprint(p.tx.last().StatusCode)
				if got == "200" {
					got = offerOf(string(p.tx.last().Body()))
				}
				p.ack()
				if got != want {
					b.t.Errorf("%s: the answer is %s, want %s, to\n%s", nodes, got, want, offer)
				}
			})
		}
	}
}

const fingerprint = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:3E:5D:49:6B:19:E5:7C:AB:3E:5D:49:6B"
