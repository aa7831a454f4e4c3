package delivery

import "fmt"

// Recordings bound what an agent keeps of calls that are recorded, in its state directory; the oldest make room.
type Recordings struct {
	// Files at most; 0 = 100.
	Files int `json:"files,omitempty"`
	// Megabytes (of 2^20) of all of them; 0 = 32, half of a pod's state directory. A minute of a call takes 1.8, or 11 with Opus
	// at full bandwidth.
	Megabytes int `json:"megabytes,omitempty"`
}

// mostMegabytes is what one WAV file can hold.
const mostMegabytes = 4000

func (r Recordings) validate() error {
	if r.Files < 0 {
		return fmt.Errorf("recordings.files: %d is negative", r.Files)
	}
	if r.Megabytes < 0 || r.Megabytes > mostMegabytes {
		return fmt.Errorf("recordings.megabytes: %d is not within 0 to %d", r.Megabytes, mostMegabytes)
	}
	return nil
}
