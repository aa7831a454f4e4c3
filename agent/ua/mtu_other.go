//go:build !linux

package ua

import (
	"context"
	"net/netip"
)

// pathMTU is not known here.
func pathMTU(context.Context, netip.AddrPort) int { return mostOverUDP + mtuMargin }
