package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/tone"
)

// callRecord is what `kubectl softphone call -o json` prints.
type callRecord struct {
	State string `json:"state"`
	Codec string `json:"codec"`
	NAT   string `json:"nat"`
	RTP   struct {
		Sent, Received, Lost uint64
		JitterMs, RTTMs      *float64
	} `json:"rtp"`
	MOS   *float64 `json:"mos"`
	Heard *struct {
		FrequencyHz float64 `json:"frequencyHz"`
	} `json:"heard"`
	SetupMs *int64 `json:"setupMs"`
	End     *struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
		By     string `json:"by"`
	} `json:"end"`
}

// place runs the product's own command, the way a user does.
func place(t *testing.T, namespace string, args ...string) (callRecord, error) {
	t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "bin/kubectl-softphone", append([]string{"call", "-n", namespace, "-o", "json"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	failed := cmd.Run()
	var record callRecord
	if err := json.Unmarshal(out.Bytes(), &record); err != nil {
		t.Fatalf("kubectl softphone call: %v, %v\n%s%s", failed, err, out.String(), stderr.String())
	}
	t.Logf("call %v: %s", args, out.String())
	return record, failed
}

func TestACallIsAnsweredWithAnEchoThatIsHeard(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("caller", "secret-caller"))
	apply(t, ns, line("callee", "secret-callee", echoing...))
	awaitAccount(t, ns, "caller", "registered", registered)
	awaitAccount(t, ns, "callee", "registered", registered)

	const sent = 1004
	call, err := place(t, ns, "caller", "callee", "--seconds", "6", "--tone", fmt.Sprint(sent))
	if err != nil {
		t.Errorf("the call failed: %v", err)
	}
	ladder := run1(t, "bin/kubectl-softphone", "trace", "-n", ns, "caller", "--last")
	for _, want := range []string{"INVITE [SDP]", "200 OK [SDP]", "ACK", "BYE"} {
		if !strings.Contains(ladder, want) {
			t.Errorf("no %s in the call's ladder:\n%s", want, ladder)
		}
	}
	if call.RTP.Sent < 250 || call.RTP.Received < 250 {
		t.Errorf("sent %d packets and received %d in 6 s of 20 ms packets: want at least 250 each way", call.RTP.Sent, call.RTP.Received)
	}
	if call.Heard == nil || math.Abs(call.Heard.FrequencyHz-sent) > 5 {
		t.Errorf("heard %+v, want the echo of %d Hz", call.Heard, sent)
	}
	if call.MOS == nil || *call.MOS < 4 {
		t.Errorf("MOS %v, want above 4 between two pods of one node", call.MOS)
	}
	if call.MOS != nil && call.RTP.JitterMs != nil && call.SetupMs != nil && call.Heard != nil {
		measured(t, "call between two lines, 6 s", "%s, %d packets sent, %d received, %d lost, jitter %.1f ms, MOS %.2f, set up in %d ms, %.0f Hz heard of %d Hz",
			call.Codec, call.RTP.Sent, call.RTP.Received, call.RTP.Lost, *call.RTP.JitterMs, *call.MOS, *call.SetupMs, call.Heard.FrequencyHz, sent)
	}
	if call.Codec == "" || call.End == nil || call.End.By != "local" {
		t.Errorf("the record leaves something out: %+v", call)
	}
}

// That a missing ConfigMap holds nobody up is shown by the samples, whose fleet names one that is not there.
func TestTheFleetsPromptsArePlayed(t *testing.T) {
	ns := newNamespace(t)
	const hz = 770
	file := filepath.Join(t.TempDir(), "tone.wav")
	if err := tone.WriteWAV(file, tone.Sine(hz, time.Second)); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, ns, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sounds}\nbinaryData: {tone.wav: %s}", base64.StdEncoding.EncodeToString(sound)))
	const fleet = `
apiVersion: voip.softphone.dev/v1
kind: SoftphoneFleet
metadata: {name: default}
spec: {prompts: {%s}}
`
	if err := tryApply(t.Context(), ns, fmt.Sprintf(fleet, "configMap: sounds, persistentVolumeClaim: sounds")); err == nil || !strings.Contains(err.Error(), "spec.prompts") {
		t.Errorf("prompts of two volumes: got %v, want a refusal that names spec.prompts", err)
	}
	apply(t, ns, fmt.Sprintf(fleet, "configMap: sounds"))
	apply(t, ns, line("caller", "secret-caller"))
	apply(t, ns, line("callee", "secret-callee", echoing...))
	awaitAccount(t, ns, "caller", "registered", registered)
	awaitAccount(t, ns, "callee", "registered", registered)

	recording := filepath.Join(t.TempDir(), "call.wav")
	call, err := place(t, ns, "caller", "callee", "--seconds", "3", "--play", "periodic(wav(tone.wav))", "--record", recording)
	if err != nil || call.Heard == nil || math.Abs(call.Heard.FrequencyHz-hz) > 5 {
		t.Errorf("heard %+v (%v), want the echo of the file's %d Hz", call.Heard, err, hz)
	}
	said, rate, err := tone.ReadWAV(recording)
	if err != nil || len(said) < 2*rate {
		t.Fatalf("the recording has %d samples of %d a second (%v), want those of 3 s", len(said), rate, err)
	}
	if sent, share, err := tone.Dominant(said, rate); err != nil || math.Abs(sent-hz) > 5 || share < 0.9 {
		t.Errorf("the recording has %.1f Hz on its left (%.0f %% of it, %v), want the file's %d Hz", sent, 100*share, err, hz)
	}
}

func TestACallToNobodySaysWhy(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, line("caller", "secret-caller"))
	awaitAccount(t, ns, "caller", "registered", registered)
	call, err := place(t, ns, "caller", "nobody")
	if err == nil {
		t.Error("a call that nobody answered passed for a good one")
	}
	if call.End == nil || call.End.Code != 404 {
		t.Errorf("ended with %+v, want the registrar's 404", call.End)
	}
	if call.MOS != nil {
		t.Errorf("MOS %v of a call without audio", *call.MOS)
	}
}
