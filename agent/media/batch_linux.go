//go:build linux && (amd64 || arm64)

package media

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many datagrams are read at once: a clock that is in time finds one, seldom two.
const batchSize = 2

// batch is where datagrams are read to, by recvmmsg.
type batch struct {
	messages []mmsghdr
	rooms    []room
}

// mmsghdr is the kernel's struct of that name.
type mmsghdr struct {
	header unix.Msghdr
	size   uint32
}

// room is what a message points to.
type room struct {
	vector  unix.Iovec
	name    unix.RawSockaddrInet6
	control stamp
	data    [2048]byte
}

// stamp is the control message that tells when a datagram came (SO_TIMESTAMPNS).
type stamp struct {
	header unix.Cmsghdr
	at     unix.Timespec
}

func newBatch(size int) *batch {
	b := &batch{messages: make([]mmsghdr, size), rooms: make([]room, size)}
	for i := range b.messages {
		p := &b.rooms[i]
		p.vector.Base = &p.data[0]
		p.vector.SetLen(len(p.data))
		h := &b.messages[i].header
		h.Name, h.Iov = (*byte)(unsafe.Pointer(&p.name)), &p.vector
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&p.control))
		b.clean(i)
	}
	return b
}

// clean makes a message ready to be read to again.
func (b *batch) clean(i int) {
	h := &b.messages[i].header
	h.Namelen = uint32(unsafe.Sizeof(b.rooms[i].name))
	h.SetControllen(int(unsafe.Sizeof(stamp{})))
}

// arrival is when a message came, by the kernel's stamp. That is of the wall clock, which may be set meanwhile: what cannot be, is not.
func (b *batch) arrival(i int, now, since time.Time) time.Time {
	h, s := &b.messages[i].header, &b.rooms[i].control
	if uintptr(h.Controllen) < unsafe.Sizeof(stamp{}) || s.header.Level != unix.SOL_SOCKET || s.header.Type != unix.SCM_TIMESTAMPNS {
		return now
	}
	after := time.Duration(s.at.Nano() - now.UnixNano())
	return now.Add(min(max(after, since.Sub(now)), grain))
}
