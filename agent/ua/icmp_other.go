//go:build !linux

package ua

import "net"

// Elsewhere than on Linux an unconnected socket hears no ICMP errors; timers B
// and F decide.
func reportErrors(*net.UDPConn) {}

func readErrors(*net.UDPConn) []icmpError { return nil }
