package interop

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/test/drill"
	"github.com/softphone-operator/softphone-operator/test/peer/baresip"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/linphone"
	"github.com/softphone-operator/softphone-operator/test/peer/rtpengine"
)

// protectionPage tells who hears whom under which protection.
var protectionPage = drill.Page{
	File: "protection.md", Title: "Protected audio with others",
	Intro: "Calls from a line of an agent that insists on a protection (SDES with every suite that is spoken, the other side choosing; DTLS-SRTP), each side sending a tone of " +
		"its own, which the other tells by its frequency. baresip records what it decodes. linphone joins the call to one with another line, which hears what linphone decoded. " +
		"rtpengine stands between two lines, the one that is called being unprotected: it decrypts what the one sends and encrypts what the other one does.",
	Columns: []string{"baresip", "linphone", "rtpengine"},
}

// TestProtectionWithPeers calls each peer under each protection that both have, and listens at both ends.
func TestProtectionWithPeers(t *testing.T) {
	t.Parallel()
	g := newGrid(t, &protectionPage)
	for _, suite := range append(sdp.Suites(), "DTLS-SRTP") {
		g.row(suite)
	}
	sdes, dtls := secured("sdes", "required"), secured("dtls", "required")
	t.Run("rtpengine", func(t *testing.T) { t.Parallel(); acrossRTPEngine(t, g) })
	for _, c := range []struct{ row, ours, theirs, record string }{
		{sdp.Suites()[0], sdes, "srtp-mand", "sdes"}, {"DTLS-SRTP", dtls, "dtls_srtp", "dtls"},
	} {
		t.Run("baresip/"+c.row, func(t *testing.T) {
			t.Parallel()
			a, b, ctx := withBaresip(t, baresip.Account{AutoAnswer: true, Encryption: c.theirs}, c.ours)
			end := a.awaitCall(a.dial(`{"line":"alice","to":"bob","seconds":3,"toneHz":1004}`), "has ended", ended)
			_, err := b.Await(ctx, "CALL_CLOSED")
			must(t, err)
			hz, share := baresipHeard(t, b)
			g.cell(t, c.row, "baresip", protectedBy(t, end, c.record, c.row, near(end, 700), math.Abs(hz-1004) < 2 && share > 0.5), "both ways")
		})
	}
	for _, c := range []struct{ row, ours, theirs, record string }{
		{"AES_CM_128_HMAC_SHA1_80", sdes, "srtp", "sdes"}, {"AES_256_CM_HMAC_SHA1_80", sdes, "srtp", "sdes"}, {"DTLS-SRTP", dtls, "dtls", "dtls"},
	} {
		t.Run("linphone/"+c.row, func(t *testing.T) {
			t.Parallel()
			end, there := acrossLinphone(t, linphone.Config{Encryption: c.theirs, Suites: strings.TrimPrefix(c.row, "DTLS-SRTP")}, c.ours, "")
			g.cell(t, c.row, "linphone", protectedBy(t, end, c.record, c.row, near(end, 852), near(there, 1004)), "both ways")
		})
	}
}

// protectedBy tells what came of a call, which must have been protected like that. DTLS may choose among the suites.
func protectedBy(t *testing.T, end record, protection, suite string, we, they bool) string {
	t.Helper()
	if end.Protection != protection || protection == "sdes" && end.Cipher != suite || protection == "dtls" && end.Cipher == "" {
		t.Errorf("want %s by %s, the record says %s", suite, protection, pretty(end))
	}
	return whoHears(we, they)
}

// engineModules and engineRequest have kamailio put rtpengine into every call; it refuses the suites that the caller's name does not say.
const (
	engineModules = `
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:%s")
modparam("htable", "htable", "engine=>size=8")
reply_route { if (has_body("application/sdp")) rtpengine_manage("replace-origin"); }
`
	engineRequest = `
  if (is_method("INVITE|BYE|CANCEL")) {
    $var(flags) = "RTP/AVP ICE=remove replace-origin";
%s
    rtpengine_manage("$var(flags)");
  }
`
)

// acrossRTPEngine calls, under each protection, a line that has none.
func acrossRTPEngine(t *testing.T, g *grid) {
	t.Helper()
	engine := rtpengine.Start(t)
	rows := append(sdp.Suites(), "DTLS-SRTP")
	files, users, only := map[string]string{"agent.json": `{"version":1}`}, []string(nil), ""
	for i := range rows {
		users = append(users, fmt.Sprintf("line%d", i), fmt.Sprintf("plain%d", i))
	}
	for i, suite := range sdp.Suites() {
		flags := ""
		for _, other := range sdp.Suites() {
			if other != suite {
				flags += " SDES-no-" + other
			}
		}
		only += fmt.Sprintf("    if ($fU == \"line%d\") $var(flags) = $var(flags) + %q;\n", i, flags)
	}
	_, host := registrar(t, kamailio.Config{Extra: kamailio.Extra{Modules: fmt.Sprintf(engineModules, engine.Control()), Request: fmt.Sprintf(engineRequest, only)}}, users...)
	for i, row := range rows {
		nodes := secured("sdes", "required")
		if row == "DTLS-SRTP" {
			nodes = secured("dtls", "required")
		}
		line, plain := fmt.Sprintf("line%d", i), fmt.Sprintf("plain%d", i)
		files[line+".xml"], files[plain+".xml"] = accountXML(line, "secret-"+line, host, nodes), accountXML(plain, "secret-"+plain, host, autoAnswer)
	}
	a := startAgent(t, options{files: files})
	for _, user := range users {
		a.awaitLine(user, "registered")
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = a.dial(fmt.Sprintf(`{"line":"line%d","to":"plain%d","seconds":3,"toneHz":1004}`, i, i))
	}
	for i, row := range rows {
		end := a.awaitCall(ids[i], "has ended", ended)
		there := a.awaitIncoming(fmt.Sprintf("plain%d", i), "has ended", ended)
		protection := "sdes"
		if row == "DTLS-SRTP" {
			protection = "dtls"
		}
		if there.Protection != "none" {
			t.Errorf("%s: the other line has %s", row, pretty(there))
		}
		g.cell(t, row, "rtpengine", protectedBy(t, end, protection, row, near(end, 1004), near(there, 1004)), "both ways")
	}
}
