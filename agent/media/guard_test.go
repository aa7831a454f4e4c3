package media

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/codec"
)

// poison has a defect, whatever it is used for.
type poison struct {
	codec.Decoder
	unprotected
}

func (p poison) Open(int) Generator                    { return p }
func (poison) Fill(_, _ Frame)                         { panic("on purpose") }
func (poison) Samples(payload []byte) int              { return len(payload) }
func (poison) Decode([]int16, []byte) ([]int16, error) { panic("on purpose") }
func (poison) unprotectRTP([]byte) ([]byte, error)     { panic("on purpose") }
func (poison) unprotectRTCP([]byte) ([]byte, error)    { panic("on purpose") }

// A panic over what the network sent, or over what is to be sent to it, is caught,
// and leaves a session that tells its numbers and can be closed.
func TestAPanicLeavesASessionThatCanBeClosed(t *testing.T) {
	for where, c := range map[string]struct {
		source Source
		spoil  func(*Session)
		want   int32 // one for each goroutine that meets it
	}{
		"in the source":     {poison{}, func(*Session) {}, 1},
		"in the decoder":    {Silence{}, func(s *Session) { s.chain.decoders[0] = poison{} }, 1},
		"over RTP and RTCP": {Silence{}, func(s *Session) { s.protection = poison{} }, 2},
		"nowhere":           {Silence{}, func(*Session) {}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var caught atomic.Int32
			n := newNetwork()
			m := n.attach(alice)
			s := newSession(Config{Local: m.rtp.Addr(), Guard: func(f func()) {
				defer func() {
					switch v := recover(); v {
					case nil:
					case "on purpose":
						caught.Add(1)
					default:
						panic(v)
					}
				}()
				f()
			}}, m)
			if err := s.swap(agreed(bob), c.source); err != nil {
				t.Fatal(err)
			}
			c.spoil(s)
			s.listen()
			s.spawn(s.keepTime)
			start(t, n.open(t, bob), agreed(alice), Tone{Hz: 400, LevelDBm0: -10})
			time.Sleep(10 * time.Second)
			if got := caught.Load(); got != c.want {
				t.Errorf("%s: %d panics caught, want %d", where, got, c.want)
			}
			if got := s.Stats().Codec; got != "PCMU/8000" {
				t.Errorf("%s: codec is %q", where, got)
			}
			closeSession(t, s)
		})
	}
}
