package drill

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Page is a page of figures in docs/measurements. Figures measured again replace
// what the page said of them; others stay, each with the day it is from, so that
// a part of the drills can be run alone.
type Page struct {
	// File name, such as "cluster.md".
	File string
	// Title, Intro before the table and Notes after it, as Markdown.
	Title, Intro, Notes string
	// Columns of figures; none = one of them. Figures of several columns are put together by Across.
	Columns []string

	mu   sync.Mutex
	rows []row
}

// row of the table.
type row struct{ what, figure, when string }

// Across puts the figures of several columns together.
func Across(figures ...string) string { return strings.Join(figures, " | ") }

// heading of the table; a page that has another is written anew.
func (p *Page) heading() string {
	columns := p.Columns
	if len(columns) == 0 {
		columns = []string{"figure"}
	}
	return fmt.Sprintf("| what | %s | measured |\n|%s\n", Across(columns...), strings.Repeat("---|", len(columns)+2))
}

// TB is the part of testing.TB that Measured uses.
type TB interface {
	Helper()
	Logf(format string, args ...any)
}

// Measured keeps a figure and logs it. Of two with the same name the later stays.
func (p *Page) Measured(t TB, what, format string, args ...any) {
	t.Helper()
	figure := fmt.Sprintf(format, args...)
	t.Logf("%s: %s", what, figure)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows = replace(p.rows, row{what, figure, time.Now().Format(time.DateOnly) + ", " + Times()})
}

// replace puts a row where one of the same name is, or at the end.
func replace(rows []row, r row) []row {
	for i := range rows {
		if rows[i].what == r.what {
			rows[i] = r
			return rows
		}
	}
	return append(rows, r)
}

// Write prints what was measured, and puts it into the page when -measurements
// names a directory. Without figures it does nothing.
func (p *Page) Write() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.rows) == 0 {
		return nil
	}
	fmt.Printf("\n%s", p.table(p.rows))
	if *directory == "" {
		return nil
	}
	path := filepath.Join(*directory, p.File)
	known, err := p.readRows(path)
	if err != nil {
		return fmt.Errorf("page of figures: %w", err)
	}
	for _, r := range p.rows {
		known = replace(known, r)
	}
	page := fmt.Sprintf("# %s\n\n%s\n\nMachine: %s. Written by `make drill`.\n\n%s", p.Title, p.Intro, machine(), p.table(known))
	if p.Notes != "" {
		page += "\n" + strings.TrimSpace(p.Notes) + "\n"
	}
	return os.WriteFile(path, []byte(page), 0o644)
}

func (p *Page) table(rows []row) string {
	var b strings.Builder
	b.WriteString(p.heading())
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.what, r.figure, r.when)
	}
	return b.String()
}

// readRows gives the table of a page as it is; none when there is no such page.
func (p *Page) readRows(path string) ([]row, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_, rest, found := strings.Cut(string(raw), p.heading())
	if !found {
		return nil, nil
	}
	var rows []row
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		last := len(cells) - 1
		if last != max(len(p.Columns), 1)+1 {
			break
		}
		rows = append(rows, row{strings.TrimPrefix(cells[0], "| "), Across(cells[1:last]...), strings.TrimSuffix(cells[last], " |")})
	}
	return rows, nil
}

// machine the figures are from, without its name.
func machine() string {
	said := fmt.Sprintf("%d cores", runtime.NumCPU())
	if model := field("/proc/cpuinfo", "model name"); model != "" {
		said += " (" + model + ")"
	}
	var kB int
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%d kB", &kB); err == nil {
		said += fmt.Sprintf(", %d GiB of memory", kB>>20)
	}
	return said + ", with other work besides"
}

// field of a file of "name : value" lines; "" when there is none.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
