package media

import (
	"math/rand/v2"
	"testing"
)

func TestSequenceNumbersAreJudged(t *testing.T) {
	rows := map[string]struct {
		numbers                   []uint16
		verdicts                  []verdict // of all but the first
		expected, unique, counted int64
	}{
		"in order":                         {[]uint16{5, 6, 7}, []verdict{inOrder, inOrder}, 3, 3, 3},
		"over the wrap":                    {[]uint16{65534, 65535, 0, 1}, []verdict{inOrder, inOrder, inOrder}, 4, 4, 4},
		"one lost":                         {[]uint16{5, 7}, []verdict{inOrder}, 3, 2, 2},
		"lost over the wrap":               {[]uint16{65534, 1}, []verdict{inOrder}, 4, 2, 2},
		"two swapped":                      {[]uint16{5, 7, 6, 8}, []verdict{inOrder, reordered, inOrder}, 4, 4, 4},
		"swapped over the wrap":            {[]uint16{65534, 0, 65535}, []verdict{inOrder, reordered}, 3, 3, 3},
		"one doubled":                      {[]uint16{5, 6, 6, 7}, []verdict{inOrder, duplicate, inOrder}, 3, 3, 4},
		"an old one doubled":               {[]uint16{5, 6, 7, 5}, []verdict{inOrder, inOrder, duplicate}, 3, 3, 4},
		"the first two swapped":            {[]uint16{6, 5, 7}, []verdict{reordered, inOrder}, 3, 3, 3},
		"a stray far number":               {[]uint16{5, 30000, 6}, []verdict{jumped, inOrder}, 2, 2, 2},
		"a restart, confirmed by a second": {[]uint16{5, 30000, 30001}, []verdict{jumped, restarted}, 1, 1, 1},
		"a long outage":                    {[]uint16{5, 2500}, []verdict{inOrder}, 2496, 2, 2},
		"late by a hundred and doubled":    {[]uint16{5, 6, 104, 6}, []verdict{inOrder, inOrder, duplicate}, 100, 3, 4},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var r reception
			r.begin(1, row.numbers[0])
			for i, n := range row.numbers[1:] {
				if _, v := r.update(n); v != row.verdicts[i] {
					t.Fatalf("number %d is judged %d, want %d", n, v, row.verdicts[i])
				}
			}
			if r.expected() != row.expected || r.unique != row.unique || r.received != row.counted {
				t.Errorf("expected %d unique %d received %d, want %d %d %d", r.expected(), r.unique, r.received, row.expected, row.unique, row.counted)
			}
		})
	}
}

// A hundred thousand packets, shuffled, doubled and lost by a seed: the counts are exact.
func TestLossIsCountedExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const n = 100000
	var order []int
	lost, doubled := 0, 0
	for i := range n {
		switch p := rng.Float64(); {
		case i == 0 || i == n-1 || p > 0.1:
			order = append(order, i)
		case p < 0.05:
			lost++
		default:
			order = append(order, i, i)
			doubled++
		}
	}
	for i := 1; i+1 < len(order)-10; i++ { // never the last
		if j := i + rng.IntN(8); rng.Float64() < 0.1 {
			order[i], order[j] = order[j], order[i]
		}
	}
	var r reception
	r.begin(1, uint16(60000+order[0]))
	seen, duplicates := map[int64]bool{}, 0
	for _, i := range order[1:] {
		ext, v := r.update(uint16(60000 + i))
		if v == jumped || v == restarted {
			t.Fatalf("packet %d is judged %d", i, v)
		}
		if want := int64(seqMod + 60000 + i); ext != want {
			t.Fatalf("packet %d is extended to %d, want %d", i, ext, want)
		}
		if v == duplicate {
			duplicates++
		}
		seen[ext] = true
	}
	if r.lost() != int64(lost) || duplicates != doubled {
		t.Errorf("lost %d and doubled %d, want %d and %d", r.lost(), duplicates, lost, doubled)
	}
}

// RFC 3550 A.3: the fraction is of the interval, the total is of all, and duplicates weigh against loss.
func TestReceptionReports(t *testing.T) {
	var r reception
	r.begin(1, 0)
	for i := 1; i < 100; i++ {
		if i%4 != 1 {
			r.update(uint16(i))
		}
	}
	if fraction, total := r.report(); fraction != 64 || total != 25 {
		t.Errorf("a quarter lost is reported as %d/256, %d in all", fraction, total)
	}
	for i := 100; i < 200; i++ {
		r.update(uint16(i))
	}
	if fraction, total := r.report(); fraction != 0 || total != 25 {
		t.Errorf("no further loss is reported as %d/256, %d in all", fraction, total)
	}
	for i := 150; i < 200; i++ {
		r.update(uint16(i))
	}
	if fraction, total := r.report(); fraction != 0 || total != -25 {
		t.Errorf("50 duplicates after 25 lost are reported as %d/256, %d in all", fraction, total)
	}
}

// RFC 3550 A.8 by hand: transits of 0, 10, 0 give 10/16, then (10 - 0.625)/16 more. Timestamps may wrap.
func TestJitterByHand(t *testing.T) {
	for _, start := range []uint32{0, 0xffffffff - 200} {
		var r reception
		r.begin(1, 0)
		r.arrived(5000, start)
		r.arrived(5170, start+160)
		within(t, "jitter", r.jitter, 0.625, 1e-9)
		r.arrived(5320, start+320)
		within(t, "jitter", r.jitter, 0.625+(10-0.625)/16, 1e-9)
	}
}
