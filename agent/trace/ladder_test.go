package trace

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// spoken is a call as calls are: asked for a password, ringing, a response that was
// lost, another address for what follows the answer, over TCP, and one that never left.
func spoken(t *testing.T) Trace {
	t.Helper()
	s, now := clocked()
	after := func(ms int) { *now = now.Add(time.Duration(ms) * time.Millisecond) }
	gateway := netip.MustParseAddrPort("[2001:db8::7]:5060")
	const sdp, digest = "Content-Type: application/sdp\r\n\r\nv=0\r\na=sendrecv\r\n", `Proxy-Authorization: Digest username="alice", response="abc"`
	with := func(text string, end string) string { return strings.TrimSuffix(text, "\r\n") + end }
	invite := with(request("INVITE", "1"), sdp)
	s.sent(invite)
	after(500)
	s.sent(invite)
	after(1)
	s.received(response(407, "INVITE", "1"))
	s.sent(request("ACK", "1"))
	s.sent(with(request("INVITE", "1", digest), sdp))
	after(30)
	s.received(response(180, "INVITE", "1"))
	after(2000)
	s.received(with(response(200, "INVITE", "1"), sdp))
	s.Message(true, "TCP", here, gateway, []byte(request("ACK", "1")))
	after(500)
	s.received(with(response(200, "INVITE", "1"), sdp))
	s.Message(true, "TCP", here, gateway, []byte(request("ACK", "1")))
	after(3000)
	s.Message(false, "TCP", here, gateway, []byte(request("REFER", "1")))
	s.Message(true, "TCP", here, gateway, []byte(response(202, "REFER", "1")))
	s.Message(true, "TCP", here, gateway, []byte(with(request("NOTIFY", "1"), "Content-Type: message/sipfrag;version=2.0\r\n\r\nSIP/2.0 100 Trying\r\n")))
	after(10)
	bye := request("BYE", "1", `Reason: Q.850;cause=16;text="Normal`+"\x1b[31m"+`"`)
	s.Message(true, "TCP", here, gateway, []byte(bye))
	s.NotSent(gateway, []byte(bye), os.ErrDeadlineExceeded)
	got, _ := s.Call("1")
	return got
}

func TestTheLadder(t *testing.T) {
	l := spoken(t).Ladder("Call x1 of line alice to sip:bob@h")
	for file, c := range map[string]Charset{"call.txt": UTF8, "call.ascii.txt": ASCII} {
		var b bytes.Buffer
		if err := l.WriteText(&b, c); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", file, b.String(), want)
		}
	}
	var empty bytes.Buffer
	if err := (Trace{Dropped: 2}).Ladder("Call x2").WriteText(&empty, UTF8); err != nil || !strings.Contains(empty.String(), "no messages are kept") || !strings.Contains(empty.String(), "2 messages") {
		t.Errorf("%q, %v", empty.String(), err)
	}
}

func TestTheLadderAsJSON(t *testing.T) {
	raw, err := json.Marshal(spoken(t).Ladder("x"))
	if err != nil {
		t.Fatal(err)
	}
	var l Ladder
	if err := json.Unmarshal(raw, &l); err != nil {
		t.Fatal(err)
	}
	if len(l.Columns) != 3 || !l.Columns[0].Local || l.Columns[2].Address != "[2001:db8::7]:5060" || len(l.Steps) != 14 {
		t.Fatalf("%s", raw)
	}
	if s := l.Steps[1]; s.Retransmission != 1 || s.From != 0 || s.To != 1 || s.AfterMs != 500 || s.Content != "SDP" {
		t.Errorf("%+v", s)
	}
	if s := l.Steps[10]; s.Method != "REFER" || s.From != 2 || s.To != 0 || s.Transport != "TCP" {
		t.Errorf("%+v", s)
	}
}

// TestTheCapture reads the file as draft-ietf-opsawg-pcap and the RFCs of IP and UDP
// have it; tcpdump does in test/interop.
func TestTheCapture(t *testing.T) {
	spoken := spoken(t)
	var b bytes.Buffer
	if err := spoken.WritePcap(&b); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	if binary.LittleEndian.Uint32(file) != 0xa1b2c3d4 || binary.LittleEndian.Uint32(file[20:]) != 101 {
		t.Fatalf("head % x", file[:24])
	}
	n := 0
	for file = file[24:]; len(file) > 0; n++ {
		m, length := spoken.Messages[n], int(binary.LittleEndian.Uint32(file[8:]))
		if at := int64(binary.LittleEndian.Uint32(file))*1e6 + int64(binary.LittleEndian.Uint32(file[4:])); at != m.At.UnixMicro() {
			t.Errorf("packet %d is of %d, the message of %d", n, at, m.At.UnixMicro())
		}
		packet := file[16 : 16+length]
		file = file[16+length:]
		from, to, payload := readDatagram(t, packet)
		if from != m.From() || to != m.To() || !bytes.Equal(payload, m.Text) {
			t.Errorf("packet %d: %s to %s, %q", n, from, to, payload)
		}
	}
	if n != len(spoken.Messages)-1 {
		t.Errorf("%d packets; all but the one that was not sent are expected", n)
	}
}

// readDatagram takes an IP packet with a UDP datagram apart, checksums included.
func readDatagram(t *testing.T, p []byte) (from, to netip.AddrPort, payload []byte) {
	t.Helper()
	var src, dst netip.Addr
	var udp []byte
	switch p[0] >> 4 {
	case 4:
		if int(binary.BigEndian.Uint16(p[2:])) != len(p) || p[9] != 17 || ones(p[:20]) != 0xffff {
			t.Fatalf("IPv4 head % x", p[:20])
		}
		src, dst, udp = netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20])), p[20:]
	case 6:
		if int(binary.BigEndian.Uint16(p[4:])) != len(p)-40 || p[6] != 17 {
			t.Fatalf("IPv6 head % x", p[:40])
		}
		src, dst, udp = netip.AddrFrom16([16]byte(p[8:24])).Unmap(), netip.AddrFrom16([16]byte(p[24:40])).Unmap(), p[40:]
	default:
		t.Fatalf("% x", p)
	}
	pseudo := []byte{0, 17, udp[4], udp[5]}
	if p[0]>>4 == 4 {
		pseudo = append(pseudo, p[12:20]...)
	} else {
		pseudo = append(pseudo, p[8:40]...)
	}
	if int(binary.BigEndian.Uint16(udp[4:])) != len(udp) || ones(append(pseudo, udp...)) != 0xffff {
		t.Fatalf("UDP head % x", udp[:8])
	}
	return netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp)), netip.AddrPortFrom(dst, binary.BigEndian.Uint16(udp[2:])), udp[8:]
}

// ones is the ones' complement sum of 16-bit words.
func ones(b []byte) uint32 {
	var sum uint32
	for i := range b {
		sum += uint32(b[i]) << (8 * ((i + 1) % 2))
		sum = sum&0xffff + sum>>16
	}
	return sum
}

// TestALadderGoesOn: who follows one is drawn what came since, with another head where
// the columns are others.
func TestALadderGoesOn(t *testing.T) {
	whole := spoken(t)
	l := whole.Ladder("x")
	more := func(step int) string {
		var b bytes.Buffer
		if err := l.WriteMore(&b, ASCII, l.Steps[step].At); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := more(8); strings.Contains(got, "agent") || strings.Count(got, "\n") != 4 || !strings.Contains(got, "REFER") || strings.Contains(got, "INVITE") {
		t.Errorf("after the answer:\n%s", got)
	}
	if got := more(1); !strings.Contains(got, "agent") || strings.Count(got, "\n") != 3+12 {
		t.Errorf("before the gateway was heard of:\n%s", got)
	}
	if got := more(13); got != "" {
		t.Errorf("after the end:\n%s", got)
	}
	var head, all bytes.Buffer
	if err := errors.Join(whole.WritePcap(&all), Trace{}.WritePcap(&head), whole.After(whole.Messages[6].At).WriteMorePcap(&head)); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasSuffix(all.Bytes(), head.Bytes()[24+16+20:]) || head.Len() >= all.Len() {
		t.Error("the rest of a capture is not its end")
	}
}
