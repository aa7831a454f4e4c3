package media

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// tallied counts packets written one a letter: a dot was played, x was not; B is 16 that were, A one fewer.
func tallied(text string) tally {
	text = strings.NewReplacer("A", strings.Repeat(".", 15), "B", strings.Repeat(".", 16)).Replace(text)
	var b tally
	for _, c := range text {
		b.count(c == '.')
	}
	b.close()
	return b
}

func TestBurstsAreToldFromGaps(t *testing.T) {
	for text, want := range map[string]struct {
		bursts, packets, unplayed int64 // in bursts
		gaps                      int64
	}{
		"":         {0, 0, 0, 0},
		"B":        {0, 0, 0, 1},
		"BxB":      {0, 0, 0, 1}, // one alone belongs to the gap
		"xBxBx":    {0, 0, 0, 1},
		"BxxB":     {1, 2, 2, 2},
		"BxAxB":    {1, 17, 2, 2},
		"BxBxB":    {0, 0, 0, 1},
		"xx":       {1, 2, 2, 0}, // before and after it, nothing is lost
		"xxBxx":    {2, 4, 4, 1},
		"BxxBxBxx": {2, 4, 4, 2},
		"x.x.x":    {1, 5, 3, 0},
		"BxAxAxB":  {1, 33, 3, 2},
	} {
		b := tallied(text)
		if b.bursts != want.bursts || b.burstPackets != want.packets || b.burstUnplayed != want.unplayed || b.gaps() != want.gaps {
			t.Errorf("%q: %d bursts of %d packets with %d unplayed and %d gaps, want %+v", text, b.bursts, b.burstPackets, b.burstUnplayed, b.gaps(), want)
		}
	}
}

// The definition of RFC 3611 §4.7.2, taken by its word, on random streams.
func TestBurstsAreThoseOfTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(3611, 16))
	for range 500 {
		fates := make([]bool, rng.IntN(400))
		loss := rng.Float64() * 0.3
		for i := range fates {
			fates[i] = rng.Float64() >= loss
		}
		var b tally
		for _, played := range fates {
			b.count(played)
		}
		b.close()
		var bursts, packets, unplayed int64
		for at := 0; at < len(fates); {
			from := slices.Index(fates[at:], false)
			if from < 0 {
				break
			}
			from += at
			to, n := from, int64(1)
			for i := from + 1; i < len(fates) && i-to <= gapMin; i++ {
				if !fates[i] {
					to, n = i, n+1
				}
			}
			if n > 1 {
				bursts, packets, unplayed = bursts+1, packets+int64(to-from+1), unplayed+n
			}
			at = to + 1
		}
		if b.bursts != bursts || b.burstPackets != packets || b.burstUnplayed != unplayed {
			t.Fatalf("%v: %d bursts, %d packets, %d unplayed, want %d, %d, %d", fates, b.bursts, b.burstPackets, b.burstUnplayed, bursts, packets, unplayed)
		}
	}
}

// Packets come out of order, twice, too late, or are thrown away; the count is that of what was played in the order it was sent.
func TestPacketsAreSettledInTheirOrder(t *testing.T) {
	const from = 65530
	var b bursts
	for _, seq := range []int64{1, 0, 2, 3, 6, 5, 5, 7, 9, 10, 300, 301} { // 4 and 8 are lost, and 11 to 299
		b.came(from + seq)
	}
	b.discarded(from + 9)   // was settled long ago
	b.discarded(from + 301) // came too late to be played
	b.discarded(from + 999) // never came
	b.came(from + 4)        // comes after all, and much too late
	got := b.sum()
	if got.packets != 302 || got.unplayed != 2+289+1 || got.runs != 4 {
		t.Errorf("%+v", got)
	}
	b.anew()
	b.came(7)
	b.came(8)
	if got := b.sum(); got.packets != 304 || got.unplayed != 292 {
		t.Errorf("after another source: %+v", got)
	}
}

func TestBurstRatio(t *testing.T) {
	rng := rand.New(rand.NewPCG(107, 1))
	for _, row := range []struct {
		burst int
		want  float64
	}{{1, 1}, {2, 2 * 0.95}, {4, 4 * 0.95}} {
		var b tally
		for b.packets < 200_000 {
			if rng.Float64() < 0.05/0.95/float64(row.burst) {
				for range row.burst {
					b.count(false)
				}
			}
			b.count(true)
		}
		within(t, "burst ratio", b.ratio(), row.want, 0.05*row.want)
	}
}
