package media

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/srtp/v3"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// How long a handshake may take, and its first flight waits for an answer: the descriptions are there, so that the peer is, too.
const (
	handshakeTime  = 10 * time.Second
	handshakeRetry = 300 * time.Millisecond
	handshakeMTU   = 1200
)

// ErrNotProtected says that the protection agreed on could not be had. The call must end: whoever is in the way must not get it
// in the clear.
var ErrNotProtected = errors.New("the media could not be protected")

// dtlsProfiles are offered in a handshake, the preferred first, with what SRTP and SDES call them.
var dtlsProfiles = []struct {
	id    dtls.SRTPProtectionProfile
	suite string
}{
	{dtls.SRTP_AEAD_AES_256_GCM, "AEAD_AES_256_GCM"},
	{dtls.SRTP_AEAD_AES_128_GCM, "AEAD_AES_128_GCM"},
	{dtls.SRTP_AES128_CM_HMAC_SHA1_80, "AES_CM_128_HMAC_SHA1_80"},
}

// association is the DTLS side of a session: a handshake for the RTP port, and one for RTCP's where they do not share one
// (RFC 5764 §4.1).
type association struct {
	session *Session
	agreed  sdp.Protection
	cancel  context.CancelFunc
	parts   []*part

	// secure fills as handshakes complete; guarded by the session's lock.
	secure *secure
}

// part is one handshake, on one port. It is the connection that the handshake runs over.
type part struct {
	a     *association
	write func(b []byte, to netip.AddrPort) error
	local net.Addr

	mu     sync.Mutex
	to     netip.AddrPort // where the peer's records come from, at first where the description says
	closed bool
	change chan struct{} // closed and made anew when something below changes
	queue  [][]byte
	until  time.Time // deadline of reading
}

// mostRecords that wait to be read: a handshake has a dozen.
const mostRecords = 64

// isDTLS tells a DTLS record from RTP and STUN on the same port (RFC 7983 §7).
func isDTLS(b []byte) bool { return len(b) > 0 && b[0] >= 20 && b[0] <= 63 }

// associate begins the handshakes. It is called under the session's lock.
func (s *Session) associate(n sdp.Negotiated) *association {
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	a := &association{session: s, agreed: n.Protection, cancel: cancel}
	local := net.UDPAddrFromAddrPort(s.transport.localRTP())
	to := n.Remote
	if s.ice != nil && n.ICE != nil {
		to = s.ice.to
	}
	a.parts = append(a.parts, newPart(a, s.transport.writeRTP, local, to))
	if !n.RTCPMux {
		a.parts = append(a.parts, newPart(a, s.transport.writeRTCP, local, n.RemoteRTCP))
	}
	for i, p := range a.parts {
		s.spawn(func() { p.run(ctx, i) })
	}
	return a
}

func newPart(a *association, write func([]byte, netip.AddrPort) error, local net.Addr, to netip.AddrPort) *part {
	return &part{a: a, write: write, local: local, to: to, change: make(chan struct{})}
}

// same says whether a further negotiation leaves the association as it is (RFC 5763 §6.6).
func (a *association) same(n sdp.Negotiated) bool {
	equal := func(x, y sdp.Fingerprint) bool { return x.Hash == y.Hash && bytes.Equal(x.Sum, y.Sum) }
	return n.Protection.Way == sdp.DTLS && slices.EqualFunc(a.agreed.Fingerprints, n.Protection.Fingerprints, equal) &&
		n.RTCPMux == (len(a.parts) == 1)
}

// aim has records go where ICE found the peer.
func (a *association) aim(to netip.AddrPort) {
	for _, p := range a.parts {
		p.mu.Lock()
		p.to = to
		p.mu.Unlock()
	}
}

// close ends handshakes and connections; it does not wait.
func (a *association) close() {
	a.cancel()
	for _, p := range a.parts {
		_ = p.Close()
	}
}

// run makes the handshake, hands its keys to the session and stays for what the peer repeats, until the part is closed.
func (p *part) run(ctx context.Context, index int) {
	conn, err := p.handshake(ctx)
	if err == nil {
		err = p.a.keyed(conn, index)
	}
	if err != nil {
		p.a.failed(err)
		_ = p.Close()
	}
	if conn == nil {
		return
	}
	defer func() { _ = conn.Close() }()
	for buffer := make([]byte, 1<<11); err == nil; {
		_, err = conn.Read(buffer) // nothing is said over it but its end
	}
}

func (p *part) handshake(ctx context.Context) (*dtls.Conn, error) {
	own, err := certificate()
	if err != nil {
		return nil, err
	}
	profiles := make([]dtls.SRTPProtectionProfile, 0, len(dtlsProfiles))
	for _, known := range dtlsProfiles {
		profiles = append(profiles, known.id)
	}
	verify := func(raw [][]byte, _ [][]*x509.Certificate) error {
		return verifyFingerprint(raw, p.a.agreed.Fingerprints)
	}
	shared := []dtls.Option{
		dtls.WithCertificates(own.certificate), dtls.WithSRTPProtectionProfiles(profiles...), dtls.WithInsecureSkipVerify(true),
		dtls.WithFlightInterval(handshakeRetry), dtls.WithMTU(handshakeMTU), dtls.WithVerifyPeerCertificate(verify),
	}
	var conn *dtls.Conn
	if p.a.agreed.Active {
		options := make([]dtls.ClientOption, 0, len(shared))
		for _, o := range shared {
			options = append(options, o)
		}
		conn, err = dtls.ClientWithOptions(p, p.local, options...)
	} else {
		options := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
		for _, o := range shared {
			options = append(options, o)
		}
		conn, err = dtls.ServerWithOptions(p, p.local, options...)
	}
	if err != nil {
		return nil, err
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// keyed takes a handshake's keys (RFC 5764 §4.2).
func (a *association) keyed(conn *dtls.Conn, index int) error {
	chosen, ok := conn.SelectedSRTPProtectionProfile()
	i := slices.IndexFunc(dtlsProfiles, func(p struct {
		id    dtls.SRTPProtectionProfile
		suite string
	}) bool {
		return p.id == chosen
	})
	state, alive := conn.ConnectionState()
	if !ok || i < 0 || !alive {
		return errors.New("the handshake agreed on no SRTP profile")
	}
	c := srtp.Config{Profile: srtpSuites[dtlsProfiles[i].suite]}
	if err := c.ExtractSessionKeysFromDTLS(&state, a.agreed.Active); err != nil {
		return err
	}
	k := &c.Keys
	s := a.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.secure == nil {
		a.secure = newSecure(dtlsProfiles[i].suite)
	}
	pair, err := a.secure.pair(c.Profile, slices.Concat(k.LocalMasterKey, k.LocalMasterSalt), slices.Concat(k.RemoteMasterKey, k.RemoteMasterSalt), nil)
	if err != nil {
		return err
	}
	if index == 0 {
		a.secure.rtp = pair
	}
	if index == 1 || len(a.parts) == 1 {
		a.secure.rtcp = pair
	}
	if a.secure.rtp.send != nil && a.secure.rtcp.send != nil && s.association == a {
		s.protection = a.secure
		s.tellProtected(nil)
	}
	return nil
}

// failed ends the session's hope of keys.
func (a *association) failed(err error) {
	s := a.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.association == a && !s.closed && !s.protection.ready() {
		s.tellProtected(fmt.Errorf("%w: DTLS: %w", ErrNotProtected, err))
	}
}

// verifyFingerprint holds the peer's certificate against what its description said of it: that is all its worth (RFC 5763 §5).
func verifyFingerprint(raw [][]byte, want []sdp.Fingerprint) error {
	if len(raw) == 0 {
		return errors.New("the peer shows no certificate")
	}
	for _, f := range want {
		if sum := fingerprintSum(f.Hash, raw[0]); sum != nil && bytes.Equal(sum, f.Sum) {
			return nil
		}
	}
	return errors.New("the peer's certificate is not the one its description names")
}

func fingerprintSum(hash string, certificate []byte) []byte {
	switch hash {
	case "sha-256":
		sum := sha256.Sum256(certificate)
		return sum[:]
	case "sha-384":
		sum := sha512.Sum384(certificate)
		return sum[:]
	case "sha-512":
		sum := sha512.Sum512(certificate)
		return sum[:]
	}
	return nil
}

// identity is what we show in handshakes.
type identity struct {
	certificate tls.Certificate
	fingerprint sdp.Fingerprint
}

// certificate of this process: nothing but its fingerprint matters, which goes by the signalling.
var certificate = sync.OnceValues(func() (identity, error) {
	c, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return identity{}, fmt.Errorf("a certificate for DTLS: %w", err)
	}
	return identity{c, sdp.Fingerprint{Hash: "sha-256", Sum: fingerprintSum("sha-256", c.Certificate[0])}}, nil
})

// Fingerprint of our certificate, as a description writes it.
func Fingerprint() (string, error) {
	own, err := certificate()
	if err != nil {
		return "", err
	}
	return sdp.FormatFingerprint(own.fingerprint), nil
}

// take gives the handshake a record; one too many is as good as lost.
func (p *part) take(b []byte, from netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.queue) >= mostRecords {
		return
	}
	p.to = from // behind a NAT it is not where the description says; the certificate tells whose it is
	p.queue = append(p.queue, bytes.Clone(b))
	p.wake()
}

// wake is called under the lock.
func (p *part) wake() {
	close(p.change)
	p.change = make(chan struct{})
}

// ReadFrom gives the next record.
func (p *part) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		p.mu.Lock()
		var wait <-chan time.Time
		switch {
		case p.closed:
			p.mu.Unlock()
			return 0, nil, net.ErrClosed
		case len(p.queue) > 0:
			n := copy(b, p.queue[0])
			p.queue = p.queue[1:]
			p.mu.Unlock()
			return n, p.local, nil
		case !p.until.IsZero():
			left := time.Until(p.until)
			if left <= 0 {
				p.mu.Unlock()
				return 0, nil, os.ErrDeadlineExceeded
			}
			wait = time.After(left)
		}
		change := p.change
		p.mu.Unlock()
		select {
		case <-change:
		case <-wait:
		}
	}
}

// WriteTo sends a record to the peer, wherever it is by now.
func (p *part) WriteTo(b []byte, _ net.Addr) (int, error) {
	p.mu.Lock()
	to, closed := p.to, p.closed
	p.mu.Unlock()
	if closed {
		return 0, net.ErrClosed
	}
	if !to.IsValid() {
		return len(b), nil // nowhere yet: as good as lost
	}
	return len(b), p.write(b, to)
}

// Close wakes who reads.
func (p *part) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.closed = true
		p.wake()
	}
	return nil
}

// LocalAddr is there for the interface.
func (p *part) LocalAddr() net.Addr { return p.local }

// SetDeadline sets that of reading; writing does not block.
func (p *part) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetReadDeadline ends a ReadFrom that lasts longer.
func (p *part) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = t
	p.wake()
	return nil
}

// SetWriteDeadline does nothing: writing does not block.
func (p *part) SetWriteDeadline(time.Time) error { return nil }
