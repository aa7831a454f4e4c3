package ua

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzFrames cuts a stream that comes as it likes: what is found does not depend on
// how it comes, nothing is lost or made up, and no more is held than one message.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{
		"\r\n\r\nOPTIONS sip:a SIP/2.0\r\nContent-Length: 3\r\n\r\nabcBYE sip:a SIP/2.0\r\nl : 0\r\n\r\n\r\n",
		"A\r\nContent-Length: 1\r\nl: 2\r\n\r\n", "A\r\nContent-Length: -1\r\n\r\n", "A\r\nContent-Length: 99999999999\r\n\r\n", "A\r\n\r\n", "\r", "\r\r\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, errWhole := frames(t, bytes.NewReader(stream))
		bytewise, errBytewise := frames(t, iotest.OneByteReader(bytes.NewReader(stream)))
		if !bytes.HasPrefix(stream, bytes.Join(whole, nil)) {
			t.Errorf("%q is no part of what came", whole)
		}
		// A ping that comes in parts is two pongs; all else is the same.
		if a, b := bytes.Join(whole, nil), bytes.Join(bytewise, nil); !bytes.Equal(a, b) || !errors.Is(errWhole, errBytewise) {
			t.Errorf("%q (%v) at once, %q (%v) byte by byte", a, errWhole, b, errBytewise)
		}
	})
}

func frames(t *testing.T, r io.Reader) (all [][]byte, err error) {
	t.Helper()
	f := framer{r: r}
	for {
		_, b, err := f.next()
		if cap(f.buf) > 4*(mostMessage+chunk) {
			t.Fatalf("%d bytes are held for a message of at most %d", cap(f.buf), mostMessage)
		}
		if err != nil {
			return all, err
		}
		all = append(all, bytes.Clone(b))
	}
}

// FuzzSalvage refuses what the parser does not take: the response is one, whatever was
// in the request.
func FuzzSalvage(f *testing.F) {
	for _, s := range []string{
		"INVITE  sip:a@b  SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nTo: \"A <sip:a>\r\nFrom: x\r\n y\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n",
		"A soap.beep://x SIP/2.0\r\nv: SIP/2.0/TCP [::1]:5;;,\r\nt: a;tag=1\r\n\r\n", "ACK sip:a SIP/2.0\r\nv: SIP/2.0/UDP h\r\n\r\n", "", "\r\n", " x",
		"A b SIP/2.0\r\nVia: SIP/2.0/UDP h\rX: y\r\nTo: \x00\n\x7f\r\n\r\n", "A b SIP/2.0\nv:\nt:" + strings.Repeat("\x89", 300),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		u, ok := salvage(raw)
		if !ok {
			return
		}
		u.code, u.reason = 400, "Bad Request"
		text := u.response(1, "test")
		lines := bytes.Split(text, []byte("\r\n"))
		want := 1 + len(u.vias) + 2 + 2 // status, Vias, Server and Content-Length, two empty
		for _, s := range []string{u.from, u.to, u.callID, u.number} {
			if s != "" {
				want++
			}
		}
		if len(lines) != want || bytes.ContainsAny(bytes.ReplaceAll(text, []byte("\r\n"), nil), "\r\n\x00") || len(text) > 2*len(raw)+200 {
			t.Errorf("%d lines, want %d:\n%s", len(lines), want, text)
		}
	})
}
