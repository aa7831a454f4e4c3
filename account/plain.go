package account

import "bytes"

// plainToken cuts the token at pos out of the data when it is made of ASCII alone,
// without entities, prefixes, carriage returns and other rarities; else it moves
// nothing. What it takes, encoding/xml would read alike.
func (t *tokenizer) plainToken() (next token, ok bool) {
	rest := t.data[t.pos:]
	if rest[0] != '<' {
		n := plainText(rest, '<')
		if n < 0 {
			return next, false
		}
		t.pos += n
		return token{kind: textToken, text: rest[:n:n]}, true
	}
	if len(rest) > 2 && rest[1] == '/' {
		return t.plainEnd(rest)
	}
	n := plainName(rest[1:])
	if n == 0 {
		return next, false
	}
	next = token{kind: startToken}
	next.name, next.row = t.names.interned(rest[1 : 1+n])
	i := 1 + n
	for {
		space := i
		for i < len(rest) && isSpace(rest[i]) {
			i++
		}
		if i+1 >= len(rest) {
			return next, false
		}
		switch {
		case rest[i] == '>':
			t.pos += i + 1
			return next, true
		case rest[i] == '/' && rest[i+1] == '>':
			t.pos += i + 2
			t.closing = true
			return next, true
		case space == i:
			return next, false
		}
		attr, size := plainAttr(rest[i:])
		if size == 0 {
			return next, false
		}
		next.attrs = append(next.attrs, attr)
		i += size
	}
}

// plainEnd is </name>.
func (t *tokenizer) plainEnd(rest []byte) (next token, ok bool) {
	n := plainName(rest[2:])
	if n == 0 || len(rest) <= 2+n || rest[2+n] != '>' {
		return next, false
	}
	t.pos += 2 + n + 1
	name := rest[2 : 2+n]
	if last := len(t.open) - 1; last >= 0 && t.open[last] == string(name) {
		return token{kind: endToken, name: t.open[last]}, true
	}
	return token{kind: endToken, name: string(name)}, true
}

// plainAttr is name="value"; size 0: it is not plain.
func plainAttr(rest []byte) (attr Attr, size int) {
	n := plainName(rest)
	if n == 0 || len(rest) < n+3 || rest[n] != '=' || rest[n+1] != '"' && rest[n+1] != '\'' {
		return attr, 0
	}
	value := rest[n+2:]
	end := plainText(value, rest[n+1])
	if end < 0 || end == len(value) || bytes.IndexByte(value[:end], '<') >= 0 {
		return attr, 0
	}
	attr.Name, attr.Value = attrName(rest[:n]), string(value[:end])
	return attr, n + 2 + end + 1
}

// plainText is how many bytes there are before stop, or the end; -1 when one of
// them is not plain.
func plainText(rest []byte, stop byte) int {
	for i, c := range rest {
		switch {
		case c == stop:
			return i
		case c == '&' || c == ']' || c >= 0x7f || c < ' ' && c != '\n' && c != '\t':
			return -1
		}
	}
	return len(rest)
}

// plainName is how many bytes a name at the start has; 0 when it has none, or is
// followed by what may belong to it.
func plainName(rest []byte) int {
	for i, c := range rest {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if letter || i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.') {
			continue
		}
		if c == ':' || c >= 0x80 {
			return 0
		}
		return i
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' }

// interned is a name as a string, and its row; the schema's own are not made anew.
func (x *nameIndex) interned(name []byte) (string, *Row) {
	number, ok := x.next, x.next < len(x.schema.rows) && x.schema.rows[x.next].Name == string(name)
	if !ok {
		if number, ok = x.schema.index[string(name)]; !ok {
			return string(name), nil
		}
	}
	row := &x.schema.rows[number]
	x.next = number + 1
	if row.Name == string(name) {
		return row.Name, row
	}
	return string(name), row // an alias
}

// attrName is the name of an attribute; the usual ones are not made anew.
func attrName(name []byte) string {
	switch string(name) {
	case "priority":
		return "priority"
	case "source":
		return "source"
	}
	return string(name)
}
