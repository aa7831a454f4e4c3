package ua

import (
	"github.com/emiago/sipgo/sip"
)

// Secured is a Line that may have asked for TLS.
type Secured interface {
	// TLSOnly lines take requests over TLS alone, and that is over connections
	// that were made to their server: our port speaks none. Who asks for TLS asks
	// that nobody else can put a word in. With sips: URIs every hop has to be
	// TLS, the last one included (RFC 3261 §26.2.2 and RFC 5630); with sip: URIs
	// and transport=tls it is what the Contact says.
	TLSOnly() bool
	// UsesTrust tells whether a call still runs that began with the certificates
	// of that name (Link.Trust).
	UsesTrust(name string) bool
}

// insecure tells whether a request came in the clear to a line that takes none such.
func insecure(l Line, req *sip.Request) bool {
	s, ok := l.(Secured)
	return ok && s.TLSOnly() && sip.NetworkToLower(req.Transport()) != string(TLS)
}

// refuseInsecure answers a request that came in the clear to a line with TLS. It
// named the line or came from its server, so the answer tells nobody anything new;
// its Warning (381 is RFC 5630's) tells the server's people which way to look.
func (e *Endpoint) refuseInsecure(req *sip.Request, tx *serverTx) {
	e.count.dropped.Add(1)
	e.log.Debug("request in the clear for a line with TLS", "method", req.Method, "from", req.Source(), "transport", req.Transport())
	e.answer(req, tx, 480, "Temporarily Unavailable", sip.NewHeader("Warning", `381 softphone-agent "SIPS Required: this line takes requests over TLS only"`))
}

// usesTrust tells whether a line has calls that began with these certificates.
func (d *directory) usesTrust(name string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, l := range d.byUser {
		if s, ok := l.(Secured); ok && s.UsesTrust(name) {
			return true
		}
	}
	return false
}
