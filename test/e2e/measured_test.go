package e2e

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// measurements is where the figures of a run go as a table, besides the log.
var measurements = flag.String("measurements", "", "file for the table of figures")

var figures struct {
	sync.Mutex
	rows []string
}

// rhythm explains a figure that would puzzle.
const rhythm = `
Edits in a row keep to a rhythm of one second: the kubelet looks at a pod again only after its next relist of containers, which is once a second.
One edit after a pause takes 0.2 s from apply to the reported hash.
`

// measured keeps a figure for the table and logs it.
func measured(t *testing.T, what, format string, args ...any) {
	t.Helper()
	value := fmt.Sprintf(format, args...)
	t.Logf("%s: %s", what, value)
	figures.Lock()
	defer figures.Unlock()
	figures.rows = append(figures.rows, fmt.Sprintf("| %s | %s |", what, value))
}

// writeMeasurements prints the table, and writes it when a file was named.
func writeMeasurements() error {
	if len(figures.rows) == 0 {
		return nil
	}
	table := "| what | figure |\n|---|---|\n" + strings.Join(figures.rows, "\n") + "\n"
	fmt.Print("\n" + table)
	if *measurements == "" {
		return nil
	}
	page := fmt.Sprintf("# On the development cluster\n\nOne node on a machine of %d cores that does other work besides: etcd, API server, controller manager, scheduler, kubelet, registrar "+
		"and agents share them. Written by `make drill` (times: %s).\n\n%s", runtime.NumCPU(), *drill, table) + rhythm
	return os.WriteFile(*measurements, []byte(page), 0o644)
}
