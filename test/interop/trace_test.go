package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
	"github.com/softphone-operator/softphone-operator/test/peer/sipp"
)

// apiKey stands in a header of an account, as carriers want it.
const apiKey = "key-of-the-carrier"

// TestTracesTellTheCallAndNoSecret: two lines call each other over a registrar that asks
// for passwords, one sends digits by INFO. Everything that can be read of it afterwards
// tells the call, and nothing of what somebody could use: what went over the wire is
// taken from a relay between, and looked for in every output.
func TestTracesTellTheCallAndNoSecret(t *testing.T) {
	t.Parallel()
	w := newWatched(t, kamailio.Config{}, "alice", "bob")
	const digits = "<dtmfOrder>info</dtmfOrder>"
	header := `<headers><header method="*" name="X-Api-Key">` + apiKey + `</header></headers>`
	a := startAgent(t, options{files: map[string]string{
		"alice.xml": w.account("alice", "secret-alice", digits, header), "bob.xml": w.account("bob", "secret-bob", autoAnswer, digits),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	out := a.awaitCall(a.dial(`{"line":"alice","to":"bob","seconds":4,"toneHz":852,"dtmf":"159#"}`), "has ended", ended)
	in := a.awaitIncoming("bob", "has ended", ended)
	a.awaitTrace("calls/"+out.ID, "200 OK (BYE)")

	secrets := []string{"secret-alice", "secret-bob", apiKey, "Signal=1", "Signal=5", "Signal=9", "Signal=#"}
	for _, m := range w.relay.Seen(time.Time{}) {
		for _, name := range []string{"Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"} {
			for _, p := range []string{"nonce", "response", "cnonce"} {
				if s := parameter(m.Header(name), p); s != "" && !slices.Contains(secrets, s) {
					secrets = append(secrets, s)
				}
			}
		}
	}
	if len(secrets) < 12 {
		t.Fatalf("the wire had few secrets: %q", secrets)
	}
	read := a.everyTrace("calls/"+out.ID, "calls/"+in.ID, "calls/"+out.CallID, "lines/alice", "lines/bob")
	read["the log"] = a.Log()
	for where, text := range read {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s tells %q", where, s)
			}
		}
	}
	for where, want := range map[string][]string{
		"calls/" + out.ID + "/ladder":     {"INVITE [SDP]", "407 Proxy Authentication Required", "with credentials", "200 OK [SDP]", "INFO [dtmf-relay]", "BYE", "200 OK (BYE)"},
		"calls/" + in.ID + "/ladder":      {"line bob from sip:alice@", "INVITE [SDP]", "ended, 200"},
		"calls/" + out.CallID + "/ladder": {"Call " + out.ID + " of line alice"},
		"lines/alice/ladder":              {"REGISTER", "401 Unauthorized (REGISTER)", "200 OK (REGISTER)"},
		"calls/" + out.ID + "/trace":      {"X-Api-Key: ***", "Signal=*", "response=***", `username=\"alice\"`},
	} {
		for _, s := range want {
			if !strings.Contains(read[where], s) {
				t.Errorf("%s does not tell %q:\n%s", where, s, read[where])
			}
		}
	}
	if strings.Contains(read["lines/alice/ladder"], "INVITE") || strings.Contains(read["lines/alice/trace"], "sip:bob@") {
		t.Error("the line's trace has calls, or what is another's")
	}
	outcome(t, "kamailio", "%d outputs of two calls and two lines, %d secrets of the wire in none", len(read), len(secrets))
}

// awaitTrace waits until a ladder tells something: calls end before the last response.
func (s *softphone) awaitTrace(of, what string) {
	s.t.Helper()
	eventually(s.t, of+" tells "+what, func() (bool, string) {
		_, ladder := s.request("GET", "/"+of+"/ladder", "")
		return strings.Contains(string(ladder), what), string(ladder)
	})
}

// everyTrace reads all that there is of calls and lines.
func (s *softphone) everyTrace(of ...string) map[string]string {
	s.t.Helper()
	read := map[string]string{}
	for _, path := range of {
		for _, view := range []string{"trace", "trace?format=ndjson", "ladder", "ladder?charset=ascii", "ladder?format=json", "pcap"} {
			code, body := s.request("GET", "/"+path+"/"+view, "")
			if code != 200 || len(body) == 0 {
				s.t.Fatalf("%s/%s: %d %s", path, view, code, body)
			}
			read[path+"/"+view] = string(body)
		}
	}
	return read
}

// TestTheLadderOfACallThatFailed is what somebody reads who was woken by it.
func TestTheLadderOfACallThatFailed(t *testing.T) {
	t.Parallel()
	a, _ := called(t)
	p, uri := callee(t, sipp.Callee{Ring: 50 * time.Millisecond, Refuse: "486 Busy Here"})
	end := a.awaitCall(a.dial(fmt.Sprintf(`{"line":"alice","to":%q}`, uri)), "has ended", ended)
	finished(t, p)
	_, ladder := a.request("GET", "/calls/"+end.ID+"/ladder", "")
	rows := strings.Split(strings.TrimSpace(string(ladder)), "\n")
	var arrows []string
	for _, r := range rows {
		if _, arrow, ok := strings.Cut(r, "│"); ok && strings.Contains(r, "ms ") {
			arrows = append(arrows, strings.Trim(arrow, "│─▶◀ "))
		}
	}
	if got := len(arrows); got < 4 || !strings.HasPrefix(arrows[0], "INVITE [SDP]") || !strings.Contains(string(ladder), "486 Busy Here") || !strings.Contains(arrows[got-1], "ACK") {
		t.Errorf("the ladder:\n%s", ladder)
	}
	t.Logf("\n%s", ladder)
	cli := filepath.Join(t.TempDir(), "kubectl-softphone")
	build := exec.Command("go", "build", "-o", cli, "../../cmd/kubectl-softphone")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for says, args := range map[string][]string{"the last call": {"--last"}, "by its id": {"--call", end.ID}, "by its SIP Call-ID": {"--call", end.CallID}, "followed to its end": {"--last", "-f"}} {
		if got := run(t, cli, append([]string{"trace", "alice", "--agent", a.url}, args...)...); got != string(ladder) {
			t.Errorf("kubectl softphone trace, %s:\n%s", says, got)
		}
	}
	file := filepath.Join(t.TempDir(), "call.pcap")
	if said := run(t, cli, "trace", "alice", "--agent", a.url, "--last", "-o", "pcap", "-w", file); said != "" || !strings.Contains(run(t, "tshark", "-r", file, "-d", "udp.port==1-65535,sip", "-Y", "sip"), "486 Busy Here") {
		t.Errorf("the capture does not tell the end; %q", said)
	}
	outcome(t, "sipp", "ladder of %d messages: INVITE, 180, 486, ACK; the same by kubectl softphone trace", len(arrows))
}

// TestTheCaptureIsRead: by tcpdump and tshark, of what went over UDP and over TCP.
func TestTheCaptureIsRead(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		a, _ := called(t, autoAnswer, "<transport>"+transport+"</transport>")
		_, uri := callee(t, sipp.Callee{})
		out := a.awaitCall(a.dial(fmt.Sprintf(`{"line":"alice","to":%q,"seconds":1}`, uri)), "has ended", ended)
		a.awaitTrace("calls/"+out.ID, "200 OK (BYE)")
		for path, wants := range map[string][]string{"calls/" + out.ID: {"INVITE", "ACK", "BYE"}, "lines/alice": {"REGISTER"}} {
			code, capture := a.request("GET", "/"+path+"/pcap", "")
			file := filepath.Join(t.TempDir(), "trace.pcap")
			must(t, os.WriteFile(file, capture, 0o600))
			var messages struct{ Messages []json.RawMessage }
			_, raw := a.request("GET", "/"+path+"/trace", "")
			must(t, json.Unmarshal(raw, &messages))
			dump := run(t, "tcpdump", "-nn", "-v", "-A", "-r", file)
			if n := strings.Count(dump, "proto UDP (17)"); code != 200 || n != len(messages.Messages) || strings.Contains(dump, "bad udp cksum") || strings.Contains(dump, "bad cksum") || strings.Contains(dump, "truncated") {
				t.Errorf("tcpdump read %d datagrams of %d messages:\n%s", n, len(messages.Messages), dump)
			}
			methods := run(t, "tshark", "-r", file, "-o", "udp.check_checksum:TRUE", "-d", "udp.port==1-65535,sip", "-Y", "sip && !udp.checksum.bad", "-T", "fields", "-e", "sip.CSeq.method")
			if n := len(strings.Fields(methods)); n != len(messages.Messages) {
				t.Errorf("tshark read %d SIP messages of %d:\n%s", n, len(messages.Messages), methods)
			}
			for _, want := range wants {
				if !strings.Contains(dump, want+" sip:") || !slices.Contains(strings.Fields(methods), want) {
					t.Errorf("no %s in %s over %s", want, path, transport)
				}
			}
		}
	}
	outcome(t, "tshark", "captures of a call and a line, over UDP and TCP, read whole by tcpdump and tshark")
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, errors.String())
	}
	return string(out)
}

// TestTheCaptureServerIsToldEverything: kamailio's sipcapture takes the copies of a line
// and a call for what they are.
func TestTheCaptureServerIsToldEverything(t *testing.T) {
	t.Parallel()
	server := kamailio.ForTest(t, kamailio.Config{Capture: true})
	r, host := registrar(t, kamailio.Config{}, "alice", "bob")
	a := startAgent(t, options{files: map[string]string{
		"agent.json": fmt.Sprintf(`{"version":1,"hep":{"address":%q,"captureID":4711}}`, server.Addr()),
		// Small enough for UDP: all of it from one port, the line's.
		"alice.xml": accountXML("alice", "secret-alice", host, "<codecOrder>0</codecOrder>"), "bob.xml": accountXML("bob", "secret-bob", host, autoAnswer),
	}})
	a.awaitLine("alice", "registered")
	a.awaitLine("bob", "registered")
	ours := fmt.Sprintf("127.0.0.1:%d", a.sip)
	out := a.awaitCall(a.dial(`{"line":"alice","to":"bob","seconds":1}`), "has ended", ended)
	for _, want := range []string{
		fmt.Sprintf("captured: INVITE of %s from %s\n", out.CallID, ours),
		fmt.Sprintf("captured: 407 to INVITE of %s from %s\n", out.CallID, r.Addr()),
		fmt.Sprintf("captured: 200 to INVITE of %s from %s\n", out.CallID, r.Addr()),
		fmt.Sprintf("captured: BYE of %s from %s\n", out.CallID, ours),
	} {
		eventually(t, "the server has "+want, func() (bool, string) {
			log, err := os.ReadFile(server.LogFile())
			must(t, err)
			return strings.Contains(string(log), want), string(log[max(0, len(log)-3000):])
		})
	}
	if n := a.metric("softphone_hep_messages_total"); n < 10 {
		t.Errorf("%d messages are counted", n)
	}
	if n := a.metric("softphone_hep_dropped_total"); n != 0 {
		t.Errorf("%d messages were dropped", n)
	}
	outcome(t, "kamailio/sipcapture", "HEPv3: %d messages, INVITE, 407, 200 and BYE from where they came", a.metric("softphone_hep_messages_total"))
}
