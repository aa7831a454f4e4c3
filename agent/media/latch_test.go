package media

import (
	"net/netip"
	"testing"
	"time"
)

func TestLatch(t *testing.T) {
	const signalled, nat, stranger = "198.51.100.1:4000", "203.0.113.9:55555", "192.0.2.66:6666"
	type step struct {
		after time.Duration
		from  string
		ssrc  uint32
		seq   uint16
		want  admission
	}
	rows := map[string]struct {
		steps []step
		to    string // where audio goes in the end
	}{
		"before anything comes":                     {nil, signalled},
		"the signalled address is believed at once": {[]step{{0, signalled, 1, 10, admitted}, {0, signalled, 1, 11, admitted}}, signalled},
		"a peer behind NAT shows two packets":       {[]step{{0, nat, 1, 10, pending}, {0, nat, 1, 11, confirmed}, {0, nat, 1, 12, admitted}}, nat},
		"two packets out of step show nothing":      {[]step{{0, nat, 1, 10, pending}, {0, nat, 1, 12, pending}, {0, nat, 1, 13, confirmed}}, nat},
		"packets of two sources show nothing":       {[]step{{0, nat, 1, 10, pending}, {0, stranger, 1, 11, pending}, {0, nat, 2, 12, pending}}, signalled},
		"strangers are refused once latched": {[]step{
			{0, nat, 1, 10, pending}, {0, nat, 1, 11, confirmed}, {0, stranger, 2, 5, refused}, {0, stranger, 2, 6, refused}, {0, stranger, 1, 12, refused}, {0, nat, 1, 12, admitted},
		}, nat},
		"strangers are refused once the signalled address spoke": {[]step{{0, signalled, 1, 10, admitted}, {0, stranger, 2, 5, refused}, {0, stranger, 2, 6, refused}}, signalled},
		"a stranger that was first loses to the signalled address": {[]step{
			{0, stranger, 2, 5, pending}, {0, stranger, 2, 6, confirmed}, {0, signalled, 1, 10, pending}, {0, signalled, 1, 11, confirmed}, {0, stranger, 2, 7, refused},
		}, signalled},
		"a new source from the latched address shows two packets": {[]step{
			{0, signalled, 1, 10, admitted}, {0, signalled, 7, 500, pending}, {0, signalled, 7, 501, confirmed}, {0, signalled, 7, 502, admitted},
		}, signalled},
		"a renewed NAT binding: the same stream from elsewhere after a silence": {[]step{
			{0, nat, 1, 10, pending}, {0, nat, 1, 11, confirmed}, {time.Second, stranger, 1, 60, refused}, {2 * time.Second, stranger, 1, 160, pending}, {0, stranger, 1, 161, confirmed},
		}, stranger},
		"another stream from elsewhere, however long the silence": {[]step{
			{0, signalled, 1, 10, admitted}, {time.Hour, stranger, 2, 160, refused}, {0, stranger, 2, 161, refused},
		}, signalled},
		"sequence numbers wrap": {[]step{{0, nat, 1, 65535, pending}, {0, nat, 1, 0, confirmed}}, nat},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			for _, symmetric := range []bool{true, false} {
				l, now := latch{symmetric: symmetric}, time.Now()
				l.signal(netip.MustParseAddrPort(signalled))
				for i, s := range row.steps {
					now = now.Add(s.after)
					if got := l.admit(netip.MustParseAddrPort(s.from), s.ssrc, s.seq, now); got != s.want {
						t.Fatalf("step %d (%s, source %d, number %d): %d, want %d", i, s.from, s.ssrc, s.seq, got, s.want)
					}
				}
				want := row.to
				if !symmetric {
					want = signalled
				}
				if got := l.destination(); got != netip.MustParseAddrPort(want) {
					t.Errorf("symmetric %v: sends to %v, want %s", symmetric, got, want)
				}
			}
		})
	}
}

func TestLatchStartsOverWithANewDescription(t *testing.T) {
	first, second, nat := netip.MustParseAddrPort("198.51.100.1:4000"), netip.MustParseAddrPort("198.51.100.2:4000"), netip.MustParseAddrPort("203.0.113.9:5555")
	l, now := latch{symmetric: true}, time.Now()
	l.signal(first)
	l.admit(nat, 1, 10, now)
	l.admit(nat, 1, 11, now)
	if l.signal(first); l.destination() != nat {
		t.Errorf("the same description again: sends to %v", l.destination())
	}
	if l.signal(second); l.destination() != second {
		t.Errorf("a new address: sends to %v", l.destination())
	}
	if got := l.admit(second, 1, 12, now); got != admitted {
		t.Errorf("the new address with the old stream: %d", got)
	}
}
