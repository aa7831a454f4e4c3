package agent

import (
	"io"
	"log/slog"
	"path/filepath"

	"github.com/softphone-operator/softphone-operator/agent/recording"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// recordingsDir is where calls are kept that were recorded, within the state directory.
const recordingsDir = "recordings"

// openRecordings finds what runs before have left; without a state directory nothing can be recorded.
func openRecordings(state string, log *slog.Logger) (*recording.Store, error) {
	if state == "" {
		return recording.Open("", log)
	}
	return recording.Open(filepath.Join(state, recordingsDir), log)
}

func recordingLimits(r delivery.Recordings) recording.Limits {
	return recording.Limits{Files: r.Files, Bytes: int64(r.Megabytes) << 20}
}

// Recording implements control.Agent.
func (s *supervisor) Recording(id string) (io.ReadSeekCloser, string, error) {
	return s.env.recordings.Find(id)
}
