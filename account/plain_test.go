package account

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

// tokens lists what a tokenizer says about a text, its places and its error included.
func tokens(data []byte, plain bool) []string {
	t := newTokenizer(data, &reader{})
	t.plain = plain
	var out []string
	for {
		next, err := t.next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				out = append(out, err.Error())
			}
			return out
		}
		out = append(out, fmt.Sprintf("%d %s %q %q at %v", next.kind, next.name, next.attrs, next.text, next.at))
	}
}

// FuzzPlainTokens: what is cut out of the data by hand is what encoding/xml reads.
func FuzzPlainTokens(f *testing.F) {
	seed(f, func(data []byte) { f.Add(data) })
	for _, text := range []string{
		"<a  b = \"c\"/>", "<a b='\"' c=\"'\"/><d></d >", "<a>]]></a>", "<a>]</a>", "<a/ >", "<a b=\"1\"c=\"2\"/>", "<a b=\"<\"/>", "</>", "<a", "<a/", "<a b", "<a b=\"", "<1/>", "<a:b/>", "<a.b-c_1/>",
		"</a", "</ a>", "<a\r\n/>", "a\rb", "<a>\x7f</a>", "<a>\x01</a>", "<é/>", "<aé/>", "<a é=\"1\"/>", "<a>é</a>", "<a b=\"\n\t\"/>", "<!-- - --><?p?><a/>", "<a b=\"]]>\"/>", "<a b=\"&lt;\">&gt;</a>",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		plain, whole := tokens(data, true), tokens(data, false)
		if fmt.Sprint(plain) != fmt.Sprint(whole) {
			t.Fatalf("by hand %q\nby encoding/xml %q", plain, whole)
		}
	})
}
