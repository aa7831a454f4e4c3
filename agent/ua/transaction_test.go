package ua

import (
	"errors"
	"log/slog"
	"net"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// sink is a connection that takes everything.
type sink struct{ sent []string }

func (s *sink) LocalAddr() net.Addr          { return &net.UDPAddr{} }
func (s *sink) WriteMsg(m sip.Message) error { s.sent = append(s.sent, m.String()); return nil }
func (s *sink) Ref(int) int                  { return 1 }
func (s *sink) TryClose() (int, error)       { return 1, nil }
func (s *sink) Close() error                 { return nil }

// A reader that is away while a queue repeats 180, as queues do for minutes,
// holds up nothing and misses nothing that counts.
func TestSlowReaderMissesNoFinalResponse(t *testing.T) {
	e := listen(t)
	invite := request(sip.INVITE, closedPort(t))
	if _, _, err := e.fill(t.Context(), invite); err != nil {
		t.Fatal(err)
	}
	conn := &sink{}
	inner := sip.NewClientTx("key", invite, conn, slog.New(slog.DiscardHandler))
	if err := inner.Init(); err != nil {
		t.Fatal(err)
	}
	tx := &transaction{
		attempt:   &attempt{ClientTx: inner, method: sip.INVITE, health: &health{}, pending: &e.pending},
		responses: make(chan *sip.Response), done: make(chan struct{}), stop: make(chan struct{}),
	}
	go tx.pump()
	respond := func(code int) { inner.Receive(sip.NewResponseFromRequest(invite, code, "", nil)) }
	const ringing = 3 * mostProvisional
	for range ringing {
		respond(180)
	}
	respond(486)
	if len(conn.sent) != 2 {
		t.Errorf("sent %q, want the INVITE and the ACK at once", conn.sent)
	}
	n := 0
	for res := range tx.Responses() {
		if res.StatusCode == 486 {
			break
		}
		n++
	}
	if n < mostProvisional || n >= ringing {
		t.Errorf("%d times 180, want %d", n, mostProvisional)
	}
	<-tx.Done()
	if errors.Is(tx.Err(), ErrTimeout) || errors.Is(tx.Err(), ErrUnreachable) {
		t.Errorf("ended by %v", tx.Err())
	}
}
