package media

import (
	"bytes"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// withSDES protects two negotiations with keys of one suite.
func withSDES(suite string, a, b sdp.Negotiated) (sdp.Negotiated, sdp.Negotiated) {
	pick := func(keys []sdp.Crypto) sdp.Crypto {
		for _, k := range keys {
			if k.Suite == suite {
				return k
			}
		}
		return sdp.Crypto{}
	}
	x, y := pick(sdp.NewKeys()), pick(sdp.NewKeys())
	a.Protection = sdp.Protection{Way: sdp.SDES, Ours: x, Theirs: y}
	b.Protection = sdp.Protection{Way: sdp.SDES, Ours: y, Theirs: x}
	return a, b
}

// withDTLS has a's side wait for b's to begin.
func withDTLS(t *testing.T, a, b sdp.Negotiated) (sdp.Negotiated, sdp.Negotiated) {
	t.Helper()
	own, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	a.Protection = sdp.Protection{Way: sdp.DTLS, Fingerprints: []sdp.Fingerprint{own.fingerprint}}
	b.Protection = a.Protection
	b.Protection.Active = true
	return a, b
}

// wiretap keeps what goes over a network.
type wiretap struct {
	mu   sync.Mutex
	rtp  [][]byte
	rtcp int
}

func (w *wiretap) listen(n *network) {
	n.impair = func(_, to netip.AddrPort, b []byte) []time.Duration {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch {
		case isDTLS(b):
		case len(b) > 1 && b[1] >= 192 && b[1] <= 223:
			w.rtcp++
		default:
			w.rtp = append(w.rtp, bytes.Clone(b))
		}
		return []time.Duration{0}
	}
}

// heard says that two sessions hear each other's tone, whole.
func heard(t *testing.T, what string, sessions ...*Session) {
	t.Helper()
	for i, s := range sessions {
		st := s.Stats()
		if st.Heard == nil || st.Received < 100 || st.Lost != 0 {
			t.Errorf("%s: side %d hears %+v", what, i, st)
			continue
		}
		within(t, what+": frequency", st.Heard.FrequencyHz, 1000, 1)
		if st.RTTMs == nil {
			t.Errorf("%s: side %d has no round trip: its reports are not read", what, i)
		}
	}
}

func TestEverySuiteProtectsACall(t *testing.T) {
	for _, suite := range sdp.Suites() {
		synctest.Test(t, func(t *testing.T) {
			n, tap := newNetwork(), &wiretap{}
			tap.listen(n)
			a, b := n.open(t, alice), n.open(t, bob)
			na, nb := withSDES(suite, agreed(bob), agreed(alice))
			start(t, a, na, Tone{Hz: 1000, LevelDBm0: -10})
			start(t, b, nb, Echo{})
			time.Sleep(12 * time.Second)
			synctest.Wait()
			heard(t, suite, a, b)
			if got := a.Stats().Cipher; got != suite {
				t.Errorf("says %q, not %q", got, suite)
			}
			silence := 0
			tap.mu.Lock()
			defer tap.mu.Unlock()
			for _, packet := range tap.rtp {
				var p rtp.Packet
				if err := p.Unmarshal(packet); err != nil || len(p.Payload) <= 160 {
					t.Fatalf("%s: %d bytes on the wire for 160 of audio: %v", suite, len(p.Payload), err)
				}
				silence += bytes.Count(p.Payload[:160], []byte{0xff, 0xff, 0xff}) // what an echo of nothing is in the clear
			}
			if silence > 5 {
				t.Errorf("%s: %d times silence on the wire: that is no cipher text", suite, silence)
			}
		})
	}
}

// What was forged, changed or repeated on the way is not heard, and counted.
func TestForgedPacketsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.waits = true // what was sent is judged at once
		seen := 0
		n.impair = func(_, to netip.AddrPort, b []byte) []time.Duration {
			if to != netip.MustParseAddrPort(bob) {
				return []time.Duration{0}
			}
			switch seen++; {
			case seen > 100 && seen <= 150:
				return []time.Duration{0, 5 * time.Millisecond} // doubled
			case seen > 200 && seen <= 250:
				b[len(b)-20] ^= 1 // changed on the way: send copies what it carries, after this
			}
			return []time.Duration{0}
		}
		a, b := n.open(t, alice), n.open(t, bob)
		na, nb := withSDES("AES_CM_128_HMAC_SHA1_80", agreed(bob), agreed(alice))
		start(t, b, nb, Silence{})
		start(t, a, na, Tone{Hz: 1000, LevelDBm0: -10})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		stranger := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: 7, SequenceNumber: 1}, Payload: make([]byte, 160)}
		raw, err := stranger.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			n.send(netip.MustParseAddrPort(alice), netip.MustParseAddrPort(bob), raw)
		}
		synctest.Wait()
		st := b.Stats()
		if st.Duplicates != 50 || st.Lost != 50 || st.Refused < 110 || st.SSRCs != 1 {
			t.Errorf("50 doubled, 50 changed, 10 forged: %+v", st)
		}
	})
}

// A further answer with the same keys goes on counting: to begin anew would repeat the key stream. New keys are taken.
func TestNewKeysAreTakenAndOldOnesGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.waits = true // what was sent is judged at once
		a, b := n.open(t, alice), n.open(t, bob)
		na, nb := withSDES("AEAD_AES_128_GCM", agreed(bob), agreed(alice))
		start(t, a, na, Tone{Hz: 1000, LevelDBm0: -10})
		start(t, b, nb, Echo{})
		time.Sleep(2 * time.Second)
		before := a.protection
		na.PTime = 40
		if err := a.Update(na, a.chain.source); err != nil || a.protection != before {
			t.Errorf("the same keys: %v, another context", err)
		}
		time.Sleep(2*time.Second + 7*time.Millisecond) // between two packets: none is under way with the old keys
		na, nb = withSDES("AEAD_AES_256_GCM", na, nb)
		for s, neg := range map[*Session]sdp.Negotiated{a: na, b: nb} {
			if err := s.Update(neg, s.chain.source); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if a.protection == before || a.Stats().Cipher != "AEAD_AES_256_GCM" {
			t.Error("the new keys are not in force")
		}
		heard(t, "after new keys", a, b)
	})
}

func TestDTLSProtectsACall(t *testing.T) {
	for what, mux := range map[string]bool{"one port": true, "two ports": false} {
		synctest.Test(t, func(t *testing.T) {
			n, tap := newNetwork(), &wiretap{}
			tap.listen(n)
			told := make(chan error, 4)
			open := func(at string) *Session {
				m := n.attach(at)
				s := newSession(Config{Local: m.rtp.Addr(), SymmetricRTP: true, OnProtected: func(err error) { told <- err }}, m)
				s.listen()
				t.Cleanup(func() { closeSession(t, s) })
				return s
			}
			a, b := open(alice), open(bob)
			na, nb := withDTLS(t, agreed(bob), agreed(alice))
			for _, neg := range []*sdp.Negotiated{&na, &nb} {
				if neg.RTCPMux = mux; mux {
					neg.RemoteRTCP = neg.Remote
				}
			}
			start(t, a, na, Tone{Hz: 1000, LevelDBm0: -10})
			start(t, b, nb, Echo{})
			time.Sleep(10 * time.Second)
			synctest.Wait()
			heard(t, what, a, b)
			for range 2 {
				if err := <-told; err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if got := a.Stats().Cipher; got != "AEAD_AES_256_GCM" {
				t.Errorf("%s: %s", what, got)
			}
			association := a.association
			if err := a.Update(na, a.chain.source); err != nil || a.association != association {
				t.Errorf("%s: a further answer like the last one makes the handshake anew (%v)", what, err)
			}
		})
	}
}

// A man in the middle has another certificate than the description names: nothing is sent, and the call is told.
func TestDTLSWithAStranger(t *testing.T) {
	for what, spoil := range map[string]func(*sdp.Protection){
		"another certificate": func(p *sdp.Protection) { p.Fingerprints = []sdp.Fingerprint{{Hash: "sha-256", Sum: make([]byte, 32)}} },
		"nobody begins":       func(p *sdp.Protection) { p.Active = false },
	} {
		synctest.Test(t, func(t *testing.T) {
			n, tap := newNetwork(), &wiretap{}
			tap.listen(n)
			told := make(chan error, 4)
			m := n.attach(alice)
			a := newSession(Config{Local: m.rtp.Addr(), OnProtected: func(err error) { told <- err }}, m)
			a.listen()
			defer closeSession(t, a)
			b := n.open(t, bob)
			na, nb := withDTLS(t, agreed(bob), agreed(alice))
			spoil(&na.Protection)
			spoil(&nb.Protection)
			start(t, a, na, Tone{Hz: 1000, LevelDBm0: -10})
			start(t, b, nb, Echo{})
			time.Sleep(handshakeTime + time.Second)
			synctest.Wait()
			select {
			case err := <-told:
				if !errors.Is(err, ErrNotProtected) {
					t.Errorf("%s: %v", what, err)
				}
			default:
				t.Errorf("%s: nobody is told", what)
			}
			if len(tap.rtp) != 0 || tap.rtcp != 0 || a.Stats().Cipher != "" {
				t.Errorf("%s: %d packets and %d reports go out", what, len(tap.rtp), tap.rtcp)
			}
		})
	}
}
