package provisioning

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// stamp is what a look from outside tells of the directory: it differs when
// something changed, and costs no reading. It is taken again and again for as
// long as the agent lives, of directories of ten thousand files, so that it makes
// little garbage.
func stamp(dir, caFile string) string {
	generation := resolve(dir)
	var seen marks
	seen.see(unix.AT_FDCWD, caFile)
	if generation != dir {
		// A mounted volume is never written to, only replaced as a whole.
		seen.see(unix.AT_FDCWD, generation)
		return seen.String()
	}
	d, err := os.Open(generation)
	if err != nil {
		return ""
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(256)
		for _, name := range names {
			seen.see(int(d.Fd()), name)
		}
		if errors.Is(err, io.EOF) {
			return seen.String()
		}
		if err != nil {
			return ""
		}
	}
}

// marks of files that were seen, whatever their order.
type marks struct {
	sum   [4]uint64
	files int
	text  []byte
}

// see a file, if it is there.
func (m *marks) see(dir int, name string) {
	var s unix.Stat_t
	if name == "" || unix.Fstatat(dir, name, &s, 0) != nil {
		return
	}
	m.text = append(m.text[:0], name...)
	m.text = binary.LittleEndian.AppendUint64(m.text, uint64(s.Size))
	m.text = binary.LittleEndian.AppendUint64(m.text, uint64(unix.TimespecToNsec(s.Mtim)))
	sum := sha256.Sum256(m.text)
	for i := range m.sum {
		m.sum[i] += binary.LittleEndian.Uint64(sum[8*i:])
	}
	m.files++
}

func (m *marks) String() string { return fmt.Sprintf("%d %x", m.files, m.sum) }
