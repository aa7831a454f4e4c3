package ua

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// settled is how long nothing more is to happen to the addresses of this host before
// that is told: a network that comes up changes many things one after the other.
const settled = 200 * time.Millisecond

// Groups of rtnetlink(7) that tell of addresses and routes.
const addressGroups = 1<<(syscall.RTNLGRP_IPV4_IFADDR-1) | 1<<(syscall.RTNLGRP_IPV6_IFADDR-1) |
	1<<(syscall.RTNLGRP_IPV4_ROUTE-1) | 1<<(syscall.RTNLGRP_IPV6_ROUTE-1)

// WatchAddresses calls changed whenever an address or a route of this host may have
// changed, until ctx ends. The kernel says so; an error is that it does not.
func WatchAddresses(ctx context.Context, changed func()) error {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, syscall.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("watch addresses: %w", err)
	}
	news := os.NewFile(uintptr(fd), "rtnetlink") // non-blocking, so that Close ends Read
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: addressGroups}); err != nil {
		return errors.Join(fmt.Errorf("watch addresses: %w", err), news.Close())
	}
	defer context.AfterFunc(ctx, func() { _ = news.Close() })()
	tell := time.AfterFunc(settled, changed)
	tell.Stop()
	defer tell.Stop()
	// What the messages say does not matter, nor that some were lost.
	for b := make([]byte, 1<<13); ; {
		if _, err := news.Read(b); err != nil && !errors.Is(err, syscall.ENOBUFS) {
			if ctx.Err() != nil {
				return nil
			}
			return errors.Join(fmt.Errorf("watch addresses: %w", err), news.Close())
		}
		tell.Reset(settled)
	}
}
