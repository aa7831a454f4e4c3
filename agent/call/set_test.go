package call_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/call"
	"github.com/softphone-operator/softphone-operator/agent/media"
)

// TestRefused tells what an INVITE gets that becomes no call.
func TestRefused(t *testing.T) {
	for sentence, c := range map[string]struct {
		change func(*call.Options)
		extra  []string
		want   string
		header string // that the response has
	}{
		"a required extension":        {nil, []string{"Require: precondition, timer, x-nothing"}, "420", "Unsupported: precondition, x-nothing"},
		"a body that is no SDP":       {nil, []string{"Content-Type: application/pidf+xml", "", "<x/>"}, "415", "Accept: application/sdp"},
		"an encoded body":             {nil, append([]string{"Content-Encoding: gzip"}, sdpBody(offerPCMU)...), "415", "Accept-Encoding: identity"},
		"icm off":                     {func(o *call.Options) { o.Account.ICM = "off" }, nil, "480", ""},
		"icm auto on a fleet that is": {func(o *call.Options) { o.IncomingMode = "off" }, nil, "480", ""},
		"forwarding": {func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "+1 555 0100" }, nil,
			"302", "Contact: <sip:+15550100@pbx.test>"},
		"forwarding tells who diverts": {func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "sip:x@y.test" }, nil,
			"302", "Diversion: <sip:1000@pbx.test>;reason=unconditional"},
		"forwarding to nonsense": {func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "<x>" }, nil, "480", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, c.change, func(b *bench) {
				p := b.invite("a", c.extra...)
				if got := p.tx.codes(); got != c.want {
					b.t.Fatalf("answered %s, want %s", got, c.want)
				}
				if c.header != "" && !strings.Contains(p.tx.last().String(), "\r\n"+c.header+"\r\n") {
					b.t.Errorf("no %q in\n%s", c.header, p.tx.last())
				}
			})
		})
	}
}

func TestForwardedCallIsRemembered(t *testing.T) {
	simulate(t, func(o *call.Options) { o.Account.ForwardingEnabled, o.Account.ForwardingNumber = true, "2001" }, func(b *bench) {
		b.invite("a", sdpBody(offerPCMU)...)
		b.wantEnd(302, call.Policy, "302 Moved Temporarily")
		r := b.record()
		if !slices.Equal(r.End.Contacts, []string{"sip:2001@pbx.test"}) || r.Treatment[len(r.Treatment)-1] != "forwarding: to 2001, 302" {
			b.t.Errorf("record is %+v", r)
		}
		if len(b.told()) != 1 || b.told()[0].State != call.Ended {
			b.t.Errorf("told %+v", b.told())
		}
	})
}

// TestOutside tells what requests get that belong to no call.
func TestOutside(t *testing.T) {
	simulate(t, nil, func(b *bench) {
		for method, want := range map[string]string{
			"BYE": "481", "INFO": "481", "UPDATE": "481", "PRACK": "481", "CANCEL": "481",
			"OPTIONS": "200", "REFER": "405", "MESSAGE": "405", "SUBSCRIBE": "405", "ACK": "",
		} {
			p := &caller{b: b, callID: "x" + method, seq: 1}
			if got := b.deliver(p.head(method, "")...).codes(); got != want {
				b.t.Errorf("%s outside any dialog answered %q, want %q", method, got, want)
			}
			if within := b.deliver(p.head(method, "nobody")...).codes(); within != "481" && method != "ACK" || method == "ACK" && within != "" {
				b.t.Errorf("%s in an unknown dialog answered %q", method, within)
			}
		}
	})
}

func TestTheSameINVITEByTwoPaths(t *testing.T) {
	simulate(t, autoAnswer, func(b *bench) {
		b.invite("a", sdpBody(offerPCMU)...).ack()
		if got := b.invite("a", sdpBody(offerPCMU)...).tx.codes(); got != "482" {
			b.t.Errorf("answered %s, want 482", got)
		}
		b.wantState(call.Established)
	})
}

func TestCaps(t *testing.T) {
	simulate(t, func(o *call.Options) { autoAnswer(o); o.Caps.Concurrent = 2 }, func(b *bench) {
		p := b.invite("a", sdpBody(offerPCMU)...)
		p.ack()
		b.invite("b", sdpBody(offerPCMU)...).ack()
		if got := b.invite("c", sdpBody(offerPCMU)...).tx.codes(); got != "486" {
			b.t.Errorf("third call answered %s, want 486", got)
		}
		if _, err := b.set.Dial(b.t.Context(), call.Dial{To: "2000"}); !errors.Is(err, call.ErrTooMany) {
			b.t.Errorf("Dial: %v", err)
		}
		if n := b.set.Active(); n != 2 {
			b.t.Errorf("%d calls active, want 2", n)
		}
		p.send("BYE")
		if got := b.invite("d", sdpBody(offerPCMU)...).tx.codes(); got != "100 200" {
			b.t.Errorf("call after one ended is answered %s", got)
		}
	})
}

func TestNewCallsPerSecond(t *testing.T) {
	simulate(t, func(o *call.Options) { o.Caps.NewPerSecond = 2 }, func(b *bench) {
		// 10 calls/s for 3 s: a steady flood still lets 2/s through.
		var taken, refused int
		for i := range 30 {
			switch tx := b.invite(fmt.Sprint("c", i), sdpBody(offerPCMU)...).tx; tx.codes() {
			case "100 180":
				taken++
			case "486":
				refused++
				if tx.last().GetHeader("Retry-After").Value() != "1" {
					b.t.Error("no Retry-After")
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if taken != 6 || refused != 24 {
			b.t.Errorf("%d taken, %d refused; want 6 and 24", taken, refused)
		}
		if n := len(b.set.Records()); n != 6 {
			b.t.Errorf("%d records; refused calls of a flood are not kept", n)
		}
	})
}

func TestDrain(t *testing.T) {
	simulate(t, autoAnswer, func(b *bench) {
		b.invite("a", sdpBody(offerPCMU)...).ack()
		b.set.Drain(time.Now().Add(32 * time.Second))
		if _, err := b.set.Dial(b.t.Context(), call.Dial{To: "2000"}); !errors.Is(err, call.ErrDraining) {
			b.t.Errorf("Dial: %v", err)
		}
		if got := b.invite("b", sdpBody(offerPCMU)...); got.tx.codes() != "100 200" {
			b.t.Errorf("a call on its way is answered %s", got.tx.codes())
		} else {
			got.ack()
		}
		time.Sleep(32 * time.Second)
		if got := b.invite("c", sdpBody(offerPCMU)...).tx.codes(); got != "480" {
			b.t.Errorf("a call after that is answered %s, want 480", got)
		}
		if n := b.set.Active(); n != 2 {
			b.t.Errorf("%d calls go on, want 2", n)
		}
		b.set.Drain(time.Time{})
		if got := b.invite("d", sdpBody(offerPCMU)...).tx.codes(); got != "100 200" {
			b.t.Errorf("a call after the drain is answered %s", got)
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	simulate(t, func(o *call.Options) { o.Account.CodecOrder = nil }, func(b *bench) {
		for i := range 150 {
			b.invite(fmt.Sprint("c", i), sdpBody(offerPCMU)...) // 488
			time.Sleep(time.Millisecond)
		}
		rs := b.set.Records()
		if len(rs) != 100 || rs[99].CallID != "c149" || rs[0].CallID != "c50" {
			b.t.Errorf("%d records, want the latest 100", len(rs))
		}
		last := rs[99]
		time.Sleep(10*time.Minute - time.Second)
		if _, ok := b.set.Record(last.ID); !ok {
			b.t.Error("a record is gone before its ten minutes are over")
		}
		time.Sleep(2 * time.Second)
		if rs := b.set.Records(); len(rs) != 0 {
			b.t.Errorf("%d records after ten minutes", len(rs))
		}
		if err := b.set.Hangup(last.ID); !errors.Is(err, call.ErrNoCall) {
			b.t.Errorf("Hangup: %v", err)
		}
	})
}

func TestDialRefusesWhatItCannotDo(t *testing.T) {
	for sentence, c := range map[string]struct {
		dial call.Dial
		want error
	}{
		"nobody":                     {call.Dial{}, call.ErrBadTarget},
		"a line end":                 {call.Dial{To: "1\r\nX: y"}, call.ErrBadTarget},
		"a reserved header":          {call.Dial{To: "1", Headers: map[string]string{"Via": "x"}}, call.ErrBadHeader},
		"a reserved compact header":  {call.Dial{To: "1", Headers: map[string]string{"F": "x"}}, call.ErrBadHeader},
		"a header that ends a line":  {call.Dial{To: "1", Headers: map[string]string{"X-A": "x\r\nVia: y"}}, call.ErrBadHeader},
		"a header without a name":    {call.Dial{To: "1", Headers: map[string]string{"": "x"}}, call.ErrBadHeader},
		"a name that is no token":    {call.Dial{To: "1", Headers: map[string]string{"X A": "x"}}, call.ErrBadHeader},
		"digits that are none":       {call.Dial{To: "1", DTMF: "12x"}, call.ErrBadDigits},
		"too many digits":            {call.Dial{To: "1", DTMF: strings.Repeat("1", 129)}, call.ErrBadDigits},
		"a time before the answer":   {call.Dial{To: "1", Seconds: -1}, call.ErrBadValue},
		"a tone nobody hears":        {call.Dial{To: "1", ToneHz: 1e9}, call.ErrBadValue},
		"a negative tone":            {call.Dial{To: "1", ToneHz: -440}, call.ErrBadValue},
		"TLS that is not there":      {call.Dial{To: "sips:bob@pbx.test"}, call.ErrBadTarget},
		"an empty SIP URI":           {call.Dial{To: "sip:"}, call.ErrBadTarget},
		"a URI with spaces":          {call.Dial{To: "sip:a b@c"}, call.ErrBadTarget},
		"a web page":                 {call.Dial{To: "https://pbx.test/x"}, call.ErrBadTarget},
		"more than anybody can dial": {call.Dial{To: strings.Repeat("1", 300)}, call.ErrBadTarget},
	} {
		t.Run(sentence, func(t *testing.T) {
			simulate(t, nil, func(b *bench) {
				if id, err := b.set.Dial(b.t.Context(), c.dial); !errors.Is(err, c.want) || id != "" {
					b.t.Errorf("got %q, %v; want %v", id, err, c.want)
				}
				if len(b.set.Records()) != 0 {
					b.t.Error("there is a record of it")
				}
			})
		})
	}
}

// TestRecordJSON holds the names that scripts read.
func TestRecordJSON(t *testing.T) {
	simulate(t, autoAnswer, func(b *bench) {
		p := b.talking()
		ms, mos := 1.5, 4.2
		b.session().measured(media.Stats{Sent: 3, Received: 2, Lost: 1, JitterMs: &ms, RTTMs: &ms, MOS: &mos,
			LastHeard: &media.Heard{FrequencyHz: 440, LevelDBm0: -10}})
		live, err := json.Marshal(b.record())
		if err != nil {
			b.t.Fatal(err)
		}
		var r map[string]any
		_ = json.Unmarshal(live, &r)
		for _, name := range []string{"id", "line", "direction", "remote", "state", "codec", "protection", "nat", "rtp", "dtmf", "mos", "heard",
			"startedAt", "answeredAt", "setupMs", "treatment"} {
			if _, ok := r[name]; !ok {
				b.t.Errorf("no %q in %s", name, live)
			}
		}
		for _, name := range []string{"end", "endedAt"} {
			if _, ok := r[name]; ok {
				b.t.Errorf("%q of a running call in %s", name, live)
			}
		}
		if got := fmt.Sprint(r["rtp"], r["heard"]); got != "map[jitterMs:1.5 lost:1 received:2 rttMs:1.5 sent:3] map[frequencyHz:440 levelDbm0:-10]" {
			b.t.Errorf("rtp and heard are %s", got)
		}
		p.send("BYE")
		ended, _ := json.Marshal(b.record())
		if !strings.Contains(string(ended), `"end":{"code":200,"reason":"BYE from the other side","by":"remote"}`) {
			b.t.Errorf("ended record is %s", ended)
		}
	})
}

func TestChangesAreToldInOrder(t *testing.T) {
	simulate(t, func(o *call.Options) { autoAnswer(o); o.Account.AutoAnswerTimeoutInSeconds = 1 }, func(b *bench) {
		p := b.invite("a", sdpBody(offerPCMU)...)
		time.Sleep(time.Second)
		synctest.Wait()
		p.ack()
		p.send("BYE")
		var states []call.State
		for _, r := range b.told() {
			if len(states) == 0 || states[len(states)-1] != r.State {
				states = append(states, r.State)
			}
		}
		if want := []call.State{call.Trying, call.Ringing, call.Established, call.Ended}; !slices.Equal(states, want) {
			b.t.Errorf("told %v, want %v", states, want)
		}
	})
}

func TestRunningCallsKeepTheirOptions(t *testing.T) {
	simulate(t, autoAnswer, func(b *bench) {
		p := b.talking()
		next := b.opts
		next.Account = newAccount()
		next.Account.ICM = "off"
		b.set.Update(next)
		if got := p.send("INVITE", reoffer("sendonly")...).codes(); got != "200" {
			b.t.Errorf("re-INVITE answered %s", got)
		}
		p.ack()
		if got := b.invite("b", sdpBody(offerPCMU)...).tx.codes(); got != "480" {
			b.t.Errorf("a new call is answered %s", got)
		}
	})
}
