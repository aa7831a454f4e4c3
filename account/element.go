package account

import "slices"

// Attr returns the value of an attribute of the element.
func (e *Element) Attr(name string) (string, bool) {
	for _, a := range e.Attrs {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// Child returns the first child element of that name, or nil.
func (e *Element) Child(name string) *Element {
	for i := range e.Children {
		if e.Children[i].Name == name {
			return &e.Children[i]
		}
	}
	return nil
}

// childText is the text of the first child of that name.
func (e *Element) childText(name string) (string, bool) {
	if c := e.Child(name); c != nil {
		return c.Text, true
	}
	return "", false
}

// hasText tells whether there is text in the element, between its elements or instead.
func (e *Element) hasText() bool {
	return e.Text != "" || slices.ContainsFunc(e.Children, func(c Element) bool { return c.Name == "" })
}

// attr is the value of an attribute, empty when there is none.
func (e *Element) attr(name string) string {
	v, _ := e.Attr(name)
	return v
}

// key is equal for elements that are equal as a whole, and only for them. The
// order of attributes does not count.
func (e *Element) key() string { return string(e.appendKey(nil)) }

func (e *Element) appendKey(b []byte) []byte {
	b = append(b, '<')
	b = append(append(b, e.Name...), 0)
	for _, a := range sorted(e.Attrs) {
		b = append(append(b, a.Name...), 1)
		b = append(append(b, a.Value...), 2)
	}
	b = append(append(b, 3), e.Text...)
	for i := range e.Children {
		b = e.Children[i].appendKey(b)
	}
	return append(b, 4)
}

func keys(list []Element) string {
	e := Element{Children: list}
	return e.key()
}

// textElement is <name>text</name>.
func textElement(name, text string) Element { return Element{Name: name, Text: text} }

// attrElement is <name a="…" b="…"/>, from pairs of name and value.
func attrElement(name string, pairs ...string) Element {
	e := Element{Name: name}
	for pair := range slices.Chunk(pairs, 2) {
		e.Attrs = append(e.Attrs, Attr{pair[0], pair[1]})
	}
	return e
}

// strangers remarks on children that nobody reads.
func strangers(list []Element, known ...string) []remark {
	var out []remark
	for _, e := range list {
		switch {
		case e.Name == "":
			out = append(out, remark{sloppy, "text between elements is not read"})
		case !slices.Contains(known, e.Name):
			out = append(out, remarkf(odd, "<%s> is unknown and carried unused", e.Name))
		}
	}
	return out
}
