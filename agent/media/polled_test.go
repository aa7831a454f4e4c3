package media

import (
	"net/netip"
	"time"
)

// kept is a transport of a network that keeps what comes until a clock looks, as the sockets of Linux do.
type kept struct {
	*memory
	taken []datagram
}

// fetch implements polled.
func (k *kept) fetch(_ *batch, port int) int {
	in := k.rtpIn
	if port == 1 {
		in = k.rtcpIn
	}
	k.taken = k.taken[:0]
	for len(k.taken) < batchSize {
		select {
		case d := <-in:
			k.taken = append(k.taken, d)
		default:
			return len(k.taken)
		}
	}
	return batchSize
}

// datagram implements polled.
func (k *kept) datagram(_ *batch, _, i int, now, since time.Time) ([]byte, netip.AddrPort, time.Time) {
	d, at := k.taken[i], k.taken[i].at
	if at.Before(since) {
		at = since
	}
	if at.After(now) {
		at = now
	}
	return d.b, d.from, at
}
