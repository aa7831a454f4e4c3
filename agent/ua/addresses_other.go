//go:build !linux

package ua

import (
	"context"
	"errors"
)

// WatchAddresses is for Linux alone; elsewhere OPTIONS show, later, that an address
// has changed.
func WatchAddresses(context.Context, func()) error { return errors.ErrUnsupported }
