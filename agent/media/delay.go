package media

// How much delay the playout chooses, in steps of the packet time and in ms.
const (
	startPeakSteps = 1.0 // jitter assumed before any was seen
	marginSteps    = 1.5 // one for pulls that straddle packets, half for a packet after a lost one to arrive
	maxPeakMs      = 240
	peakDecay      = 1.0 / 512 // a packet; some 10 s at 20 ms
	baseWindow     = 200       // packets; 4 s at 20 ms
	jumpEarlyMs    = 500
	jumpLateMs     = 2000
)

// delay watches how late packets come. A packet's transit is its arrival less its timestamp; only differences between transits mean
// anything. The smallest in the last seconds is the base, how much others exceed it is the jitter to be covered.
type delay struct {
	ticksPerMs float64
	seen       bool
	minimum    [2]int64 // of the running window and the one before
	count      int      // packets in the running window
	peak       float64  // excess to be covered, ticks
}

func newDelay(clock int, step int64) delay {
	return delay{ticksPerMs: float64(clock) / 1000, peak: startPeakSteps * float64(step)}
}

// observe takes the transit of a packet. It reports a jump: a timestamp that has nothing to do with those before.
func (d *delay) observe(transit int64) (jumped bool) {
	if !d.seen {
		d.seen, d.minimum = true, [2]int64{transit, transit}
		return false
	}
	excess := float64(transit - d.base())
	if excess < -jumpEarlyMs*d.ticksPerMs || excess > jumpLateMs*d.ticksPerMs {
		return true
	}
	d.peak = max(d.peak-d.peak*peakDecay, min(excess, maxPeakMs*d.ticksPerMs))
	d.minimum[0] = min(d.minimum[0], transit)
	if d.count++; d.count == baseWindow {
		d.minimum[0], d.minimum[1], d.count = transit, d.minimum[0], 0
	}
	return false
}

// base is the transit of the fastest packets.
func (d *delay) base() int64 { return min(d.minimum[0], d.minimum[1]) }

// target is the delay over base that lets nearly all packets arrive in time, for pulls of step ticks.
func (d *delay) target(step int64) int64 {
	return int64(marginSteps*float64(step) + d.peak)
}

// most is the largest target there is.
func (d *delay) most(step int64) int64 {
	return int64(marginSteps*float64(step) + maxPeakMs*d.ticksPerMs)
}
