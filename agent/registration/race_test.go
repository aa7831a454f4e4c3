//go:build race

package registration

// raceDetector says whether this is a build with -race.
const raceDetector = true
