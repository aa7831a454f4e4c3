package ua

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// unit is one thing on a stream: a message, or what RFC 5626 §3.5.1 puts
// between messages.
type unit int

const (
	message unit = iota
	ping         // double CRLF: "keep-alive" request
	pong         // single CRLF
)

// mostMessage bounds one message, headers and body, as UDP does.
const mostMessage = 65535

// Errors of a stream whose next message cannot be found.
var (
	errTooLarge = fmt.Errorf("message of more than %d bytes", mostMessage)
	errFraming  = errors.New("message without usable Content-Length")
)

// framer cuts a stream into messages: "The Content-Length header field value is
// used to locate the end of each SIP message in a stream. It will always be
// present when SIP messages are sent over stream-oriented transports" (RFC 3261
// §18.3). It judges nothing else.
type framer struct {
	r    io.Reader
	buf  []byte // read, not yet given
	used int    // bytes of buf given with the last unit
}

// next gives the next unit; a message's bytes are good until the next call. An
// error other than r's means that there is no way on.
func (f *framer) next() (unit, []byte, error) {
	f.buf = f.buf[:copy(f.buf, f.buf[f.used:])]
	f.used = 0
	for {
		u, n, err := cut(f.buf)
		if err != nil {
			return 0, nil, err
		}
		if n > 0 {
			f.used = n
			return u, f.buf[:n], nil
		}
		if err := f.more(); err != nil {
			return 0, nil, err
		}
	}
}

// chunk is how much is read at once; a REGISTER's answer fits.
const chunk = 2048

// more reads some.
func (f *framer) more() error {
	if cap(f.buf)-len(f.buf) < chunk {
		f.buf = append(make([]byte, 0, 2*cap(f.buf)+chunk), f.buf...)
	}
	n, err := f.r.Read(f.buf[len(f.buf):cap(f.buf)])
	f.buf = f.buf[:len(f.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

var headersEnd = []byte("\r\n\r\n")

// cut finds the unit b begins with; n is its length, 0 = it is not all there.
func cut(b []byte) (u unit, n int, err error) {
	switch {
	case bytes.HasPrefix(b, headersEnd):
		return ping, 4, nil
	case bytes.HasPrefix(b, []byte("\r\n")):
		return pong, 2, nil
	case len(b) == 0 || len(b) == 1 && b[0] == '\r':
		return message, 0, nil
	}
	headers := bytes.Index(b, headersEnd)
	if headers < 0 {
		if len(b) >= mostMessage {
			return message, 0, errTooLarge
		}
		return message, 0, nil
	}
	body, err := contentLength(b[:headers])
	if err != nil {
		return message, 0, err
	}
	n = headers + len(headersEnd) + body
	switch {
	case body > mostMessage || n > mostMessage:
		return message, 0, errTooLarge
	case n > len(b):
		return message, 0, nil
	}
	return message, n, nil
}

// contentLength reads the header of that name, or its compact form "l" (§20.14).
// A message with two that differ has no certain end.
func contentLength(headers []byte) (int, error) {
	found := -1
	for line := range bytes.SplitSeq(headers, []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if !ok || !bytes.EqualFold(name, []byte("Content-Length")) && !bytes.EqualFold(name, []byte("l")) {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31)
		if err != nil || found >= 0 && found != int(n) {
			return 0, errFraming
		}
		found = int(n)
	}
	if found < 0 {
		return 0, errFraming
	}
	return found, nil
}
