package subscription

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Summary is a message summary (RFC 3842): what a mailbox holds.
type Summary struct {
	// Waiting: there is something to be told of.
	Waiting bool
	// Account is the mailbox' URI; "" = the summary does not say.
	Account string
	// Classes of messages that are counted, in the order they came.
	Classes []Class
}

// Class counts the messages of one context class (RFC 3458), "voice-message" most often.
type Class struct {
	Name                 string
	New, Old             int
	UrgentNew, UrgentOld int
}

// Bounds of a summary.
const (
	mostSummary = 16 << 10 // bytes
	mostClasses = 16
	mostCount   = 1<<31 - 1
)

// ErrSummary says that a body is no message summary.
var ErrSummary = errors.New("not a message summary")

// ParseSummary reads a body of application/simple-message-summary (RFC 3842 §5.2).
// What the grammar demands is demanded: the status line, and counts that are
// numbers. Letters' case, spaces, bare line feeds, blank lines before the first line
// and lines of other names are what servers in the field vary, and are let pass.
// Headers of single messages, which follow the summary after a blank line, are not
// read.
func ParseSummary(body []byte) (Summary, error) {
	if len(body) > mostSummary {
		return Summary{}, fmt.Errorf("%w: %d bytes, %d allowed", ErrSummary, len(body), mostSummary)
	}
	var s Summary
	said := false
	for line := range strings.SplitSeq(strings.TrimLeft(unfold(string(body)), "\n\t "), "\n") {
		if strings.TrimSpace(line) == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value); !ok {
			return Summary{}, fmt.Errorf("%w: line %q has no colon", ErrSummary, clip(line))
		}
		switch {
		case name == "messages-waiting":
			waiting, err := yesOrNo(value)
			if err != nil {
				return Summary{}, err
			}
			s.Waiting, said = waiting, true
		case name == "message-account":
			s.Account = clip(strings.Trim(value, "<>"))
		case strings.HasSuffix(name, "-message") || name == "none":
			c, err := parseClass(name, value)
			if err != nil {
				return Summary{}, err
			}
			s.add(c)
		}
	}
	if !said {
		return Summary{}, fmt.Errorf("%w: no Messages-Waiting", ErrSummary)
	}
	return s, nil
}

// unfold makes every line end in a line feed, and one line of those that go on in
// the next (RFC 3261 §7.3.1).
func unfold(body string) string {
	body = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body)
	return strings.NewReplacer("\n ", " ", "\n\t", " ").Replace(body)
}

func yesOrNo(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return false, fmt.Errorf("%w: Messages-Waiting is %q, neither yes nor no", ErrSummary, clip(value))
}

// add counts a class; one that comes twice counts as it came last.
func (s *Summary) add(c Class) {
	for i := range s.Classes {
		if s.Classes[i].Name == c.Name {
			s.Classes[i] = c
			return
		}
	}
	if len(s.Classes) < mostClasses {
		s.Classes = append(s.Classes, c)
	}
}

// parseClass reads "new/old (urgent-new/urgent-old)".
func parseClass(name, value string) (Class, error) {
	c := Class{Name: clip(name)}
	counts, urgent, isUrgent := strings.Cut(value, "(")
	var err error
	if c.New, c.Old, err = parseCounts(name, counts); err != nil || !isUrgent {
		return c, err
	}
	urgent, rest, closed := strings.Cut(urgent, ")")
	if !closed || strings.TrimSpace(rest) != "" {
		return c, fmt.Errorf("%w: %s is %q", ErrSummary, clip(name), clip(value))
	}
	c.UrgentNew, c.UrgentOld, err = parseCounts(name, urgent)
	return c, err
}

func parseCounts(name, value string) (fresh, old int, err error) {
	first, second, ok := strings.Cut(value, "/")
	a, errA := strconv.ParseUint(strings.TrimSpace(first), 10, 31)
	b, errB := strconv.ParseUint(strings.TrimSpace(second), 10, 31)
	if !ok || errA != nil || errB != nil {
		return 0, 0, fmt.Errorf("%w: %s counts %q", ErrSummary, clip(name), clip(value))
	}
	return int(a), int(b), nil
}

// total of all classes. It stays within what a count may be, however much is claimed.
func (s Summary) total() (all Class) {
	for _, c := range s.Classes {
		all.New, all.Old = plus(all.New, c.New), plus(all.Old, c.Old)
		all.UrgentNew, all.UrgentOld = plus(all.UrgentNew, c.UrgentNew), plus(all.UrgentOld, c.UrgentOld)
	}
	return all
}

func plus(a, b int) int { return min(a, mostCount-min(b, mostCount)) + min(b, mostCount) }

// join adds what another notifier of a forked subscription says.
func (s *Summary) join(o Summary) {
	s.Waiting = s.Waiting || o.Waiting
	for _, c := range o.Classes {
		for _, mine := range s.Classes {
			if mine.Name == c.Name {
				c = Class{c.Name, plus(c.New, mine.New), plus(c.Old, mine.Old), plus(c.UrgentNew, mine.UrgentNew), plus(c.UrgentOld, mine.UrgentOld)}
			}
		}
		s.add(c)
	}
}
