// Package drill lets one test run for short times in CI and for long ones on
// demand (make drill), by the same code, and keeps the figures of a long run as
// a page of the documentation. It defines the flags of the test programs that
// import it: -drill and -measurements.
package drill

import (
	"flag"
	"fmt"
)

var (
	times = flag.String("drill", "short", "how long drills run: short or long")
	// directory of the pages; see Page.
	directory = flag.String("measurements", "", "directory for pages of figures; empty: they are only printed")
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
