package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// tryTimeout bounds one question to one server.
	tryTimeout = 2 * time.Second
	// rounds through all servers before nobody answers.
	rounds = 2
	// lookupTimeout bounds it all.
	lookupTimeout = 8 * time.Second
)

// Exchanger asks one server one question and gives the answer's bytes. stream =
// over TCP.
type Exchanger func(ctx context.Context, server netip.AddrPort, query []byte, stream bool, fits func([]byte) bool) ([]byte, error)

// ask asks the servers, one after the other, until one has an answer.
func (r *Resolver) ask(ctx context.Context, q dnsmessage.Question) (parsed, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var failed error
	for range rounds {
		silent := false
		for _, server := range r.servers() {
			p, err := r.askOne(ctx, server, q)
			if err == nil {
				return p, nil
			}
			var code rcodeError
			silent = silent || !errors.As(err, &code)
			if failed == nil || !silent {
				failed = fmt.Errorf("%s: %w", server, err)
			}
			if ctx.Err() != nil {
				return parsed{}, failed
			}
		}
		if !silent {
			break
		}
	}
	if failed == nil {
		failed = errors.New("there is no name server")
	}
	return parsed{}, failed
}

// askOne asks one server: over UDP with EDNS0, without it if that is what the
// server minds (RFC 6891 §6.2.2), and over TCP where the answer is too long.
func (r *Resolver) askOne(ctx context.Context, server netip.AddrPort, q dnsmessage.Question) (parsed, error) {
	p, err := r.try(ctx, server, q, true, false)
	var code rcodeError
	if errors.As(err, &code) && (code.code == dnsmessage.RCodeFormatError || code.code == dnsmessage.RCodeNotImplemented) {
		p, err = r.try(ctx, server, q, false, false)
	}
	if err == nil && p.truncated {
		p, err = r.try(ctx, server, q, true, true)
	}
	if err == nil && p.truncated {
		return p, errors.New("the answer is cut off, over TCP too")
	}
	if errors.As(err, &code) && code.code == dnsmessage.RCodeNotImplemented {
		return parsed{ttl: negativeTTL}, nil // nothing of a type that it does not know
	}
	return p, err
}

func (r *Resolver) try(ctx context.Context, server netip.AddrPort, q dnsmessage.Question, extended, stream bool) (parsed, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	id := uint16(rand.Uint32())
	packed, err := query(id, q, extended)
	if err != nil {
		return parsed{}, err
	}
	fits := func(raw []byte) bool {
		_, err := parse(raw, id, q)
		return err == nil || errors.As(err, new(rcodeError))
	}
	raw, err := r.exchange(ctx, server, packed, stream, fits)
	if err != nil {
		return parsed{}, err
	}
	return parse(raw, id, q)
}

// overNetwork is the real Exchanger. Each question leaves from a port of its own;
// what comes back and does not fit it is not looked at (RFC 5452 §4).
func overNetwork(ctx context.Context, server netip.AddrPort, query []byte, stream bool, fits func([]byte) bool) ([]byte, error) {
	network := "udp"
	if stream {
		network = "tcp"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return nil, unanswered(ctx, err)
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if stream {
		raw, err := overStream(conn, query)
		return raw, unanswered(ctx, err)
	}
	if _, err := conn.Write(query); err != nil {
		return nil, unanswered(ctx, err)
	}
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, unanswered(ctx, err)
		}
		if fits(buffer[:n]) {
			return buffer[:n], nil
		}
	}
}

// overStream frames messages by their length (RFC 1035 §4.2.2).
func overStream(conn io.ReadWriter, query []byte) ([]byte, error) {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, len(query)+2), uint16(len(query)))
	if _, err := conn.Write(append(framed, query...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	raw := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, raw)
	return raw, err
}

// unanswered gives the error of a context that has ended its word.
func unanswered(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer")
	}
	return err
}
