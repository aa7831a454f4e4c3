package call

import (
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/media"
)

// How the two ends of a check know each other.
const (
	// CheckHeader carries the run of a check on its INVITE. It is a hint, no
	// secret: a line that sees it sends a tone beside its echo.
	CheckHeader = "X-Softphone-Check"
	// CheckToneHz is what the calling side of a check sends and listens for.
	CheckToneHz = 1004
	// MarkerHz is what a line of ours that is called by a check adds to its echo.
	MarkerHz = 1750

	markerLevel = -12 // dBm0
	mostRun     = 64  // bytes of a run's name
)

// checkTones are listened for at both ends of a check.
var checkTones = []float64{CheckToneHz, MarkerHz}

// addCheck tells the called side which run of a check this is.
func addCheck(req *sip.Request, run string) {
	if run != "" {
		req.RemoveHeader(CheckHeader)
		req.AppendHeader(sip.NewHeader(CheckHeader, run))
	}
}

// recogniseCheck lets a call that a check makes be answered with a tone beside
// the echo.
func (c *call) recogniseCheck(req *sip.Request) {
	h := req.GetHeader(CheckHeader)
	if h == nil {
		return
	}
	run := printable(strings.TrimSpace(h.Value()))
	c.rec.Check = run[:min(len(run), mostRun)]
	c.audio.source = media.MarkedEcho{Hz: MarkerHz, LevelDBm0: markerLevel}
	c.audio.config.Listen = checkTones
}
