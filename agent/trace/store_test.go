package trace

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var (
	here  = netip.MustParseAddrPort("192.0.2.1:5100")
	there = netip.MustParseAddrPort("192.0.2.2:5060")
)

// clocked is a store whose time a test makes.
func clocked() (*Store, *time.Time) {
	s, now := NewStore(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.now = func() time.Time { return now }
	return s, &now
}

func request(method, id string, more ...string) string {
	return crlf(append([]string{method + " sip:bob@h SIP/2.0", "Call-ID: " + id, "CSeq: 1 " + method}, append(more, "", "")...)...)
}

func response(code int, method, id string) string {
	return crlf(fmt.Sprintf("SIP/2.0 %d Reason", code), "Call-ID: "+id, "CSeq: 1 "+method, "", "")
}

func (s *Store) sent(text string)     { s.Message(true, "UDP", here, there, []byte(text)) }
func (s *Store) received(text string) { s.Message(false, "UDP", here, there, []byte(text)) }

func keptOf(t *testing.T, s *Store, id string) []Message {
	t.Helper()
	got, ok := s.Call(id)
	if !ok {
		t.Fatalf("nothing is kept of %s", id)
	}
	return got.Messages
}

func TestACallKeepsItsMessages(t *testing.T) {
	s, now := clocked()
	s.sent(request("INVITE", "1"))
	s.sent(request("INVITE", "2"))
	*now = now.Add(500 * time.Millisecond)
	s.sent(request("INVITE", "1"))
	s.received(response(100, "INVITE", "1"))
	all := keptOf(t, s, "1")
	if len(all) != 3 || all[0].Again != 0 || all[1].Again != 1 || all[2].Code != 100 || all[2].Sent || !all[1].Sent || all[1].At.Sub(all[0].At) != 500*time.Millisecond {
		t.Errorf("%+v", all)
	}
	if m := all[2]; m.From() != there || m.To() != here || m.CallID != "1" || m.Method != "INVITE" || m.CSeq != "1 INVITE" || m.Transport != "UDP" {
		t.Errorf("%+v", m)
	}
	if _, ok := s.Call("3"); ok {
		t.Error("a call nobody made has messages")
	}
}

func TestWhatWasNotSentSaysWhy(t *testing.T) {
	s, _ := clocked()
	s.sent(request("INVITE", "1"))
	s.NotSent(there, []byte(request("INVITE", "1")), errors.New("no route"))
	s.NotSent(there, []byte(request("INVITE", "2")), errors.New("no route"))
	if m := keptOf(t, s, "1")[0]; m.Problem != "no route" {
		t.Errorf("%+v", m)
	}
}

func TestOneCallCannotTakeAllTheRoom(t *testing.T) {
	s, _ := clocked()
	s.sent(request("INVITE", "chatty", "X: first"))
	for i := range 1000 {
		s.sent(request("INFO", "chatty", fmt.Sprint("X: ", i)))
	}
	got, _ := s.Call("chatty")
	n := len(got.Messages)
	if n > bounds[calls].messages || n < bounds[calls].messages/2 || got.Dropped != 1001-n {
		t.Errorf("%d messages are kept, %d dropped", n, got.Dropped)
	}
	if !strings.Contains(string(got.Messages[0].Text), "X: first") || !strings.Contains(string(got.Messages[n-1].Text), "X: 999") {
		t.Error("the first and the last are not among them")
	}
	s.sent(request("INFO", "large", "X: "+strings.Repeat("x", 60000)))
	if m := keptOf(t, s, "large")[0]; !m.Cut || len(m.Text) != mostText {
		t.Errorf("of a large message %d bytes are kept (cut: %v)", len(m.Text), m.Cut)
	}
}

// TestAllCallsHaveTheirBound: what was not used for longest goes first, and of failed
// calls later.
func TestAllCallsHaveTheirBound(t *testing.T) {
	s, _ := clocked()
	filler := "X: " + strings.Repeat("x", 4000)
	s.sent(request("REGISTER", "line"))
	s.sent(request("INVITE", "refused"))
	s.received(response(486, "INVITE", "refused"))
	s.sent(request("INVITE", "answered"))
	s.received(response(401, "INVITE", "answered"))
	s.received(response(200, "INVITE", "answered"))
	s.received(response(500, "INVITE", "answered")) // of a re-INVITE
	most := 0
	for _, c := range bounds {
		most += c.all
	}
	for i := range 2 * bounds[calls].all / 4000 {
		s.sent(request("INVITE", fmt.Sprint("call ", i), filler))
		s.sent(request("OPTIONS", fmt.Sprint("ping ", i), filler))
		if kept := s.Bytes(); kept > most {
			t.Fatalf("%d bytes are kept, %d allowed", kept, most)
		}
	}
	for id, want := range map[string]bool{"line": true, "refused": true, "answered": false, "call 0": false, "ping 0": false} {
		if _, ok := s.Call(id); ok != want {
			t.Errorf("%s is kept: %v", id, ok)
		}
	}
	if len(s.all) > most/4000 {
		t.Errorf("%d conversations are kept", len(s.all))
	}
}

// TestALineInTroubleKeepsItsRoom: registrations that are refused, or not answered, do not
// go for those that are well.
func TestALineInTroubleKeepsItsRoom(t *testing.T) {
	s, _ := clocked()
	s.sent(request("REGISTER", "refused"))
	s.received(response(403, "REGISTER", "refused"))
	s.sent(request("REGISTER", "silent"))
	s.sent(request("REGISTER", "silent"))
	s.sent(request("REGISTER", "unsent"))
	s.NotSent(there, []byte(request("REGISTER", "unsent")), errors.New("no route"))
	s.sent(request("REGISTER", "mended"))
	s.received(response(503, "REGISTER", "mended"))
	s.received(response(200, "REGISTER", "mended"))
	for i := range 2 * bounds[events].all / 1000 {
		id := fmt.Sprint("well ", i)
		s.sent(request("REGISTER", id, "X: "+strings.Repeat("x", 800)))
		s.received(response(401, "REGISTER", id))
	}
	for id, want := range map[string]bool{"refused": true, "silent": true, "unsent": true, "mended": false, "well 0": false} {
		if _, ok := s.Call(id); ok != want {
			t.Errorf("%s is kept: %v", id, ok)
		}
	}
}

func TestTracesGoWithTheRecordsOfCalls(t *testing.T) {
	s, now := clocked()
	for _, id := range []string{"over", "running", "failed"} {
		s.sent(request("INVITE", id))
	}
	s.received(response(503, "INVITE", "failed"))
	s.sent(request("REGISTER", "line"))
	sweep := func(after time.Duration) (left string) {
		*now = now.Add(after)
		s.Sweep(map[string]bool{"running": true})
		for _, id := range []string{"over", "running", "failed", "line"} {
			if _, ok := s.Call(id); ok {
				left += id + " "
			}
		}
		return left
	}
	if left := sweep(retention); left != "over running failed line " {
		t.Errorf("kept: %s", left)
	}
	if left := sweep(time.Second); left != "running line " {
		t.Errorf("kept: %s", left)
	}
	if left := sweep(eventRetention); left != "running " {
		t.Errorf("kept: %s", left)
	}
	s.Sweep(nil)
	if len(s.all) != 0 || s.Bytes() != 0 {
		t.Errorf("%d conversations, %d bytes are left", len(s.all), s.Bytes())
	}
}

func TestALineKnowsItsOwn(t *testing.T) {
	s, now := clocked()
	say := func(sent bool, text string) {
		*now = now.Add(time.Millisecond)
		s.Message(sent, "TCP", here, there, []byte(text))
	}
	say(true, request("REGISTER", "mine", "From: <sip:alice@h>;tag=1", "To: <sip:alice@h>", "Contact: <sip:secretuser@192.0.2.1>"))
	say(true, request("REGISTER", "theirs", "From: <sip:malice@h>;tag=1", "To: <sip:malice@h>"))
	say(false, response(200, "REGISTER", "mine"))
	say(false, response(200, "REGISTER", "theirs"))
	say(true, request("MESSAGE", "written", "f: \"A\" <sip:Alice@H>;tag=1", "t: <sip:bob@h>"))
	say(true, request("SUBSCRIBE", "watcher", "From: <sip:bob@h>;tag=1", "To: <sip:alice@h>"))
	say(false, request("OPTIONS", "asked", "To: <sip:alice@h>"))
	say(false, request("NOTIFY", "told", "To: <sip:alice@h.example>"))
	say(true, request("INVITE", "call", "From: <sip:alice@h>"))
	var got []string
	for _, m := range s.Line(Naming("secretuser", "alice", "h")).Messages {
		got = append(got, m.CallID)
	}
	if all := strings.Join(got, " "); all != "mine mine written asked" {
		t.Errorf("the line has %s", all)
	}
}

func TestMessagesAreForwarded(t *testing.T) {
	s, _ := clocked()
	var got []string
	s.Forward(func(m Message) { got = append(got, m.CallID+" "+string(m.Text)) })
	s.sent(request("INVITE", "1", "Authorization: Digest response=abc"))
	s.Forward(nil)
	s.sent(request("INVITE", "2"))
	if len(got) != 1 || !strings.HasPrefix(got[0], "1 INVITE") || !strings.Contains(got[0], "response=***") {
		t.Errorf("%q", got)
	}
}

// invite is a request as one meets it.
var invite = []byte(crlf("INVITE sip:bob@192.0.2.2:5060;transport=udp SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.1:5100;branch=z9hG4bKabcdefghijklmnop;rport",
	"Max-Forwards: 70", "From: \"Alice\" <sip:alice@example.org>;tag=abcdefgh", "To: <sip:bob@example.org>", "Call-ID: abcdefghijklmnopqrstuvwxyz", "CSeq: 2 INVITE",
	"Contact: <sip:mnbvcxzlkjhgfdsapoiu@192.0.2.1:5100>", "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK", "Supported: replaces, timer, 100rel",
	`Proxy-Authorization: Digest username="alice", realm="example.org", nonce="Zm9vYmFyYmF6cXV4", uri="sip:bob@example.org", response="5ebe2294ecd0e0f08eab7690d2a6ee69", algorithm=MD5, cnonce="abc", qop=auth, nc=00000001`,
	"User-Agent: softphone-agent", "Content-Type: application/sdp", "Content-Length: 250", "", "v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0",
	"m=audio 20000 RTP/AVP 0 8 9 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:9 G722/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16", "a=ptime:20", "a=sendrecv", ""))

// BenchmarkMessage is what the tap costs a message of a call: little more than the text
// that is kept.
func BenchmarkMessage(b *testing.B) {
	s := NewStore()
	b.ReportAllocs()
	b.SetBytes(int64(len(invite)))
	id := []byte("abcdefghijklmnopqrstuvwxyz")
	at := bytes.Index(invite, id)
	raw := bytes.Clone(invite)
	for i := 0; b.Loop(); i++ {
		if i%8 == 0 { // the next call
			copy(raw[at:], fmt.Sprintf("%026d", i))
		}
		s.Message(true, "UDP", here, there, raw)
	}
}

// TestAMessageCostsOneAllocation: of a conversation that goes on.
func TestAMessageCostsOneAllocation(t *testing.T) {
	s := NewStore()
	for range 2 * bounds[calls].messages {
		s.Message(true, "UDP", here, there, invite)
	}
	if n := testing.AllocsPerRun(100, func() { s.Message(true, "UDP", here, there, invite) }); n > 1 {
		t.Errorf("%g allocations", n)
	}
}
