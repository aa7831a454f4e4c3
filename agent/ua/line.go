package ua

import (
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// Line is what an endpoint hands requests to.
type Line interface {
	// HandleRequest is called in a goroutine of its own for every new request,
	// ACK of a 2xx included (its tx takes no response). It must not block for
	// long; whoever gets a request other than ACK answers it through tx. A panic
	// in it is caught, counted and answered 500.
	//
	// CANCEL: one that matches an INVITE's transaction is answered by the
	// transaction layer (200, then 487 for the INVITE); the line learns of it by
	// tx.OnCancel. Others are answered 481 here.
	HandleRequest(req *sip.Request, tx sip.ServerTransaction)
	// ServerAddrs are the addresses of the line's server now. Only from there
	// is a request taken that names no Contact user.
	ServerAddrs() []netip.AddrPort
	// AOR is the user and host of the address of record.
	AOR() (user, host string)
}

// Capable is a Line that knows what it handles; OPTIONS and 405 tell it.
type Capable interface {
	Allow() []sip.RequestMethod // e.g. with MESSAGE when the account allows it
	Supported() []string        // option tags
}

// Bind routes requests whose Request-URI user is user to l, until unbind is
// called. user should be unguessable (NewContactUser). A user bound already is
// an error.
func (e *Endpoint) Bind(user string, l Line) (unbind func(), err error) { return nil, nil }
