package treatment

import (
	"iter"
	"strconv"
	"strings"
	"time"
)

// AnswerAfter finds the answer-after parameter in values of Call-Info or
// Alert-Info, as in
//
//	Call-Info: <sip:host>;answer-after=2
//
// and gives the first that is a number of seconds. It is no RFC's, but what
// PBXs send for intercom calls. Parameters inside <> or quotes are the URI's
// or somebody's name, and do not count.
func AnswerAfter(values []string) (time.Duration, bool) {
	for _, value := range values {
		for param := range Split(value, ";,") {
			name, seconds, ok := strings.Cut(param, "=")
			if !ok || !strings.EqualFold(strings.TrimSpace(name), "answer-after") {
				continue
			}
			n, err := strconv.ParseUint(strings.TrimSpace(seconds), 10, 20)
			if err == nil {
				return time.Duration(n) * time.Second, true
			}
		}
	}
	return 0, false
}

// Split gives the parts of a header's value between separators that are outside <>
// and quotes, without the space around them (RFC 3261 §7.3.1, §25.1).
func Split(value, separators string) iter.Seq[string] {
	return func(yield func(string) bool) {
		var quoted, escaped, angle bool
		start := 0
		for i := range len(value) {
			switch c := value[i]; {
			case escaped:
				escaped = false
			case quoted && c == '\\':
				escaped = true
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '<':
				angle = true
			case c == '>':
				angle = false
			case !angle && strings.IndexByte(separators, c) >= 0:
				if !yield(strings.TrimSpace(value[start:i])) {
					return
				}
				start = i + 1
			}
		}
		yield(strings.TrimSpace(value[start:]))
	}
}
