//go:build !cgo || nolibopus

// Package libopus is a thin binding of the reference implementation of Opus (RFC 6716). This build has none: cgo is off, or the tag
// nolibopus is set.
package libopus
