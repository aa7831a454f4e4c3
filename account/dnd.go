package account

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var contactFields = []string{"identifier", "source", "phone", "name"}

// contactField reads a field of a contactInfo: an attribute, or a child element.
func contactField(e *Element, name string) string {
	if v, ok := e.Attr(name); ok {
		return v
	}
	v, _ := e.childText(name)
	return v
}

func decodeDoNotDisturb(n *Node) *DoNotDisturb {
	dnd := &DoNotDisturb{}
	for _, a := range n.Attrs {
		if v, ok := parseInt(a.Value); ok && a.Name == "gmtOffsetInMinutes" {
			dnd.GMTOffsetInMinutes = &v
		}
	}
	for i := range n.Children {
		if n.Children[i].Name == "dndEntry" {
			dnd.Entries = append(dnd.Entries, decodeDNDEntry(&n.Children[i]))
		}
	}
	return dnd
}

func decodeDNDEntry(e *Element) DNDEntry {
	enabled, stated := e.childText("enabled")
	entry := DNDEntry{Enabled: !stated || enabled == "1"}
	entry.From, _ = e.childText("from")
	entry.To, _ = e.childText("to")
	entry.Comment, _ = e.childText("comment")
	days, _ := e.childText("weekdays")
	entry.Weekdays, _ = parseInt(days)
	if contacts := e.Child("contacts"); contacts != nil {
		for i := range contacts.Children {
			if c := &contacts.Children[i]; c.Name == "contactInfo" {
				entry.Contacts = append(entry.Contacts, DNDContact{Identifier: contactField(c, "identifier"),
					Source: contactField(c, "source"), Phone: contactField(c, "phone"), Name: contactField(c, "name")})
			}
		}
	}
	return entry
}

// SetDoNotDisturb sets the doNotDisturb node.
func (d *Document) SetDoNotDisturb(dnd *DoNotDisturb, priority int, source string) {
	var children []Element
	for _, entry := range dnd.Entries {
		children = append(children, entry.element())
	}
	d.SetChildren("doNotDisturb", children, priority, source)
	if dnd.GMTOffsetInMinutes != nil {
		n, _ := d.Get("doNotDisturb")
		n.Attrs = []Attr{{"gmtOffsetInMinutes", strconv.Itoa(*dnd.GMTOffsetInMinutes)}}
	}
}

func (entry DNDEntry) element() Element {
	contacts := Element{Name: "contacts"}
	for _, c := range entry.Contacts {
		contacts.Children = append(contacts.Children, attrElement("contactInfo",
			"identifier", c.Identifier, "source", c.Source, "phone", c.Phone, "name", c.Name))
	}
	e := Element{Name: "dndEntry", Children: []Element{
		textElement("enabled", boolText(entry.Enabled)),
		textElement("from", entry.From),
		textElement("to", entry.To),
		textElement("weekdays", strconv.Itoa(entry.Weekdays)),
		contacts,
	}}
	if entry.Comment != "" {
		e.Children = append(e.Children, textElement("comment", entry.Comment))
	}
	return e
}

// The fields of an entry, in the order they are written.
var entryFields = []string{"enabled", "from", "to", "weekdays", "contacts", "comment"}

// canonicalDNDEntry writes the fields of an entry in one order, says that there are
// no contacts, and writes the fields of contacts as attributes. An entry that holds
// more than entries do keeps it, behind the rest.
func canonicalDNDEntry(e Element) Element {
	if e.Name != "dndEntry" || e.hasText() {
		return e
	}
	children := mapElements(e.Children, func(c Element) Element {
		if c.Name == "contacts" {
			c.Children = mapElements(c.Children, canonicalContact)
		}
		return c
	})
	if e.Child("contacts") == nil {
		children = append(children, Element{Name: "contacts"})
	}
	rank := func(c Element) int {
		if i := slices.Index(entryFields, c.Name); i >= 0 {
			return i
		}
		return len(entryFields)
	}
	slices.SortStableFunc(children, func(a, b Element) int { return rank(a) - rank(b) })
	e.Children = children
	return e
}

func canonicalContact(c Element) Element {
	if c.Name != "contactInfo" || len(c.Children) == 0 || c.hasText() {
		return c
	}
	attrs := slices.Clone(c.Attrs)
	var others []Element
	for _, f := range c.Children {
		_, stated := c.Attr(f.Name)
		if stated || len(f.Children) > 0 || len(f.Attrs) > 0 || !slices.Contains(contactFields, f.Name) {
			others = append(others, f)
			continue
		}
		attrs = append(attrs, Attr{f.Name, f.Text})
		c.Attrs = attrs
	}
	c.Children = others
	return c
}

var clock = regexp.MustCompile(`^(?:([01]\d|2[0-3])|\d):[0-5]\d$`)

func judgeDoNotDisturb(n *Node) []remark {
	out := strangers(n.Children, "dndEntry")
	for _, a := range n.Attrs {
		if a.Name != "gmtOffsetInMinutes" {
			continue
		}
		if v, ok := parseInt(a.Value); !ok || v < -24*60 || v > 24*60 {
			out = append(out, remarkf(wrong, "gmtOffsetInMinutes %s is not a number of minutes within a day", quote(a.Value)))
		}
	}
	number := 0
	for i := range n.Children {
		if e := &n.Children[i]; e.Name == "dndEntry" {
			number++
			for _, r := range judgeDNDEntry(e) {
				r.message = "entry " + strconv.Itoa(number) + ": " + r.message
				out = append(out, r)
			}
		}
	}
	return out
}

func judgeDNDEntry(e *Element) []remark {
	out := strangers(e.Children, "enabled", "from", "to", "weekdays", "contacts", "comment")
	for _, end := range [...]string{"from", "to"} {
		text, stated := e.childText(end)
		switch parts := clock.FindStringSubmatch(text); {
		case !stated || text == "":
			out = append(out, remarkf(wrong, "<%s> is missing", end))
		case parts == nil:
			out = append(out, remarkf(wrong, "<%s> %s is not a time of day, 00:00 to 23:59", end, quote(text)))
		case parts[1] == "":
			out = append(out, remarkf(sloppy, "<%s> %s should be %q", end, quote(text), "0"+text))
		}
	}
	days, stated := e.childText("weekdays")
	if v, ok := parseInt(days); !stated {
		out = append(out, remark{wrong, "<weekdays> is missing"})
	} else if !ok || v < 0 || v > 127 {
		out = append(out, remarkf(wrong, "<weekdays> %s is not between 0 and 127", quote(days)))
	}
	for _, c := range decodeDNDEntry(e).Contacts {
		if strings.Trim(c.Phone, xmlSpace) == "" {
			out = append(out, remark{odd, "a contact without phone never matches"})
		}
	}
	return out
}
