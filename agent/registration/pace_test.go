package registration

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// A machine that is busy sends requests later than their turns, some more than
// others, so that they bunch: and still no second has more than it may.
func TestNoSecondHasMoreHoweverLateTheyAreSent(t *testing.T) {
	for _, late := range []time.Duration{0, 5 * time.Millisecond, 80 * time.Millisecond, 400 * time.Millisecond, 2 * time.Second} {
		t.Run(fmt.Sprint(late), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const lines, rate = 300, 100
				c := newCrowd(t, lines, delivery.Registrar{RequestsPerSecond: rate, InFlight: 200})
				c.ep.late = late
				c.start()
				c.after(2 * time.Minute)
				c.want("after the start", map[delivery.Problem]int{"": lines})
				c.ep.late = 0
				c.stop()
				if n := c.ep.busiest(); n > rate || n < rate/4 {
					t.Errorf("%d requests within one second, at most %d should be", n, rate)
				}
			})
		})
	}
}

func TestPace(t *testing.T) {
	const most = 10
	written := func(n int, ago time.Duration) (all []time.Time) {
		return slices.Repeat([]time.Time{t0.Add(-ago)}, n)
	}
	for name, tt := range map[string]struct {
		p      pace
		others int
		want   time.Duration
	}{
		"nobody was before":                            {pace{}, 0, 0},
		"one has just been":                            {pace{next: t0.Add(interval(most)), sent: written(1, 0)}, 0, interval(most)},
		"the second is full":                           {pace{sent: written(most, 300*time.Millisecond)}, 0, span - 300*time.Millisecond},
		"a second ago is not long enough for a packet": {pace{sent: written(most, time.Second)}, 0, slack},
		"what was sent before that does not count":     {pace{sent: written(most, span)}, 0, 0},
		"what was not sent yet counts":                 {pace{sent: written(most-1, 0)}, 1, interval(most)},
		"all of it was not sent yet":                   {pace{}, most, interval(most)},
		"there is room for one more":                   {pace{sent: written(most-2, 0)}, 1, 0},
	} {
		if got := tt.p.wait(t0, most, tt.others); got != tt.want {
			t.Errorf("%s: wait %s, want %s", name, got, tt.want)
		}
	}
}

func TestRepeatsAreCountedWhenTheyWereSent(t *testing.T) {
	for ago, want := range map[time.Duration][]time.Duration{
		0:                       nil,
		499 * time.Millisecond:  nil,
		500 * time.Millisecond:  {500 * time.Millisecond},
		1499 * time.Millisecond: {500 * time.Millisecond},
		1500 * time.Millisecond: {500 * time.Millisecond, 1500 * time.Millisecond},
		3 * time.Second:         nil,
		4 * time.Second:         {3500 * time.Millisecond},
		8 * time.Second:         {7500 * time.Millisecond},
		12 * time.Second:        {11500 * time.Millisecond},
		16 * time.Second:        {15500 * time.Millisecond},
	} {
		var got []time.Duration
		for _, at := range repeats(t0, t0.Add(ago)) {
			got = append(got, at.Sub(t0))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s after it was sent: %v, want %v", ago, got, want)
		}
	}
}

// Against a slow registrar half of what is sent is sent again, and has its share.
func TestRepeatsMakeRequestsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lines, rate = 200, 50
		c := newCrowd(t, lines, delivery.Registrar{RequestsPerSecond: rate, InFlight: 200})
		c.ep.latency = 600 * time.Millisecond // each is repeated once
		c.start()
		c.after(10 * time.Second)
		if n := c.ep.requests(); n > 10*rate*6/10 || n < 10*rate*4/10 {
			t.Errorf("%d requests in 10 s, each sent twice; %d datagrams a second are allowed", n, rate)
		}
		c.after(10 * time.Second)
		c.want("in the end", map[delivery.Problem]int{"": lines})
		c.ep.latency = 0
		c.stop()
	})
}
