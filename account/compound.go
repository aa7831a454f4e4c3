package account

import (
	"slices"
	"strings"
)

// The compound nodes: what their elements mean, which mistakes they can hold, and
// the form they are written in. What is not understood stays in the document.

// canonicalChildren is the form of a compound node's elements that is written.
func canonicalChildren(node string, children []Element) []Element {
	switch node {
	case "rewriting", "incomingRewriting":
		return mapElements(children, canonicalRule)
	case "doNotDisturb":
		return mapElements(children, canonicalDNDEntry)
	}
	return children
}

// judgeCompound says what there is to say about a compound node.
func judgeCompound(n *Node) []remark {
	if n.Text != "" {
		return []remark{{wrong, "holds text where elements are meant"}}
	}
	switch n.Name {
	case "headers":
		return judgeHeaders(n.Children)
	case "doNotDisturb":
		return judgeDoNotDisturb(n)
	case "rewriting", "incomingRewriting":
		return judgeRewriting(n)
	case "blf":
		return judgeBLF(n.Children)
	}
	return nil
}

// mapElements applies f to every element; runs of text stay.
func mapElements(list []Element, f func(Element) Element) []Element {
	out := make([]Element, len(list))
	for i, e := range list {
		if out[i] = e; e.Name != "" {
			out[i] = f(e)
		}
	}
	return out
}

// Headers.

func decodeHeaders(children []Element) []Header {
	var out []Header
	for _, e := range children {
		if e.Name == "header" {
			out = append(out, Header{Method: e.attr("method"), Name: e.attr("name"), Value: e.attr("value")})
		}
	}
	return out
}

// SetHeaders sets the headers node.
func (d *Document) SetHeaders(headers []Header, priority int, source string) {
	var children []Element
	for _, h := range headers {
		children = append(children, attrElement("header", "method", h.Method, "name", h.Name, "value", h.Value))
	}
	d.SetChildren("headers", children, priority, source)
}

// Methods of SIP: RFC 3261 and its extensions.
var sipMethods = []string{"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "SUBSCRIBE",
	"NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE"}

// Headers the SIP stack writes itself, with their compact forms (RFC 3261 §7.3.3).
var reservedHeaders = []string{"via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m",
	"route", "record-route", "max-forwards", "content-length", "l", "content-type", "c",
	"authorization", "proxy-authorization"}

func judgeHeaders(children []Element) []remark {
	out := strangers(children, "header")
	for i, h := range decodeHeaders(children) {
		if h.Method != "*" && !slices.Contains(sipMethods, h.Method) {
			out = append(out, remarkf(wrong, "header %d: method %s is neither a SIP method nor *", i+1, quote(h.Method)))
		}
		if reason := badHeader(h.Name, h.Value); reason != "" {
			out = append(out, remarkf(wrong, "header %d: %s", i+1, reason))
		}
	}
	return out
}

// badHeader says why a header may not be added to requests; empty: it may.
func badHeader(name, value string) string {
	switch {
	case name == "":
		return "the name is missing"
	case strings.Trim(name, tokenChars) != "":
		return "the name " + quote(name) + " is not a header name"
	case slices.Contains(reservedHeaders, strings.ToLower(name)):
		return name + " is written by the SIP stack and cannot be set"
	case strings.ContainsAny(value, "\r\n\x00"):
		return "the value of " + name + " contains a line break"
	}
	return ""
}

// tokenChars is token of RFC 3261 §25.1.
const tokenChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~"

// BLF.

func decodeBLF(children []Element) []string {
	var out []string
	for _, e := range children {
		if e.Name == "uri" && e.Text != "" {
			out = append(out, e.Text)
		}
	}
	return out
}

// SetBLF sets the blf node.
func (d *Document) SetBLF(uris []string, priority int, source string) {
	var children []Element
	for _, u := range uris {
		children = append(children, textElement("uri", u))
	}
	d.SetChildren("blf", children, priority, source)
}

func judgeBLF(children []Element) []remark {
	out := strangers(children, "uri")
	for _, e := range children {
		if e.Name == "uri" && e.Text == "" {
			out = append(out, remark{sloppy, "an <uri> is empty"})
		}
	}
	return out
}
