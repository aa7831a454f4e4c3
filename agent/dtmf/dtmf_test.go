package dtmf

import (
	"math/rand/v2"
	"strings"
	"testing"
)

type arrival struct {
	timestamp uint32
	marker    bool
	event     Event
}

func digit(r rune, end bool, duration uint16) Event {
	code, _ := Code(r)
	return Event{Code: code, End: end, Volume: 10, Duration: duration}
}

func TestReceiverMakesOneDigitOfEachEvent(t *testing.T) {
	rows := map[string]struct {
		packets []arrival
		want    string
	}{
		"a whole event with repeated ends": {[]arrival{
			{1000, true, digit('5', false, 160)}, {1000, false, digit('5', false, 320)},
			{1000, false, digit('5', true, 480)}, {1000, false, digit('5', true, 480)}, {1000, false, digit('5', true, 480)},
		}, "5"},
		"the start is lost":           {[]arrival{{1000, false, digit('#', false, 320)}, {1000, false, digit('#', true, 480)}}, "#"},
		"only one end packet arrives": {[]arrival{{1000, false, digit('*', true, 480)}}, "*"},
		"all end packets are lost, the next is the same digit": {[]arrival{
			{1000, true, digit('1', false, 160)}, {1000, false, digit('1', false, 320)},
			{2600, true, digit('1', false, 160)}, {2600, false, digit('1', true, 800)},
		}, "11"},
		"ends and next start are lost, same digit": {[]arrival{
			{1000, true, digit('1', false, 160)}, {1000, false, digit('1', false, 320)}, {2600, false, digit('1', false, 320)},
		}, "11"},
		"the start comes after the end": {[]arrival{{1000, false, digit('7', true, 480)}, {1000, true, digit('7', false, 160)}}, "7"},
		"a late packet of the digit before": {[]arrival{
			{1000, true, digit('7', true, 480)}, {2600, true, digit('8', false, 160)}, {1000, false, digit('7', true, 480)}, {2600, false, digit('8', true, 480)},
		}, "78"},
		"digits without a gap":              {[]arrival{{1000, true, digit('1', true, 480)}, {1480, true, digit('1', true, 480)}}, "11"},
		"digits without a gap, marker lost": {[]arrival{{1000, true, digit('1', true, 480)}, {1480, false, digit('1', false, 160)}}, "11"},
		"the timestamp wraps":               {[]arrival{{0xffffff00, true, digit('1', true, 160)}, {0x00000700, true, digit('2', true, 160)}}, "12"},
		"a gateway that moves the timestamp with every packet": {[]arrival{
			{1000, true, digit('9', false, 160)}, {1160, false, digit('9', false, 320)}, {1320, false, digit('9', false, 480)}, {1480, false, digit('9', true, 640)},
		}, "9"},
		"an event longer than 65535 units goes on in segments": {[]arrival{
			{1000, true, digit('0', false, 0xff00)}, {1000, false, digit('0', false, 0xffff)},
			{1000 + 0xffff, false, digit('0', false, 160)}, {1000 + 0xffff, false, digit('0', true, 320)},
		}, "0"},
		"a stream that starts over":              {[]arrival{{900000, true, digit('1', true, 480)}, {1000, true, digit('2', true, 480)}}, "12"},
		"another digit under the same timestamp": {[]arrival{{1000, true, digit('1', true, 480)}, {1000, true, digit('2', false, 160)}}, "12"},
		"a hook flash is no digit":               {[]arrival{{1000, true, Event{Code: 16, Duration: 160}}, {2600, true, digit('3', false, 160)}}, "3"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			r := NewReceiver(8000)
			if got := receive(r, row.packets); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func receive(r *Receiver, packets []arrival) string {
	var got strings.Builder
	for _, p := range packets {
		if u, ok := r.Push(p.timestamp, p.marker, p.event.AppendTo(nil)); ok && u.Began {
			got.WriteRune(u.Digit)
		}
	}
	return got.String()
}

func TestReceiverTellsTheDuration(t *testing.T) {
	r := NewReceiver(8000)
	r.Push(1000, true, digit('0', false, 160).AppendTo(nil))
	r.Push(1000, false, digit('0', false, 0xffff).AppendTo(nil))
	r.Push(1000+0xffff, false, digit('0', false, 160).AppendTo(nil))
	u, ok := r.Push(1000+0xffff, false, digit('0', true, 320).AppendTo(nil))
	if !ok || !u.Ended || u.Began || u.Duration != 0xffff+320 {
		t.Errorf("end of a long event is %+v (%v), want its end after %d units", u, ok, 0xffff+320)
	}
	if u, ok := r.Push(1000+0xffff, false, digit('0', true, 320).AppendTo(nil)); ok {
		t.Errorf("a repeated end is news: %+v", u)
	}
}

// A seeded sender, a network that loses and doubles packets: what is dialled arrives as long as each event keeps one packet.
func TestDigitsSurviveTheNetwork(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, loss := range []float64{0, 0.02, 0.1} {
		dialled := dial(rng, 1000)
		s, r := NewSender(8000, 10), NewReceiver(8000)
		if err := s.Queue(dialled); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		survived := map[uint32]bool{}
		events := map[uint32]bool{}
		for ts := uint32(0xfff00000); s.Pending() > 0; ts += 160 {
			p, _, ok := s.Next(ts, 160)
			if !ok {
				continue
			}
			events[p.Timestamp] = true
			for range 1 + rng.IntN(2) {
				if rng.Float64() < loss {
					continue
				}
				survived[p.Timestamp] = true
				if u, ok := r.Push(p.Timestamp, p.Marker, p.Event.AppendTo(nil)); ok && u.Began {
					got.WriteRune(u.Digit)
				}
			}
		}
		if len(events) != 1000 || len(survived) != 1000 {
			t.Fatalf("at %.0f %% loss %d of %d events kept a packet; the seed should keep all", 100*loss, len(survived), len(events))
		}
		if got.String() != dialled {
			t.Errorf("at %.0f %% loss what arrives is not what was dialled", 100*loss)
		}
	}
}

func dial(rng *rand.Rand, n int) string {
	var s strings.Builder
	for range n {
		s.WriteByte(digits[rng.IntN(len(digits))])
	}
	return s.String()
}

func TestSenderShapesADigit(t *testing.T) {
	s := NewSender(8000, 10)
	if err := s.Queue("5,a"); err != nil {
		t.Fatal(err)
	}
	var packets []arrival
	var sent strings.Builder
	for ts := uint32(0); s.Pending() > 0; ts += 160 {
		p, done, ok := s.Next(ts, 160)
		if ok {
			packets = append(packets, arrival{p.Timestamp, p.Marker, p.Event})
		}
		if done != 0 {
			sent.WriteRune(done)
		}
	}
	if sent.String() != "5a" {
		t.Errorf("sent %q", sent.String())
	}
	// 100 ms in 20 ms steps, the last of them the end, which is sent three times.
	want := []arrival{
		{0, true, digit('5', false, 160)}, {0, false, digit('5', false, 320)}, {0, false, digit('5', false, 480)}, {0, false, digit('5', false, 640)},
		{0, false, digit('5', true, 800)}, {0, false, digit('5', true, 800)}, {0, false, digit('5', true, 800)},
	}
	if len(packets) != 2*len(want) {
		t.Fatalf("%d packets, want %d", len(packets), 2*len(want))
	}
	for i, p := range want {
		if packets[i] != p {
			t.Errorf("packet %d is %+v, want %+v", i, packets[i], p)
		}
	}
	if pause := packets[len(want)].timestamp; pause < 7*160+800+16000 {
		t.Errorf("the digit after the comma begins at %d, want 2 s and a gap later", pause)
	}
}

func TestSenderRefusesWhatIsNoDigit(t *testing.T) {
	s := NewSender(8000, 10)
	err := s.Queue("12x4")
	if err == nil || !strings.Contains(err.Error(), `'x' at 2`) {
		t.Errorf("error %v does not name the character", err)
	}
	if s.Pending() != 0 {
		t.Error("a refused string was queued")
	}
}

func FuzzReceiver(f *testing.F) {
	f.Add([]byte{5, 10, 0, 160, 5, 0x8a, 1, 0xe0}, uint32(1000), uint32(0))
	f.Add([]byte{16, 10, 0, 160, 255, 255, 255, 255, 1}, uint32(0xffffffff), uint32(1))
	f.Fuzz(func(t *testing.T, data []byte, timestamp, step uint32) {
		r := NewReceiver(8000)
		open := false
		for ; len(data) > 0; timestamp += step {
			n := min(4, len(data))
			u, ok := r.Push(timestamp, data[0]&1 == 1, data[:n])
			data = data[n:]
			if !ok {
				continue
			}
			if _, known := Code(u.Digit); !known || !(u.Began || u.Ended) {
				t.Fatalf("news of nothing: %+v", u)
			}
			if u.Ended && !u.Began && !open {
				t.Fatalf("an end without a beginning: %+v", u)
			}
			open = !u.Ended
		}
	})
}
