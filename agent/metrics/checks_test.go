package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// checkReport is a check that passes.
func checkReport(at time.Time) delivery.CheckReport {
	return delivery.CheckReport{
		Name: "nightly", Line: "alice", Passing: check.IsPassing, NextAt: at.Add(time.Minute), Counts: delivery.CheckCounts{Pass: 3, Warn: 1},
		Runs: []delivery.CheckRun{{
			StartedAt: at, Seconds: 5.5, Result: check.Pass, Reason: check.Passed, RingMs: ptr(20.0), SetupMs: ptr(150.0), FirstPacketMs: ptr(10.0),
			MOS: ptr(4.3), LossPercent: ptr(2.0), JitterMs: ptr(3.0),
			MouthToEarMs: ptr(62.5), SegmentalSNRDB: ptr(26.1), SpectralDistanceDB: ptr(1.7),
		}},
	}
}

func TestChecksShowTheirVerdict(t *testing.T) {
	m := New(Options{})
	m.AccountLabels([]string{"site", "carrier"}, map[string]map[string]string{"alice": {"carrier": "acme"}})
	at := time.Unix(2000, 0)
	m.Check(checkReport(at), time.Minute)
	const who = `account="alice",carrier="acme",check="nightly",site=""`
	expect(t, scrape(t, m), map[string]string{
		"softphone_check_success{" + who + "}":                             "1",
		"softphone_check_duration_seconds{" + who + "}":                    "5.5",
		"softphone_check_interval_seconds{" + who + "}":                    "60",
		"softphone_check_last_run_timestamp_seconds{" + who + "}":          "2000",
		"softphone_check_last_success_timestamp_seconds{" + who + "}":      "2000",
		"softphone_check_setup_seconds{" + who + "}":                       "0.15",
		"softphone_check_mos{" + who + "}":                                 "4.3",
		"softphone_check_mouth_to_ear_seconds{" + who + "}":                "0.0625",
		"softphone_check_segmental_snr_decibels{" + who + "}":              "26.1",
		"softphone_check_spectral_distance_decibels{" + who + "}":          "1.7",
		"softphone_check_loss_ratio{" + who + "}":                          "0.02",
		"softphone_check_runs_total{" + who + `,verdict="pass"}`:           "3",
		"softphone_check_runs_total{" + who + `,verdict="fail"}`:           "0",
		`softphone_account_labels{account="alice",carrier="acme",site=""}`: "1",
	})

	failed := checkReport(at)
	failed.Passing, failed.Counts.Fail = check.NotPassing, 1
	failed.Runs = []delivery.CheckRun{{StartedAt: at.Add(time.Minute), Seconds: 7, Result: check.Fail, Reason: check.NoAnswer}}
	m.Check(failed, time.Minute)
	got := scrape(t, m)
	expect(t, got, map[string]string{
		"softphone_check_success{" + who + "}":                        "0",
		"softphone_check_last_run_timestamp_seconds{" + who + "}":     "2060",
		"softphone_check_last_success_timestamp_seconds{" + who + "}": "2000",
		"softphone_check_runs_total{" + who + `,verdict="fail"}`:      "1",
	})
	for name := range got {
		if strings.HasPrefix(name, "softphone_check_mos") || strings.HasPrefix(name, "softphone_check_setup") {
			t.Errorf("%s: nothing was measured", name)
		}
	}

	unknown := failed
	unknown.Passing, unknown.NextAt = check.Unknown, time.Time{}
	m.Check(unknown, time.Minute)
	for name := range scrape(t, m) {
		if strings.HasPrefix(name, "softphone_check_success") || strings.HasPrefix(name, "softphone_check_interval") {
			t.Errorf("%s of a suspended check that nobody knows anything of", name)
		}
	}
	m.AccountLabels(nil, nil) // the fleet changed its mind
	expect(t, scrape(t, m), map[string]string{`softphone_check_duration_seconds{account="alice",check="nightly"}`: "7"})
	m.ForgetCheck("nightly")
	for name := range scrape(t, m) {
		if strings.Contains(name, "nightly") || strings.Contains(name, "acme") {
			t.Errorf("%s is left", name)
		}
	}
}
