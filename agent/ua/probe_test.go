package ua

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// answerBinding is what a STUN server says to a request: where it came from.
func answerBinding(request string, kind uint16, from netip.AddrPort, mixed bool) string {
	header := []byte(request)[:stunHeader]
	binary.BigEndian.PutUint16(header, kind)
	addr, port := from.Addr().AsSlice(), from.Port()
	name := uint16(stunMapped)
	if mixed {
		name = stunXorMapped
		port ^= stunCookie >> 16
		for i := range addr {
			addr[i] ^= header[4+i]
		}
	}
	family := byte(1)
	if from.Addr().Is6() {
		family = 2
	}
	// SOFTWARE, whose length is padded, comes first.
	body := append([]byte{0x80, 0x22, 0, 3, 'a', 'b', 'c', 0}, 0, 0, 0, byte(4+len(addr)), 0, family, 0, 0)
	binary.BigEndian.PutUint16(body[8:], name)
	binary.BigEndian.PutUint16(body[14:], port)
	body = append(body, addr...)
	binary.BigEndian.PutUint16(header[2:], uint16(len(body)))
	return string(append(header, body...))
}

func TestSTUNIsRead(t *testing.T) {
	_, request := newBinding()
	four, six := netip.MustParseAddrPort("203.0.113.7:40000"), netip.MustParseAddrPort("[2001:db8::7]:40000")
	long := []byte(answerBinding(string(request), stunSuccess, four, true))
	binary.BigEndian.PutUint16(long[2:], 200)
	for name, tt := range map[string]struct {
		message string
		mapped  netip.AddrPort
		err     error
		ok      bool
	}{
		"an address":                     {answerBinding(string(request), stunSuccess, four, true), four, nil, true},
		"an IPv6 address":                {answerBinding(string(request), stunSuccess, six, true), six, nil, true},
		"of an old server":               {answerBinding(string(request), stunSuccess, four, false), four, nil, true},
		"a refusal":                      {answerBinding(string(request), stunError, four, true), netip.AddrPort{}, errSTUNRefused, true},
		"no address":                     {string([]byte{1, 1, 0, 0}) + string(request[4:]), netip.AddrPort{}, nil, true},
		"a request":                      {string(request), netip.AddrPort{}, nil, false},
		"SIP":                            {"OPTIONS sip:a SIP/2.0\r\n\r\n", netip.AddrPort{}, nil, false},
		"half a header":                  {string(request[:10]), netip.AddrPort{}, nil, false},
		"longer than it is":              {string(long), netip.AddrPort{}, nil, false},
		"an attribute longer than it is": {answerBinding(string(request), stunSuccess, four, true)[:stunHeader-18] + "\x00\x04" + string(request[4:]) + "\x00\x20\x00\x08", netip.AddrPort{}, nil, true},
	} {
		id, mapped, ok, err := readBinding([]byte(tt.message))
		if mapped != tt.mapped || !errors.Is(err, tt.err) || ok != tt.ok || ok && !bytes.Equal(id[:], request[8:20]) {
			t.Errorf("%s: %v %v %v; want %v %v %v", name, mapped, err, ok, tt.mapped, tt.err, tt.ok)
		}
	}
}

func FuzzReadBinding(f *testing.F) {
	_, request := newBinding()
	f.Add([]byte(answerBinding(string(request), stunSuccess, netip.MustParseAddrPort("203.0.113.7:40000"), true)))
	f.Add([]byte(answerBinding(string(request), stunSuccess, netip.MustParseAddrPort("[2001:db8::7]:40000"), false)))
	f.Add(request)
	f.Fuzz(func(t *testing.T, message []byte) {
		if _, mapped, ok, err := readBinding(message); mapped.IsValid() && (err != nil || !ok) {
			t.Errorf("%x: an address with %v %v", message, err, ok)
		}
	})
}

// said is what came of a probe.
type said struct {
	mapped netip.AddrPort
	err    error
}

// A STUN keepalive leaves from the SIP port; many at one time are one; strangers and
// answers to others say nothing; and SIP goes on beside it.
func TestProbeOverUDP(t *testing.T) {
	e, p, stranger := listen(t), newPeer(t), newPeer(t)
	to, results := Link{}.To(p.addr()), make(chan said, 3)
	for range 3 {
		e.Probe(to, func(mapped netip.AddrPort, err error) { results <- said{mapped, err} })
	}
	request, from := p.receive()
	if int(from.Port()) != e.Port() || len(request) != stunHeader {
		t.Fatalf("%x from %s", request, from)
	}
	public := netip.MustParseAddrPort("203.0.113.7:40000")
	stranger.sendTo(from, answerBinding(request, stunSuccess, netip.MustParseAddrPort("192.0.2.66:666"), true))
	_, other := newBinding()
	p.sendTo(from, answerBinding(string(other), stunSuccess, netip.MustParseAddrPort("192.0.2.66:667"), true))
	p.sendTo(from, answerBinding(request, stunSuccess, public, true))
	for range 3 {
		if got := <-results; got.mapped != public || got.err != nil {
			t.Errorf("%+v", got)
		}
	}
	e.Probe(to, func(mapped netip.AddrPort, err error) { results <- said{mapped, err} })
	again, _ := p.receive()
	for again == request { // sent again before the answer was there
		again, _ = p.receive()
	}
	p.sendTo(from, answerBinding(again, stunError, public, true))
	if got := <-results; !errors.Is(got.err, errSTUNRefused) {
		t.Errorf("a refusal is %+v", got)
	}
}

// Without an answer it is sent seven times, as RFC 5389 §7.2.1 has it, and given up
// after 39.5 s.
func TestAProbeThatNobodyAnswers(t *testing.T) {
	p := newPeer(t)
	at, e := p.addr(), listen(t) // the socket is of the real world, the time is not
	var sent []time.Duration
	synctest.Test(t, func(t *testing.T) {
		var all probes
		defer all.close()
		began, result := time.Now(), make(chan error, 1)
		all.start(e, at, func(_ netip.AddrPort, err error) { result <- err })
		before := 0
		for {
			synctest.Wait()
			all.mu.Lock()
			one := all.byAddr[at]
			if one != nil && one.sent > before {
				before = one.sent
				sent = append(sent, time.Since(began))
			}
			all.mu.Unlock()
			if one == nil {
				break
			}
			time.Sleep(500 * time.Millisecond)
		}
		if err := <-result; !errors.Is(err, ErrTimeout) || time.Since(began) != 39500*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
	want := []time.Duration{0, 500, 1500, 3500, 7500, 15500, 31500}
	for i := range want {
		if len(sent) != len(want) || sent[i] != want[i]*time.Millisecond {
			t.Fatalf("sent after %v, want %v ms", sent, want)
		}
	}
}

// Over a connection the pong tells, and without one the connection ends, though the
// server never answered a ping before: it has promised to.
func TestProbeOverAStream(t *testing.T) {
	e, s := listen(t), newServer(t, nil)
	to := Link{Transport: TCP}.To(s.addr())
	pinged, asked := make(chan string, 1), make(chan struct{})
	go func() {
		l := s.accept()
		l.answer(200)
		pinged <- l.headers()
		<-asked
		l.send("\r\n")
		pinged <- l.headers()
		_, _ = io.Copy(io.Discard, l) // and says nothing more
	}()
	if _, err := e.Do(t.Context(), registerTo(to)); err != nil {
		t.Fatal(err)
	}
	lost, results := make(chan error, 1), make(chan said, 2)
	e.Attach(to, func(cause error) { lost <- cause })
	for range 2 { // two lines, one ping
		e.Probe(to, func(mapped netip.AddrPort, err error) { results <- said{mapped, err} })
	}
	close(asked)
	if got := <-pinged; got != "\r\n\r\n" {
		t.Errorf("the ping is %q", got)
	}
	for range 2 {
		if got := <-results; got.err != nil || got.mapped.IsValid() {
			t.Errorf("%+v", got)
		}
	}
	st := e.streams.existing(to)
	st.mu.Lock()
	st.pongs = false
	st.mu.Unlock()
	e.Probe(to, func(mapped netip.AddrPort, err error) { results <- said{mapped, err} })
	<-pinged
	st.missed(time.Now().Add(time.Hour))
	if err := <-lost; !errors.Is(err, errNoPong) {
		t.Errorf("the line hears %v", err)
	}
	select {
	case got := <-results:
		t.Errorf("a keepalive without an answer has %+v", got)
	default:
	}
}
