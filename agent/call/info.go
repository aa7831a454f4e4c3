package call

import (
	"strings"
	"unicode"
)

// infoDigit finds the digit in an INFO's body:
//
//	application/dtmf-relay   Signal=5 CRLF Duration=160
//	application/dtmf         5
//
// Numbers 10 to 16 stand for *, #, A to D and flash, as in RFC 4733's events.
func infoDigit(mediaType string, body []byte) (rune, bool) {
	signal := ""
	switch mediaType {
	case mediaDTMF:
		signal = string(body)
	case mediaDTMFRelay:
		for line := range strings.Lines(string(body)) {
			name, value, ok := strings.Cut(line, "=")
			if ok && strings.EqualFold(strings.TrimSpace(name), "signal") {
				signal = value
				break
			}
		}
	}
	signal = strings.TrimSpace(signal)
	if named, ok := eventDigits[signal]; ok {
		return named, true
	}
	if len(signal) != 1 || !isDigit(rune(signal[0])) {
		return 0, false
	}
	return unicode.ToUpper(rune(signal[0])), true
}

var eventDigits = map[string]rune{"10": '*', "11": '#', "12": 'A', "13": 'B', "14": 'C', "15": 'D'}
