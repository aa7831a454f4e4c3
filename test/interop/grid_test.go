package interop

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/softphone-operator/softphone-operator/test/drill"
)

// rowMark begins a line that tells the other run of a row of the table of NATs.
const rowMark = "ROW "

// grid is a table of what came of calls: a row for what was wished for, a column for with whom, or from where.
type grid struct {
	page  *drill.Page
	mu    sync.Mutex
	rows  []string
	cells map[string]string // by row and column
}

// newGrid begins a table, which is told to its page when the test and its parts are over.
func newGrid(t *testing.T, page *drill.Page) *grid {
	t.Helper()
	g := &grid{page: page, cells: map[string]string{}}
	t.Cleanup(func() {
		for _, row := range g.rows {
			figures := make([]string, len(page.Columns))
			for i, column := range page.Columns {
				if figures[i] = g.cells[row+"\n"+column]; figures[i] == "" {
					figures[i] = "not tried"
				}
			}
			if *inside {
				fmt.Printf("%s%s: %s\n", rowMark, row, drill.Across(figures...))
				continue
			}
			page.Measured(t, row, "%s", drill.Across(figures...))
		}
	})
	return g
}

// row makes a row, so that rows stand in the order in which they were thought of.
func (g *grid) row(row string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !slices.Contains(g.rows, row) {
		g.rows = append(g.rows, row)
	}
}

// cell notes what came of a call, which must be what the pattern says, all of it.
func (g *grid) cell(t *testing.T, row, column, got, want string) {
	t.Helper()
	if !regexp.MustCompile("^(?:" + want + ")$").MatchString(got) {
		t.Errorf("%s, %s: %s; want %s", row, column, got, want)
	}
	if !slices.Contains(g.page.Columns, column) {
		t.Errorf("the table has no column %s", column)
	}
	g.row(row)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cells[row+"\n"+column] = got
}

// whoHears puts into words who heard the other.
func whoHears(we, they bool) string {
	switch {
	case we && they:
		return "both ways"
	case they:
		return "one way: they hear us"
	case we:
		return "one way: we hear them"
	}
	return "nobody hears anybody"
}
