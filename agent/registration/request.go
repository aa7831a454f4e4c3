package registration

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// contactURI is where we want to be called: user and address tell the line,
// rinstance tells this binding from what an earlier life has left.
func contactURI(cfg Config, at netip.AddrPort) sip.Uri {
	uri := cfg.Link.Contact(cfg.ContactUser, at)
	if cfg.RInstance != "" {
		uri.UriParams.Add("rinstance", cfg.RInstance+"-"+strconv.Itoa(cfg.Slot))
	}
	return uri
}

// contactValue is the Contact header's value for our own URI (RFC 5626 §4.2.1); plain
// leaves out what asks for a flow.
func contactValue(cfg Config, uri sip.Uri, expires time.Duration, plain bool) string {
	value := "<" + uri.String() + ">"
	if cfg.Instance != "" {
		value += fmt.Sprintf(`;+sip.instance="<%s>"`, cfg.Instance)
	}
	if cfg.Instance != "" && !plain {
		value += fmt.Sprintf(";reg-id=%d", cfg.Slot)
	}
	return fmt.Sprintf("%s;expires=%d", value, wholeSeconds(expires))
}

// buildRegister builds a REGISTER (RFC 3261 §10.2): the Request-URI names the
// domain, To and From the address of record. Path (RFC 3327 §5.1) costs a user agent
// nothing; outbound (RFC 5626 §4.2.1) is asked for by an instance that has one.
func buildRegister(cfg Config, tag string, serial int64, contacts []string, expires time.Duration, plain bool) *sip.Request {
	req := sip.NewRequest(sip.REGISTER, cfg.Link.URI("", cfg.Registrar))
	if cfg.Route {
		route := cfg.Link.Route(cfg.target())
		req.AppendHeader(&sip.RouteHeader{Address: route})
	}
	aor := cfg.Link.URI(cfg.AOR.User, cfg.AOR.Host)
	from := &sip.FromHeader{DisplayName: quotable(cfg.AOR.Display), Address: aor, Params: sip.NewParams()}
	from.Params.Add("tag", tag)
	req.AppendHeader(from)
	req.AppendHeader(&sip.ToHeader{DisplayName: quotable(cfg.AOR.Display), Address: aor})
	number(req, cfg, serial)
	for _, c := range contacts {
		req.AppendHeader(sip.NewHeader("Contact", c))
	}
	supported := "path"
	if cfg.Instance != "" && !plain {
		supported = "path, outbound"
	}
	req.AppendHeader(sip.NewHeader("Supported", supported))
	req.AppendHeader(sip.NewHeader("Expires", strconv.FormatInt(wholeSeconds(expires), 10)))
	for _, h := range cfg.Headers {
		if usable(h) {
			req.AppendHeader(sip.NewHeader(h.Name, h.Value))
		}
	}
	return req
}

// number gives req its Call-ID and CSeq. The Call-ID is the same for all
// REGISTERs of a line in a slot, across restarts (RFC 3261 §10.2: "All
// registrations from a UAC SHOULD use the same Call-ID header field value for
// registrations sent to a particular registrar").
func number(req *sip.Request, cfg Config, serial int64) {
	era, cseq := serial>>31, uint32(serial&(1<<31-1))
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%d\n%d", cfg.Instance, cfg.RInstance, cfg.Slot, era))
	callID := sip.CallIDHeader(hex.EncodeToString(sum[:16]))
	req.RemoveHeader("Call-ID")
	req.RemoveHeader("CSeq")
	req.AppendHeader(&callID)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: cseq, MethodName: sip.REGISTER})
}

// reserved headers are ours to write.
var reserved = []string{
	"via", "from", "to", "call-id", "cseq", "contact", "route", "record-route", "max-forwards", "content-length",
	"content-type", "authorization", "proxy-authorization", "expires",
	"v", "f", "t", "i", "m", "l", "c",
}

// usable: the account has been validated; this is the last line of defence
// against a header that would be two.
func usable(h Header) bool {
	return h.Name != "" && !strings.ContainsAny(h.Name, " \t\r\n:") && !strings.ContainsAny(h.Value, "\r\n") &&
		!slices.Contains(reserved, strings.ToLower(h.Name))
}

// quotable makes a display name fit between quotes (sipgo writes it as it is).
func quotable(s string) string { return unquotable.Replace(s) }

var unquotable = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "")

func wholeSeconds(d time.Duration) int64 { return int64(d / time.Second) }

// hostPort of a URI as an address, the port filled in.
func hostPort(u *sip.Uri) string {
	port := u.Port
	switch {
	case port == 0 && u.Scheme == "sips":
		port = 5061
	case port == 0:
		port = 5060
	}
	return net.JoinHostPort(strings.ToLower(strings.Trim(u.Host, "[]")), strconv.Itoa(port))
}

// publicAddress is what the server wrote into our Via (RFC 3581 §4), "" = nothing.
func publicAddress(res *sip.Response) string {
	via := res.Via()
	if via == nil {
		return ""
	}
	host, port := via.Host, strconv.Itoa(via.Port)
	received, ok1 := param(via.Params, "received")
	rport, ok2 := param(via.Params, "rport")
	if ok1 && received != "" {
		host = received
	}
	if ok2 && rport != "" {
		port = rport
	}
	addr, err := netip.ParseAddrPort(net.JoinHostPort(strings.Trim(host, "[]"), port))
	if err != nil || addr.Port() == 0 {
		return ""
	}
	return addr.String()
}
