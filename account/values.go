package account

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/softphone-operator/softphone-operator/account/tone"
)

// A verdict on a value, the mildest first.
type verdict int

const (
	fine   verdict = iota
	odd            // works, probably not meant: always a warning
	sloppy         // an error in authored documents, a warning in fetched ones
	wrong          // always an error
)

// A remark is a verdict with its reason.
type remark struct {
	verdict verdict
	message string
}

func remarkf(v verdict, format string, args ...any) remark {
	return remark{v, fmt.Sprintf(format, args...)}
}

// canonical is the node's value in the spelling that is written.
func (n *Node) canonical() (string, []Element) {
	row := rowOf(n.Name)
	switch {
	case row == nil || row.Secret:
		return n.Text, n.Children
	case len(n.Children) == 0:
		return canonicalText(row, n.Text), nil
	case row.Kind == KindSubtree:
		return "", canonicalChildren(row.Name, n.Children)
	}
	return n.Text, n.Children
}

// canonicalText gives a value the schema's spelling; what cannot be understood stays as it is.
func canonicalText(row *Row, text string) string {
	switch row.Kind {
	case KindBool, KindTristate:
		if b, ok := parseBool(text); ok {
			return boolText(b)
		}
	case KindEnum:
		if word, ok := enumWord(row, text); ok {
			return word
		}
	case KindCSV, KindIntCSV:
		return strings.Join(splitCSV(text), ",")
	}
	return text
}

func boolText(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// parseBool reads 0 and 1, and the words some services use instead.
func parseBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "1", "true", "yes":
		return true, true
	case "0", "false", "no":
		return false, true
	}
	return false, false
}

// enumWord finds the word of an enum that a text means.
func enumWord(row *Row, text string) (string, bool) {
	if text == "" && row.allowsEmpty() {
		return "", true
	}
	for _, w := range row.Enum {
		if text == w || row.FoldCase && strings.EqualFold(text, w) {
			return w, true
		}
	}
	w, ok := row.Synonyms[text]
	return w, ok
}

// splitCSV splits at commas, without white space and empty items.
func splitCSV(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.Trim(item, xmlSpace); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// parseInt reads a whole number of 32 bits.
func parseInt(text string) (int, bool) {
	v, err := strconv.ParseInt(text, 10, 32)
	return int(v), err == nil && !strings.HasPrefix(text, "+")
}

// judgeText says what there is to say about the text of a node.
func judgeText(row *Row, text string) remark {
	if row.Secret {
		return remark{}
	}
	if text == "" {
		switch {
		case row.Required:
			return remark{wrong, "must not be empty"}
		case row.allowsEmpty():
			return remark{}
		}
		return remarkf(sloppy, "must not be empty; it reads as %s", row.Default)
	}
	switch row.Kind {
	case KindBool, KindTristate:
		return judgeBool(text)
	case KindInt, KindIntEmpty:
		return judgeInt(row, text)
	case KindEnum:
		return judgeEnum(row, text)
	case KindCSV, KindIntCSV:
		return judgeCSV(row, text)
	case KindHost:
		return judgeHost(text)
	case KindIP:
		if _, err := netip.ParseAddr(text); err != nil {
			return remarkf(wrong, "%s is not an IP address", quote(text))
		}
	case KindURL:
		return judgeURL(row, text)
	case KindTone:
		if _, err := tone.Parse(text); err != nil {
			return remarkf(wrong, "%v", err)
		}
	case KindString:
		return judgeString(text)
	}
	return remark{}
}

func judgeBool(text string) remark {
	b, ok := parseBool(text)
	switch {
	case !ok:
		return remarkf(wrong, "%s is neither 0 nor 1", quote(text))
	case text != boolText(b):
		return remarkf(sloppy, "%s should be %s", quote(text), boolText(b))
	}
	return remark{}
}

func judgeInt(row *Row, text string) remark {
	v, ok := parseInt(text)
	switch {
	case !ok:
		return remarkf(wrong, "%s is not a whole number", quote(text))
	case row.Range == nil || slices.Contains(row.Also, v) || v >= row.Range.Min && v <= row.Range.Max:
		return remark{}
	case row.Range.Max == NoMax:
		return remarkf(wrong, "%d is less than %d", v, row.Range.Min)
	}
	also := ""
	for _, n := range row.Also {
		also += fmt.Sprintf(", nor %d", n)
	}
	return remarkf(wrong, "%d is not between %d and %d%s", v, row.Range.Min, row.Range.Max, also)
}

func judgeEnum(row *Row, text string) remark {
	if _, ok := enumWord(row, text); ok {
		return remark{}
	}
	if row.Else != "" {
		return remarkf(odd, "%s reads as %s; the words are %s", quote(text), row.Else, strings.Join(row.Enum, ", "))
	}
	return remarkf(wrong, "%s is not one of %s", quote(text), strings.Join(row.Enum, ", "))
}

func judgeCSV(row *Row, text string) remark {
	items := splitCSV(text)
	var unknown []string
	seen := make(map[string]bool, len(items))
	for _, item := range items {
		if seen[item] {
			return remarkf(wrong, "%s is listed twice", quote(item))
		}
		seen[item] = true
		if slices.Contains(row.Enum, item) {
			continue
		}
		if _, number := parseInt(item); row.Kind == KindIntCSV && !number {
			return remarkf(wrong, "%s is not a payload number", quote(item))
		}
		unknown = append(unknown, item)
	}
	switch {
	case len(items) == 0:
		return remark{wrong, "the list is empty"}
	case len(unknown) > 0 && row.Kind == KindCSV:
		return remarkf(wrong, "%s is not one of %s", quote(unknown[0]), strings.Join(row.Enum, ", "))
	case row.Permutation && len(items) < len(row.Enum):
		return remarkf(wrong, "must list each of %s", strings.Join(row.Enum, ", "))
	case len(items) != strings.Count(text, ",")+1:
		return remark{sloppy, "there is an empty item in the list"}
	case len(unknown) > 0:
		return remarkf(odd, "payload number %s is none of %s and is never offered", quote(unknown[0]), strings.Join(row.Enum, ", "))
	}
	return remark{}
}

func judgeURL(row *Row, text string) remark {
	scheme, rest, found := strings.Cut(text, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case !found || !slices.Contains(row.Schemes, scheme):
		return remarkf(wrong, "must start with %s://", strings.Join(row.Schemes, ":// or "))
	case rest == "" || strings.HasPrefix(rest, "/"):
		return remark{wrong, "the URL names no host"}
	case strings.ContainsFunc(rest, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return remark{wrong, "the URL contains white space"}
	case scheme == "lua":
		return remark{odd, "lua:// is carried and never fetched"}
	}
	return remark{}
}

// judgeString keeps line breaks out of what ends up in SIP headers.
func judgeString(text string) remark {
	if i := strings.IndexFunc(text, unicode.IsControl); i >= 0 {
		return remarkf(wrong, "contains the control character %U", []rune(text[i:])[0])
	}
	return remark{}
}

// quote shows a value in a message: short, without control characters, and
// without what looks like credentials.
func quote(text string) string {
	text = maskText("", text)
	if at := strings.LastIndexByte(text, '@'); at > 0 && strings.Contains(text[:at], ":") {
		text = masked + text[at:]
	}
	if r := []rune(text); len(r) > 40 {
		text = string(r[:40]) + "…"
	}
	return strconv.Quote(text)
}
