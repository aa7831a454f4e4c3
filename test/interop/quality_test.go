package interop

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// TestACheckProbesTheWay: a check between lines of two agents measures the delay from mouth to ear, and how alike what comes back
// is to what was sent; worse where a relay loses packets. Both sides tell of their quality what the other side measured.
func TestACheckProbesTheWay(t *testing.T) {
	t.Parallel()
	r, host := registrar(t, kamailio.Config{}, "alice", "bob", "erin")
	answering := startAgent(t, options{files: map[string]string{"bob.xml": accountXML("bob", "secret-bob", host, autoAnswer)}})
	calling := startAgent(t, options{files: map[string]string{
		"alice.xml": accountXML("alice", "secret-alice", host),
		"erin.xml":  accountXML("erin", "secret-erin", host, "<proxy>"+startBorder(t, r.Addr(), 0.15, 0.15).addr()+"</proxy>"),
	}})
	answering.awaitLine("bob", "registered")
	calling.awaitLine("alice", "registered")
	calling.awaitLine("erin", "registered")
	const check = `{"from":%q,"to":"sip:bob@%s","account":"bob","intervalSeconds":10,"durationSeconds":6,"expect":{"audio":"both"}}`
	for _, line := range []string{"alice", "erin"} {
		calling.put(line+".check.json", fmt.Sprintf(check, line, host))
	}
	runs := map[string]delivery.CheckRun{}
	lookEvery(t, 100*time.Millisecond, "both checks have measured the way", func() (bool, string) {
		for name, c := range calling.checks() {
			for _, run := range c.Runs {
				if _, known := runs[name]; !known && run.MouthToEarMs != nil {
					runs[name] = run
				}
			}
		}
		return len(runs) == 2, pretty(calling.checks())
	})
	good, lossy := runs["alice"], runs["erin"]
	// On one machine there is nothing but the packets and the jitter buffers, which grow where the machine is busy.
	if ms := *good.MouthToEarMs; ms < 30 || ms > 400 {
		t.Errorf("%.1f ms from mouth to ear", ms)
	}
	if *good.SegmentalSNRDB < 10 || *good.SpectralDistanceDB > 6 {
		t.Errorf("without loss what came back scores %s", pretty(good))
	}
	if *lossy.SegmentalSNRDB >= *good.SegmentalSNRDB || *lossy.SpectralDistanceDB <= *good.SpectralDistanceDB {
		t.Errorf("with loss it scores %s, without %s", pretty(lossy), pretty(good))
	}
	outcome(t, "two agents", "%.0f ms from mouth to ear, segmental SNR %.1f dB, spectral distance %.2f dB; over a relay that loses 15 %% each way %.1f dB, %.2f dB",
		*good.MouthToEarMs, *good.SegmentalSNRDB, *good.SpectralDistanceDB, *lossy.SegmentalSNRDB, *lossy.SpectralDistanceDB)
	bothTell(t, answering, good.CallID)
}

// TestLinphoneTellsHowItHearsUs: linphone asks for VoIP metrics in its offer, and sends its own where the answer asks for them.
func TestLinphoneTellsHowItHearsUs(t *testing.T) {
	t.Parallel()
	a, p, ctx := withLinphone(t, `{"version":1,"drainSeconds":1}`, []string{"alice"}, map[string]string{"alice": autoAnswer})
	_, ours := talks(ctx, t, a, p, "alice")
	var got struct {
		Quality struct {
			By   string
			Sent *struct{ LossPercent, DiscardPercent, BurstPercent, BufferMs, JitterMs, R, MOSLQ *float64 }
		}
	}
	lookEvery(t, 200*time.Millisecond, "linphone tells", func() (bool, string) {
		_, body := a.request("GET", "/calls/"+ours.ID, "")
		must(t, json.Unmarshal(body, &got))
		return got.Quality.By == "rtcp-xr", string(body)
	})
	if s := got.Quality.Sent; s.LossPercent == nil || s.DiscardPercent == nil || s.BurstPercent == nil || s.BufferMs == nil || s.JitterMs == nil {
		t.Errorf("it tells %s", pretty(s))
	}
	outcome(t, "linphone", "it tells %s by RTCP XR", pretty(got.Quality.Sent))
}

// bothTell wants the called side's record to have what the caller told of it by VoIP metrics.
func bothTell(t *testing.T, s *softphone, callID string) {
	t.Helper()
	code, body := s.request("GET", "/statusz", "")
	var st struct {
		Calls []struct {
			CallID  string
			Quality struct {
				By             string
				Received, Sent struct{ LossPercent, BurstPercent, RTTMs, EndSystemMs, R, MOSLQ, MOSCQ *float64 }
			}
		}
	}
	if err := json.Unmarshal(body, &st); err != nil || code != 200 {
		t.Fatalf("statusz: %d %v %s", code, err, body)
	}
	for _, c := range st.Calls {
		if c.CallID != callID {
			continue
		}
		for direction, q := range map[string]struct{ LossPercent, BurstPercent, RTTMs, EndSystemMs, R, MOSLQ, MOSCQ *float64 }{"received": c.Quality.Received, "sent": c.Quality.Sent} {
			if q.LossPercent == nil || q.BurstPercent == nil || q.RTTMs == nil || q.EndSystemMs == nil || q.R == nil || q.MOSLQ == nil || q.MOSCQ == nil {
				t.Errorf("%s: %s", direction, pretty(c))
			}
		}
		if c.Quality.By != "rtcp-xr" {
			t.Errorf("what was sent is told by %q: %s", c.Quality.By, pretty(c))
		}
		return
	}
	t.Errorf("no call %s in %s", callID, strings.TrimSpace(string(body)))
}
