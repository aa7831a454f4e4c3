package ua

import (
	"net/netip"
	"testing"

	"github.com/emiago/sipgo/sip"
)

func TestLinks(t *testing.T) {
	at := netip.MustParseAddrPort("10.0.0.1:5062")
	for says, row := range map[string]struct {
		link                  Link
		aor, contact, route   string
		udpHop, secureHop, to string
	}{
		"udp": {Link{}, "sip:a@pbx.test", "sip:u@10.0.0.1:5062", "sip:edge.test;lr",
			"10.0.0.1:5062/udp", "10.0.0.1:5062/tls", "10.0.0.1:5062/udp"},
		"tcp": {Link{Transport: TCP}, "sip:a@pbx.test", "sip:u@10.0.0.1:5062;transport=tcp", "sip:edge.test;transport=tcp;lr",
			"10.0.0.1:5062/udp", "10.0.0.1:5062/tls", "10.0.0.1:5062/tcp"},
		"tls": {Link{Transport: TLS, SIPS: true, Domain: "PBX.test:5061"}, "sips:a@pbx.test", "sips:u@10.0.0.1:5062", "sips:edge.test;lr",
			"10.0.0.1:5062/tls", "10.0.0.1:5062/tls", "10.0.0.1:5062/tls"},
		"tls+sip:": {Link{Transport: TLS, Domain: "pbx.test"}, "sip:a@pbx.test", "sip:u@10.0.0.1:5062;transport=tls", "sip:edge.test;transport=tls;lr",
			"10.0.0.1:5062/tls", "10.0.0.1:5062/tls", "10.0.0.1:5062/tls"},
	} {
		t.Run(says, func(t *testing.T) {
			l := row.link
			udp, secure := URI("b", "b.test"), URI("b", "b.test")
			udp.UriParams.Add("transport", "UDP")
			secure.Scheme = "sips"
			aor, contact, route := l.URI("a", "pbx.test"), l.Contact("u", at), l.Route("edge.test")
			for what, pair := range map[string][2]string{
				"address of record":            {aor.String(), row.aor},
				"Contact":                      {contact.String(), row.contact},
				"Route":                        {route.String(), row.route},
				"hop to a URI that says udp":   {l.Hop(udp, at).String(), row.udpHop},
				"hop to a sips: URI":           {l.Hop(secure, at).String(), row.secureHop},
				"place of the server":          {l.To(at).String(), row.to},
				"transport a request is aimed": {aimed(l.To(at)), row.to},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %s, want %s", what, pair[0], pair[1])
				}
			}
			if l.Transport == TLS && l.To(at).Name != "pbx.test" {
				t.Errorf("the certificate has to be good for %q", l.To(at).Name)
			}
		})
	}
}

// aimed writes where a clone of an aimed request goes.
func aimed(c Candidate) string {
	req := sip.NewRequest(sip.OPTIONS, URI("", "x.test"))
	c.Aim(req)
	again, err := aimOf(Retry(req))
	if err != nil || again != c {
		return "lost on the way"
	}
	return again.String()
}
