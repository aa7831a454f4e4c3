package delivery

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// HEP is where copies of the lines' SIP messages go, for a capture server such as
// Homer (HEP version 3). Secrets are taken out of them first. The zero value sends none.
type HEP struct {
	// Address of the server, host:port, UDP.
	Address string `json:"address,omitempty"`
	// CaptureID tells the server who captured.
	CaptureID uint32 `json:"captureID,omitempty"`
	// Password that the server asks for; it travels in the clear.
	Password string `json:"password,omitempty"`
}

// Enabled tells whether there is a server.
func (h HEP) Enabled() bool { return h.Address != "" }

func (h HEP) validate() error {
	if h.Address == "" {
		if h != (HEP{}) {
			return errors.New("hep: an address is needed")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(h.Address)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 || host == "" {
		return fmt.Errorf("hep.address: %q is not host:port", h.Address)
	}
	return nil
}
