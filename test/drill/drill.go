// Package drill lets one test run for short times in CI and for long ones on
// demand (make drill), by the same code, and keeps the figures of a long run as
// a page of the documentation. It defines the flags of the test programs that
// import it: -drill, -lasts, -measurements and -seed.
package drill

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"time"
)

var (
	times = flag.String("drill", "short", "how long drills run: short or long")
	// directory of the pages; see Page.
	directory = flag.String("measurements", "", "directory for pages of figures; empty: they are only printed")
	lasts     = flag.Duration("lasts", 0, "length of drills that last; 0: as -drill says")
	seed      = flag.Uint64("seed", 0, "of schedules that are drawn; 0: another one each time")
)

// Times names the times in force: short or long.
func Times() string { return *times }

// Check reports flags that say nothing; for a TestMain, after flag.Parse.
func Check() error {
	if *times != "short" && *times != "long" {
		return fmt.Errorf("-drill=%s: short or long", *times)
	}
	return nil
}

// Pick gives the value for the times in force.
func Pick[T any](short, long T) T {
	if *times == "long" {
		return long
	}
	return short
}

// Lasts is Pick for the length of a drill, which -lasts may set as well.
func Lasts(short, long time.Duration) time.Duration {
	if *lasts != 0 {
		return *lasts
	}
	return Pick(short, long)
}

// Seed of a schedule that is drawn. Print it: with -seed the schedule is drawn
// again.
func Seed() uint64 {
	if *seed != 0 {
		return *seed
	}
	return uint64(rand.Uint32())
}
