package trace

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Ladder is a trace as a sequence chart: who said what to whom, and when.
type Ladder struct {
	Title   string    `json:"title"`
	StartAt time.Time `json:"startAt,omitzero"`
	Columns []Column  `json:"columns"`
	Steps   []Step    `json:"steps"`
	Dropped int       `json:"dropped,omitempty"`

	// Wall writes the time of day instead of the time since the first message.
	Wall bool `json:"-"`
}

// Column is one address, the agent's own first.
type Column struct {
	Address string `json:"address"`
	Local   bool   `json:"local"`
}

// Step is one message; From and To are columns.
type Step struct {
	At time.Time `json:"at"`
	// AfterMs since the first one.
	AfterMs float64 `json:"afterMs"`
	From    int     `json:"from"`
	To      int     `json:"to"`
	Label   string  `json:"label"`
	Content string  `json:"content,omitempty"`
	Method  string  `json:"method"`
	Code    int     `json:"code,omitempty"`
	CSeq    string  `json:"cseq,omitempty"`
	CallID  string  `json:"callId,omitempty"`
	// Transport is UDP, TCP or TLS.
	Transport string `json:"transport"`
	// Retransmission counts the times that it went the same way before.
	Retransmission int    `json:"retransmission,omitempty"`
	NotSent        string `json:"notSent,omitempty"`

	notes []string
}

// Ladder draws the trace up.
func (t Trace) Ladder(title string) Ladder {
	l := Ladder{Title: title, Dropped: t.Dropped, Columns: []Column{}, Steps: []Step{}}
	column := func(a netip.AddrPort, local bool) {
		c := Column{a.String(), local}
		if !slices.Contains(l.Columns, c) {
			l.Columns = append(l.Columns, c)
		}
	}
	for _, local := range []bool{true, false} {
		for _, m := range t.Messages {
			if local {
				column(m.Local, true)
			} else {
				column(m.Remote, false)
			}
		}
	}
	for i, m := range t.Messages {
		if i == 0 {
			l.StartAt = m.At
		}
		here, there := slices.Index(l.Columns, Column{m.Local.String(), true}), slices.Index(l.Columns, Column{m.Remote.String(), false})
		step := Step{
			At: m.At, AfterMs: float64(m.At.Sub(l.StartAt).Microseconds()) / 1000, From: here, To: there,
			Label: m.Label(), Content: m.Content(), Method: m.Method, Code: m.Code, CSeq: m.CSeq, CallID: m.CallID, Transport: m.Transport,
			Retransmission: m.Again, NotSent: m.Problem, notes: m.notes(),
		}
		if !m.Sent {
			step.From, step.To = there, here
		}
		l.Steps = append(l.Steps, step)
	}
	return l
}

// Charset is what a chart is drawn with.
type Charset struct{ life, line, left, right, lost string }

// The two that there are.
var (
	UTF8  = Charset{"│", "─", "◀", "▶", "✗"}
	ASCII = Charset{"|", "-", "<", ">", "x"}
)

// leastSpan is the width between two columns, in characters; clockWidth that of the time.
const (
	leastSpan  = 32
	clockWidth = 12
)

// WriteText draws it for a terminal or a ticket.
func (l Ladder) WriteText(w io.Writer, c Charset) error {
	var b strings.Builder
	fmt.Fprintln(&b, printable(l.Title))
	if len(l.Steps) == 0 {
		b.WriteString("no messages are kept\n")
	} else {
		fmt.Fprintf(&b, "%s\n\n", l.StartAt.UTC().Format("2006-01-02 15:04:05.000000 UTC"))
		at := l.positions()
		l.heads(&b, at)
		l.rows(&b, c, at, l.Steps)
	}
	if l.Dropped > 0 {
		fmt.Fprintf(&b, "\n%d messages between are not kept: there were too many\n", l.Dropped)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMore draws what came after a time, to go on with what was drawn until then: a
// head is there only if the columns are others, or elsewhere.
func (l Ladder) WriteMore(w io.Writer, c Charset, after time.Time) error {
	var b strings.Builder
	first, _ := slices.BinarySearchFunc(l.Steps, after, func(s Step, t time.Time) int { return cmp.Or(s.At.Compare(t), -1) })
	if first < len(l.Steps) {
		at, before := l.positions(), l
		before.Steps, before.Columns = l.Steps[:first], l.Columns[:0:0]
		for i, k := range l.Columns {
			if slices.ContainsFunc(before.Steps, func(s Step) bool { return s.From == i || s.To == i }) {
				before.Columns = append(before.Columns, k)
			}
		}
		if len(before.Columns) != len(l.Columns) || !slices.Equal(before.positions(), at) {
			b.WriteByte('\n')
			l.heads(&b, at)
		}
		l.rows(&b, c, at, l.Steps[first:])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// heads writes the addresses, and whose they are.
func (l Ladder) heads(b *strings.Builder, at []int) {
	l.head(b, at, func(k Column) string { return k.Address })
	l.head(b, at, func(k Column) string {
		if k.Local {
			return "agent"
		}
		return ""
	})
}

// rows writes a line for each step.
func (l Ladder) rows(b *strings.Builder, c Charset, at []int, steps []Step) {
	for _, s := range steps {
		line := make([]string, at[len(at)-1]+1)
		for i := range line {
			line[i] = " "
		}
		for _, x := range at {
			line[x] = c.life
		}
		arrow(line, at[s.From], at[s.To], s.text(), c, s.NotSent != "")
		text := fmt.Sprintf("%*s %s  %s", clockWidth, l.clock(s), strings.Join(line, ""), strings.Join(s.notes, ", "))
		fmt.Fprintln(b, strings.TrimRight(text, " "))
	}
}

// positions of the columns: as far apart as what is written between them needs.
func (l Ladder) positions() []int {
	at := make([]int, len(l.Columns))
	for i := range at {
		if i == 0 {
			at[i] = utf8.RuneCountInString(l.Columns[0].Address) / 2
			continue
		}
		span := max(leastSpan, (len(l.Columns[i-1].Address)+len(l.Columns[i].Address))/2+4)
		for _, s := range l.Steps {
			if min(s.From, s.To) == i-1 && max(s.From, s.To) == i {
				span = max(span, utf8.RuneCountInString(s.text())+10)
			}
		}
		at[i] = at[i-1] + span
	}
	return at
}

// head writes a word centred over each column.
func (l Ladder) head(b *strings.Builder, at []int, word func(Column) string) {
	line, used := strings.Repeat(" ", clockWidth+1), clockWidth+1
	for i, k := range l.Columns {
		text := word(k)
		if text == "" {
			continue
		}
		from := clockWidth + 1 + at[i] - utf8.RuneCountInString(text)/2
		line += strings.Repeat(" ", max(from-used, 1)) + text
		used = max(from, used+1) + utf8.RuneCountInString(text)
	}
	fmt.Fprintln(b, strings.TrimRight(line, " "))
}

// text is what stands in the arrow.
func (s Step) text() string {
	text := s.Label
	if s.Code != 0 && s.Method != "INVITE" && s.Method != "" {
		text += " (" + s.Method + ")"
	}
	if s.Content != "" {
		text += " [" + s.Content + "]"
	}
	return text
}

// arrow draws from one column to another, the text in its middle.
func arrow(line []string, from, to int, text string, c Charset, lost bool) {
	low, high := min(from, to), max(from, to)
	for i := low + 1; i < high; i++ {
		line[i] = c.line
	}
	if line[high-1] = c.right; to < from {
		line[high-1], line[low+1] = c.line, c.left
	}
	if lost {
		line[high-1] = c.lost
	}
	label := []rune(" " + text + " ")
	start := low + 1 + max((high-low-1-len(label))/2, 1)
	for i, r := range label {
		if at := start + i; at < high-1 {
			line[at] = string(r)
		}
	}
}

// clock writes when a step was.
func (l Ladder) clock(s Step) string {
	ms := s.AfterMs
	if l.Wall {
		return s.At.UTC().Format("15:04:05.000")
	}
	if ms < 1000 {
		return fmt.Sprintf("+%.1f ms", ms)
	}
	return fmt.Sprintf("+%.3f s", ms/1000)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
