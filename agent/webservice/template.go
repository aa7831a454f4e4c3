package webservice

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/softphone-operator/softphone-operator/account"
)

// Placeholders of templates:
//
//	%account[node]%   a node of the account
//	%name%            a value of the service, as %targetNumber%
//	%sha1(text)%      a function of a text that may have placeholders itself;
//	                  there are md5, sha1 and sha256, in hexadecimal
//
// What is none of these stays as it stands, a per cent sign alone too.

// lookup gives what placeholders stand for.
type lookup struct {
	values map[string]string
	node   func(name string) string
	// safe: nobody listens, so that passwords may be told.
	safe bool
}

// hidden is what stands for a password where others could read it.
const hidden = "********"

// mostNested functions in one another.
const mostNested = 4

func asIs(s string) string { return s }

// escaped makes a value a part of a URL or of a form.
func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// oneLine keeps a value from ending a header.
func oneLine(s string) string { return strings.NewReplacer("\r", "", "\n", "").Replace(s) }

// expand fills a template; write is how a value is written there.
func expand(template string, known lookup, write func(string) string) string {
	return fill(template, known, write, 0)
}

func fill(template string, known lookup, write func(string) string, depth int) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(template, "%")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		value, after, found := known.placeholder(rest, depth)
		if !found {
			b.WriteByte('%')
			template = rest
			continue
		}
		b.WriteString(write(value))
		template = after
	}
}

// placeholder reads what stands behind a per cent sign.
func (l lookup) placeholder(text string, depth int) (value, after string, ok bool) {
	if name, rest, call := strings.Cut(text, "("); call && functions[name] != nil && depth < mostNested {
		if inner, after, closed := argument(rest); closed {
			return functions[name](fill(inner, l, asIs, depth+1)), after, true
		}
		return "", "", false
	}
	name, after, closed := strings.Cut(text, "%")
	if !closed {
		return "", "", false
	}
	if node, is := strings.CutPrefix(name, "account["); is {
		node, is = strings.CutSuffix(node, "]")
		if value = l.node(node); value != "" && account.IsSecret(node) && !l.safe {
			value = hidden
		}
		return value, after, is
	}
	value, ok = l.values[name]
	return value, after, ok
}

// argument is what stands before the ")%" of its own function.
func argument(text string) (inner, after string, ok bool) {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth == 0 {
				after, ok = strings.CutPrefix(text[i+1:], "%")
				return text[:i], after, ok
			}
			depth--
		}
	}
	return "", "", false
}

var functions = map[string]func(string) string{
	"md5":    func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) },
	"sha1":   func(s string) string { sum := sha1.Sum([]byte(s)); return hex.EncodeToString(sum[:]) },
	"sha256": func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) },
}
