package media

import (
	"math"
	"testing"
)

// What G.107 says of itself: all defaults give R = 93.2 (§7.7), MOS 4.41.
func TestEModelDefaults(t *testing.T) {
	within(t, "R", EModel{}.R(), 93.2, 0.05)
	within(t, "MOS", EModel{}.MOS(), 4.41, 0.005)
}

// Published reference points at 50 ms one way, random loss.
func TestEModelReferencePoints(t *testing.T) {
	rows := map[string]struct {
		ie, bpl float64
		mos     [3]float64 // at 0, 1 and 5 % loss
	}{
		"G.711 with concealment": {0, 25.1, [3]float64{4.38, 4.30, 3.87}},
		"G.729A":                 {11, 19, [3]float64{4.06, 3.90, 3.28}},
		"iLBC":                   {11, 32, [3]float64{4.06, 3.96, 3.58}},
	}
	for name, row := range rows {
		for i, loss := range []float64{0, 1, 5} {
			got := EModel{Ie: row.ie, Bpl: row.bpl, LossPercent: loss, DelayMs: 50}.MOS()
			within(t, name, got, row.mos[i], 0.015)
		}
	}
}

// The well-known straight-line approximation of the delay impairment, good up to 300 ms.
func TestEModelDelay(t *testing.T) {
	for _, ms := range []float64{0, 20, 50, 100, 150, 200, 250, 300} {
		want := 93.2 - 0.024*ms - 0.11*max(ms-177.3, 0)
		within(t, "R under delay", EModel{DelayMs: ms}.R(), want, 0.35)
	}
}

// G.107 Annex B, table B.1: R and MOS of the categories of user satisfaction.
func TestEModelCategories(t *testing.T) {
	for r, mos := range map[float64]float64{90: 4.34, 80: 4.03, 70: 3.60, 60: 3.10, 50: 2.58} {
		within(t, "MOS", EModel{Ie: (EModel{}).R() - r}.MOS(), mos, 0.01)
	}
}

func TestEModelOnlyGetsWorse(t *testing.T) {
	better := EModel{Bpl: 25.1}
	for loss := 0.0; loss <= 100; loss += 0.5 {
		worse := EModel{Bpl: 25.1, LossPercent: loss}
		if worse.R() > better.R() || worse.MOS() > better.MOS() || worse.MOS() < 1 || math.IsNaN(worse.MOS()) {
			t.Fatalf("%.1f %% loss: R %.2f MOS %.2f, before it %.2f and %.2f", loss, worse.R(), worse.MOS(), better.R(), better.MOS())
		}
		better = worse
	}
	if bursty, random := (EModel{Bpl: 25.1, LossPercent: 3, BurstR: 2}).R(), (EModel{Bpl: 25.1, LossPercent: 3}).R(); bursty >= random {
		t.Errorf("loss in bursts rates %.2f, scattered %.2f", bursty, random)
	}
}

// The whole range that calls are judged in: loss 0 to 10 %, delay 0 to 300 ms one way, against published formulas that were not
// used to write the model. The delay impairment is that of R. Cole and J. Rosenbluth, "Voice over IP performance monitoring" (ACM
// SIGCOMM CCR 31(2), 2001, eq. (3)), fitted to the curves of G.107; the loss impairment is G.107 (7-29) with Ie and Bpl of G.113
// Appendix I (G.711 with the concealment of its Appendix I 0 and 25.1, without 0 and 4.3, G.729A 11 and 19), worked out
// here by hand; R becomes MOS by G.107 (B-4), whose ends are R 0 = 1 and R 100 = 4.5.
func TestEModelAgainstPublishedFormulas(t *testing.T) {
	for _, codec := range []struct{ ie, bpl float64 }{{0, 25.1}, {0, 4.3}, {11, 19}} {
		for loss := 0.0; loss <= 10; loss++ {
			for delay := 0.0; delay <= 300; delay += 25 {
				r := 93.2 - 0.024*delay - codec.ie - (95-codec.ie)*loss/(loss+codec.bpl)
				if delay > 177.3 {
					r -= 0.11 * (delay - 177.3)
				}
				r = max(r, 0)
				want := max(1+0.035*r+r*(r-60)*(100-r)*7e-6, 1)
				got := EModel{Ie: codec.ie, Bpl: codec.bpl, LossPercent: loss, DelayMs: delay}.MOS()
				within(t, "MOS", got, want, 0.1)
			}
		}
	}
}

// Loss impairments worked out by hand from G.107 (7-29): 5 % of G.711 with concealment cost 95·5/30.1 = 15.8, 10 % cost
// 95·10/35.1 = 27.1.
func TestEModelLossByHand(t *testing.T) {
	for loss, lowers := range map[float64]float64{0: 0, 1: 3.64, 2: 7.01, 5: 15.78, 10: 27.07} {
		within(t, "R under loss", EModel{Bpl: 25.1, LossPercent: loss}.R(), EModel{}.R()-lowers, 0.01)
	}
}
