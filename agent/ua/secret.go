package ua

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a password: it never prints, whatever is asked of it.
type Secret string

const redacted = "[redacted]"

// Format writes "[redacted]" for every verb, the wrong ones included.
func (Secret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

func (Secret) String() string { return redacted }

// LogValue is what slog prints.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is what JSON and others encode.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
