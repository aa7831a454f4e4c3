//go:build !linux || !(amd64 || arm64)

package media

import (
	"errors"
	"net"
	"net/netip"
)

// listenPair binds a pair of sockets of package net, which goroutines wait for.
func listenPair(local netip.Addr, port int) (transport, error) {
	rtp, err := listenUDP(local, port)
	if err != nil {
		return nil, err
	}
	rtcp, err := listenUDP(local, port+1)
	if err != nil {
		return nil, errors.Join(err, rtp.Close())
	}
	return &plain{rtp, rtcp}, nil
}

// plain is a pair of UDP sockets of package net.
type plain struct{ rtp, rtcp *net.UDPConn }

func (p *plain) readRTP(b []byte) (int, netip.AddrPort, error)  { return p.rtp.ReadFromUDPAddrPort(b) }
func (p *plain) readRTCP(b []byte) (int, netip.AddrPort, error) { return p.rtcp.ReadFromUDPAddrPort(b) }

func (p *plain) writeRTP(b []byte, to netip.AddrPort) error {
	_, err := p.rtp.WriteToUDPAddrPort(b, to)
	return err
}

func (p *plain) writeRTCP(b []byte, to netip.AddrPort) error {
	_, err := p.rtcp.WriteToUDPAddrPort(b, to)
	return err
}

func (p *plain) localRTP() netip.AddrPort {
	local := p.rtp.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
}

func (p *plain) close() error { return errors.Join(p.rtp.Close(), p.rtcp.Close()) }

const batchSize = 1

// batch is not needed where sockets are waited for.
type batch struct{}

func newBatch(int) *batch { return nil }
