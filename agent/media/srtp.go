package media

import (
	"errors"
	"fmt"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
	"github.com/pion/transport/v5/replaydetector"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// srtpSuites are the crypto suites of SDES, by the names that descriptions have for them.
var srtpSuites = map[string]srtp.ProtectionProfile{
	"AEAD_AES_256_GCM":        srtp.ProtectionProfileAeadAes256Gcm,
	"AEAD_AES_128_GCM":        srtp.ProtectionProfileAeadAes128Gcm,
	"AES_256_CM_HMAC_SHA1_80": srtp.ProtectionProfileAes256CmHmacSha1_80,
	"AES_256_CM_HMAC_SHA1_32": srtp.ProtectionProfileAes256CmHmacSha1_32,
	"AES_CM_128_HMAC_SHA1_80": srtp.ProtectionProfileAes128CmHmacSha1_80,
	"AES_CM_128_HMAC_SHA1_32": srtp.ProtectionProfileAes128CmHmacSha1_32,
}

// replayWindow is how many packets back a repeated one is still told from a late one (RFC 3711 §3.3.2 asks for 64 at least).
const replayWindow = 512

// secure is SRTP and SRTCP (RFC 3711) with keys that both sides have.
type secure struct {
	suite      string
	rtp, rtcp  keyed // the same contexts where both share a port or a key
	duplicates uint64

	header      rtp.Header // scratch
	rtcpHeader  rtcp.Header
	rout, rin   []byte
	ours, their sdp.Crypto // of SDES, to see whether a further answer changed them
}

// keyed is one pair of keys.
type keyed struct{ send, receive *srtp.Context }

func newSecure(suite string) *secure {
	room := func() []byte { return make([]byte, 0, 2*packetRoom) }
	return &secure{suite: suite, rout: room(), rin: room()}
}

// newSDES takes the keys that descriptions exchanged.
func newSDES(ours, theirs sdp.Crypto) (*secure, error) {
	profile, ok := srtpSuites[ours.Suite]
	if !ok || ours.Suite != theirs.Suite {
		return nil, fmt.Errorf("no SRTP with the suites %q and %q", ours.Suite, theirs.Suite)
	}
	s := newSecure(ours.Suite)
	s.ours, s.their = ours, theirs
	pair, err := s.pair(profile, ours.Key, theirs.Key, theirs.MKI)
	s.rtp, s.rtcp = pair, pair
	return s, err
}

// same says whether keys are the ones in use. A context goes on counting then: to start it over would repeat its key stream.
func (s *secure) same(p sdp.Protection) bool {
	return p.Way == sdp.SDES && equalCrypto(s.ours, p.Ours) && equalCrypto(s.their, p.Theirs)
}

func equalCrypto(a, b sdp.Crypto) bool { return a.Suite == b.Suite && string(a.Key) == string(b.Key) }

// pair makes the two directions of master keys, each with its salt at its end.
func (s *secure) pair(profile srtp.ProtectionProfile, ours, theirs []byte, mki []byte) (keyed, error) {
	n, err := profile.KeyLen()
	if err != nil || len(ours) <= n || len(theirs) <= n {
		return keyed{}, errors.Join(fmt.Errorf("SRTP keys of %d and %d bytes", len(ours), len(theirs)), err)
	}
	var k keyed
	if k.send, err = srtp.CreateContext(ours[:n], ours[n:], profile); err != nil {
		return k, fmt.Errorf("SRTP to send: %w", err)
	}
	options := []srtp.ContextOption{srtp.SRTPReplayDetectorFactory(s.newDetector), srtp.SRTCPReplayProtection(replayWindow)}
	if len(mki) > 0 {
		options = append(options, srtp.MasterKeyIndicator(mki))
	}
	if k.receive, err = srtp.CreateContext(theirs[:n], theirs[n:], profile, options...); err != nil {
		return k, fmt.Errorf("SRTP to receive: %w", err)
	}
	return k, nil
}

// newDetector is a replay window that counts what it turns away: a packet that the network doubled must show in the numbers.
func (s *secure) newDetector() replaydetector.ReplayDetector {
	const highest = 1<<48 - 1 // §3.3.1: 32 bits of rollovers before the 16 of the sequence number
	d := replaydetector.New(replayWindow, highest)
	return &countingDetector{ReplayDetector: d, CheckAccepter: d.(replaydetector.CheckAccepter), rejected: &s.duplicates}
}

type countingDetector struct {
	replaydetector.ReplayDetector
	replaydetector.CheckAccepter
	rejected *uint64
}

// CheckSeq counts what was there before.
func (d *countingDetector) CheckSeq(seq uint64) replaydetector.Token {
	t := d.CheckAccepter.CheckSeq(seq)
	if !t.Passed() {
		*d.rejected++
	}
	return t
}

func (s *secure) ready() bool  { return true }
func (s *secure) name() string { return s.suite }

// RTP is worked on in its place, which the caches of a processor have at hand.

func (s *secure) protectRTP(packet []byte) ([]byte, error) {
	return s.rtp.send.EncryptRTP(packet[:0], packet, &s.header)
}

func (s *secure) unprotectRTP(packet []byte) ([]byte, error) {
	return s.rtp.receive.DecryptRTP(packet[:0], packet, &s.header)
}

func (s *secure) protectRTCP(packet []byte) ([]byte, error) {
	var err error
	s.rout, err = s.rtcp.send.EncryptRTCP(s.rout[:0], packet, &s.rtcpHeader)
	return s.rout, err
}

func (s *secure) unprotectRTCP(packet []byte) ([]byte, error) {
	plain, err := s.rtcp.receive.DecryptRTCP(s.rin[:0], packet, &s.rtcpHeader)
	if err == nil {
		s.rin = plain
	}
	return plain, err
}

// keyless waits for keys.
type keyless struct{}

var errNoKeys = errors.New("there are no keys yet")

func (keyless) ready() bool                          { return false }
func (keyless) name() string                         { return "" }
func (keyless) protectRTP([]byte) ([]byte, error)    { return nil, errNoKeys }
func (keyless) unprotectRTP([]byte) ([]byte, error)  { return nil, errNoKeys }
func (keyless) protectRTCP([]byte) ([]byte, error)   { return nil, errNoKeys }
func (keyless) unprotectRTCP([]byte) ([]byte, error) { return nil, errNoKeys }
