package account

import (
	"fmt"
	"log/slog"
)

// What is printed by accident shows no secrets: accounts and nodes print as a
// summary in every verb, and log the same way.

// String names the line, and nothing else about it.
func (a Account) String() string {
	return fmt.Sprintf("account %q (%s@%s)", a.Title, a.Username, a.Host)
}

// GoString is String, so that %#v shows no secret either.
func (a Account) GoString() string { return a.String() }

// LogValue is String for slog.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// String is name=value with a masked secret; a subtree is shown as its elements.
func (n Node) String() string { return n.Name + "=" + n.shown(Node.masked) }

// GoString is String.
func (n Node) GoString() string { return n.String() }

// LogValue is String for slog.
func (n Node) LogValue() slog.Value { return slog.StringValue(n.String()) }

// GoString is String.
func (d *Document) GoString() string { return d.String() }

// LogValue is String for slog.
func (d *Document) LogValue() slog.Value { return slog.StringValue(d.String()) }

// String does not show the settings: they hold secrets, too.
func (s Settings) String() string { return "settings of an account" }

// GoString is String, for %#v.
func (s Settings) GoString() string { return s.String() }

// LogValue is String, for slog.
func (s Settings) LogValue() slog.Value { return slog.StringValue(s.String()) }
