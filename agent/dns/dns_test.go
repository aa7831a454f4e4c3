package dns

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// zone is a name server without a network.
type zone struct {
	mu      sync.Mutex
	records map[string][]dnsmessage.Resource // by "name type"
	code    dnsmessage.RCode                 // answers this to everything
	silent  bool
	cut     bool // answers over UDP are cut off
	plain   bool // takes EDNS0 for an error
	slow    time.Duration
	asked   []string
}

func (z *zone) set(change func(*zone)) {
	z.mu.Lock()
	defer z.mu.Unlock()
	change(z)
}

func (z *zone) questions() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return len(z.asked)
}

func (z *zone) exchange(ctx context.Context, server netip.AddrPort, query []byte, stream bool, fits func([]byte) bool) ([]byte, error) {
	var q dnsmessage.Message
	if err := q.Unpack(query); err != nil {
		return nil, err
	}
	z.mu.Lock()
	name := strings.ToLower(q.Questions[0].Name.String()) + " " + q.Questions[0].Type.String()
	z.asked = append(z.asked, fmt.Sprint(name, " ", server, " ", stream))
	silent, slow := z.silent, z.slow
	a := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RCode: z.code, Truncated: z.cut && !stream}, Questions: q.Questions}
	if z.plain && len(q.Additionals) > 0 {
		a.RCode = dnsmessage.RCodeFormatError
	}
	found, known := z.records[name]
	for _, r := range found {
		if r.Header.Type == dnsmessage.TypeSOA {
			a.Authorities = append(a.Authorities, r)
		} else {
			a.Answers = append(a.Answers, r)
		}
	}
	if !known && a.RCode == 0 {
		a.RCode = dnsmessage.RCodeNameError
	}
	z.mu.Unlock()
	if silent {
		<-ctx.Done()
		return nil, unanswered(ctx, ctx.Err())
	}
	time.Sleep(slow)
	raw, err := a.Pack()
	if err == nil && !fits(raw) {
		err = errors.New("does not fit")
	}
	return raw, err
}

func record(name string, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
	kinds := map[string]Type{"*dnsmessage.AResource": A, "*dnsmessage.AAAAResource": AAAA, "*dnsmessage.SRVResource": SRV,
		"*dnsmessage.CNAMEResource": dnsmessage.TypeCNAME, "*dnsmessage.SOAResource": dnsmessage.TypeSOA, "*dnsmessage.UnknownResource": NAPTR}
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl, Type: kinds[reflect.TypeOf(body).String()]}, Body: body}
}

func a(name string, ttl uint32, addr string) dnsmessage.Resource {
	return record(name, ttl, &dnsmessage.AResource{A: netip.MustParseAddr(addr).As4()})
}

func resolver(t *testing.T, z *zone, log *bytes.Buffer) *Resolver {
	c := Config{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, Exchange: z.exchange}
	if log != nil {
		c.Log = slog.New(slog.NewTextHandler(log, nil))
	}
	r := New(c)
	t.Cleanup(r.Close)
	return r
}

func wantAddrs(t *testing.T, r *Resolver, name string, want ...string) Answer {
	t.Helper()
	got, err := r.Lookup(t.Context(), name, A)
	var texts []string
	for _, a := range got.Addrs {
		texts = append(texts, a.String())
	}
	if err != nil || !reflect.DeepEqual(texts, want) {
		t.Errorf("%s: %v, %v; want %v", name, texts, err, want)
	}
	return got
}

func TestAnswersLiveAsLongAsTheySay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{records: map[string][]dnsmessage.Resource{
			"pbx.test. TypeA":  {a("pbx.test.", 60, "192.0.2.1")},
			"zero.test. TypeA": {a("zero.test.", 0, "192.0.2.2")},
			"none.test. TypeA": {record("test.", 30, &dnsmessage.SOAResource{NS: dnsmessage.MustNewName("ns.test."), MBox: dnsmessage.MustNewName("m.test."), MinTTL: 20})},
		}}
		r := resolver(t, z, nil)
		for _, step := range []struct {
			says, name string
			after      time.Duration
			want       []string
			questions  int
		}{
			{"a name is asked for", "pbx.test", 0, []string{"192.0.2.1"}, 1},
			{"its answer is remembered", "PBX.test.", 59 * time.Second, []string{"192.0.2.1"}, 1},
			{"until its time is over", "pbx.test", time.Second, []string{"192.0.2.1"}, 2},
			{"no time at all is one second", "zero.test", 0, []string{"192.0.2.2"}, 3},
			{"for those who ask at once", "zero.test", 999 * time.Millisecond, []string{"192.0.2.2"}, 3},
			{"and no longer", "zero.test", time.Millisecond, []string{"192.0.2.2"}, 4},
			{"nothing is remembered, too", "none.test", 0, nil, 5},
			{"as long as the SOA's minimum", "none.test", 19 * time.Second, nil, 5},
			{"and no longer", "none.test", time.Second, nil, 6},
			{"without a SOA", "nowhere.test", 0, nil, 7},
			{"for ten seconds", "nowhere.test", negativeTTL - 1, nil, 7},
			{"and no longer", "nowhere.test", 1, nil, 8},
			{"what is no name is nobody's question", "a b", 0, nil, 8},
			{"nor is none", "", 0, nil, 8},
		} {
			time.Sleep(step.after)
			wantAddrs(t, r, step.name, step.want...)
			if n := z.questions(); n != step.questions {
				t.Errorf("%s: %d questions, want %d", step.says, n, step.questions)
			}
		}
	})
}

func TestThoseWhoAskAtOnceShareOneQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{slow: time.Second, records: map[string][]dnsmessage.Resource{"pbx.test. TypeA": {a("pbx.test.", 60, "192.0.2.1")}}}
		r := resolver(t, z, nil)
		impatient, cancel := context.WithCancel(t.Context())
		var first sync.WaitGroup
		first.Go(func() {
			if _, err := r.Lookup(impatient, "pbx.test", A); !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up heard %v", err)
			}
		})
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { wantAddrs(t, r, "pbx.test", "192.0.2.1") })
		}
		synctest.Wait()
		cancel()
		first.Wait()
		all.Wait()
		if n := z.questions(); n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

func TestStaleAnswersServeWhileDNSIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{records: map[string][]dnsmessage.Resource{"pbx.test. TypeA": {a("pbx.test.", 60, "192.0.2.1")}, "two.test. TypeA": {a("two.test.", 60, "192.0.2.2")}}}
		var log bytes.Buffer
		r := resolver(t, z, &log)
		wantAddrs(t, r, "pbx.test", "192.0.2.1")
		wantAddrs(t, r, "two.test", "192.0.2.2")
		wantAddrs(t, r, "gone.test")
		z.set(func(z *zone) { z.silent = true })
		time.Sleep(time.Minute)
		began := time.Now()
		if got := wantAddrs(t, r, "pbx.test", "192.0.2.1"); !got.Stale || time.Since(began) != stalePatience {
			t.Errorf("stale %t after %s", got.Stale, time.Since(began))
		}
		time.Sleep(lookupTimeout)
		n := z.questions()
		wantAddrs(t, r, "two.test", "192.0.2.2")
		if got := wantAddrs(t, r, "gone.test"); !got.Stale {
			t.Error("that there was nothing is not said to be stale")
		}
		began = time.Now()
		if got := wantAddrs(t, r, "pbx.test", "192.0.2.1"); !got.Stale || time.Since(began) != 0 || z.questions() == n {
			t.Errorf("a failure is not remembered: %s, %d questions after %d", time.Since(began), z.questions(), n)
		}
		time.Sleep(lookupTimeout)
		if said := strings.Count(log.String(), "DNS does not answer"); said != 1 {
			t.Errorf("told %d times:\n%s", said, log.String())
		}
		if _, err := r.Lookup(t.Context(), "new.test", A); err == nil || !strings.Contains(err.Error(), "192.0.2.53:53: no answer") {
			t.Errorf("a name nobody knew: %v", err)
		}
		z.set(func(z *zone) { z.silent = false })
		time.Sleep(staleRetry)
		if got := wantAddrs(t, r, "pbx.test", "192.0.2.1"); got.Stale || !strings.Contains(log.String(), "DNS answers again") {
			t.Errorf("stale %t\n%s", got.Stale, log.String())
		}
		z.set(func(z *zone) { z.code = dnsmessage.RCodeServerFailure })
		time.Sleep(staleLife + time.Hour)
		if _, err := r.Lookup(t.Context(), "pbx.test", A); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
			t.Errorf("an answer a day too old: %v", err)
		}
	})
}

func TestWhatServersAnswer(t *testing.T) {
	alias := func(name, to string, ttl uint32) dnsmessage.Resource {
		return record(name, ttl, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)})
	}
	naptr := append([]byte{0, 10, 0, 20, 1, 's', 7}, "SIP+D2U\x00\x04_sip\x04_udp\x04test\x00"...)
	for says, tt := range map[string]struct {
		zone      *zone
		kind      Type
		want      Answer
		err       string
		questions int
	}{
		"services": {&zone{records: map[string][]dnsmessage.Resource{"n.test. TypeSRV": {record("n.test.", 9, &dnsmessage.SRVResource{Priority: 1, Weight: 2, Port: 3, Target: dnsmessage.MustNewName("A.test.")})}}},
			SRV, Answer{Services: []Service{{1, 2, 3, "a.test."}}}, "", 1},
		"pointers": {&zone{records: map[string][]dnsmessage.Resource{"n.test. 35": {record("n.test.", 9, &dnsmessage.UnknownResource{Type: NAPTR, Data: naptr})}}},
			NAPTR, Answer{Pointers: []Pointer{{10, 20, "S", "SIP+D2U", "_sip._udp.test."}}}, "", 1},
		"an alias with what it leads to": {&zone{records: map[string][]dnsmessage.Resource{"n.test. TypeA": {alias("n.test.", "b.test.", 9), a("b.test.", 5, "192.0.2.9")}}},
			A, Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}, "", 1},
		"an alias alone": {&zone{records: map[string][]dnsmessage.Resource{"n.test. TypeA": {alias("n.test.", "b.test.", 9)}, "b.test. TypeA": {a("b.test.", 5, "192.0.2.9")}}},
			A, Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}, "", 2},
		"aliases in a circle": {&zone{records: map[string][]dnsmessage.Resource{"n.test. TypeA": {alias("n.test.", "n.test.", 9)}}},
			A, Answer{}, "without end", mostAliases},
		"of somebody else": {&zone{records: map[string][]dnsmessage.Resource{"n.test. TypeA": {a("b.test.", 5, "192.0.2.9")}}}, A, Answer{}, "", 1},
		"too long for UDP": {&zone{cut: true, records: map[string][]dnsmessage.Resource{"n.test. TypeA": {a("n.test.", 5, "192.0.2.9")}}},
			A, Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}, "", 2},
		"no EDNS0": {&zone{plain: true, records: map[string][]dnsmessage.Resource{"n.test. TypeA": {a("n.test.", 5, "192.0.2.9")}}},
			A, Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}, "", 2},
		"that they refuse":         {&zone{code: dnsmessage.RCodeRefused}, A, Answer{}, "REFUSED", 1},
		"that they do no such":     {&zone{code: dnsmessage.RCodeNotImplemented}, A, Answer{}, "", 2},
		"nothing, asked two times": {&zone{silent: true}, A, Answer{}, "no answer", rounds},
	} {
		t.Run(says, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolver(t, tt.zone, nil)
				got, err := r.Lookup(t.Context(), "n.test", tt.kind)
				if !reflect.DeepEqual(got, tt.want) || tt.err == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%+v, %v; want %+v, %q", got, err, tt.want, tt.err)
				}
				if n := tt.zone.questions(); n != tt.questions {
					t.Errorf("%d questions: %v", n, tt.zone.asked)
				}
			})
		})
	}
}

func TestTheNextServerIsAskedWhenOneIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := &zone{records: map[string][]dnsmessage.Resource{"pbx.test. TypeA": {a("pbx.test.", 60, "192.0.2.1")}}}
		dead := netip.MustParseAddrPort("192.0.2.52:53")
		r := New(Config{Servers: []netip.AddrPort{dead, netip.MustParseAddrPort("192.0.2.53:53")},
			Exchange: func(ctx context.Context, s netip.AddrPort, q []byte, stream bool, fits func([]byte) bool) ([]byte, error) {
				if s == dead {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return z.exchange(ctx, s, q, stream, fits)
			}})
		defer r.Close()
		began := time.Now()
		wantAddrs(t, r, "pbx.test", "192.0.2.1")
		if took := time.Since(began); took != tryTimeout {
			t.Errorf("after %s", took)
		}
	})
}

func TestWhatIsKnownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolver(t, &zone{}, nil)
		for i := range mostKnown + 100 {
			wantAddrs(t, r, fmt.Sprintf("n%d.test", i))
		}
		if n := len(r.known); n > mostKnown {
			t.Errorf("%d", n)
		}
	})
}

// TestOverNetwork asks a server of this host that answers another question first,
// then cuts its answer off, and has all of it over TCP.
func TestOverNetwork(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := listener.Addr().(*net.TCPAddr).AddrPort()
	packets, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	answer := func(raw []byte, id uint16, cut bool) []byte {
		var q dnsmessage.Message
		if err := q.Unpack(raw); err != nil {
			t.Error(err)
		}
		m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID + id, Response: true, Truncated: cut}, Questions: q.Questions}
		if !cut {
			m.Answers = append(m.Answers, a("pbx.test.", 60, "192.0.2.1"))
		}
		packed, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		return packed
	}
	var served sync.WaitGroup
	served.Go(func() {
		b := make([]byte, 1500)
		n, from, err := packets.ReadFrom(b)
		if err != nil {
			return
		}
		_, _ = packets.WriteTo(answer(b[:n], 1, false), from) // somebody guesses
		_, _ = packets.WriteTo(answer(b[:n], 0, true), from)
	})
	served.Go(func() {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 1500)
		n, _ := c.Read(b)
		if n < 2 || int(binary.BigEndian.Uint16(b)) != n-2 {
			t.Errorf("%d bytes framed as %x", n, b[:2])
			return
		}
		full := answer(b[2:n], 0, false)
		_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(full))), full...))
	})
	r := New(Config{Servers: []netip.AddrPort{at}})
	wantAddrs(t, r, "pbx.test", "192.0.2.1")
	r.Close()
	_, _ = listener.Close(), packets.Close()
	served.Wait()
}

func TestNameServersOfTheSystem(t *testing.T) {
	for text, want := range map[string]string{
		"search a.test b.test\nnameserver 192.0.2.53\n# nameserver 192.0.2.1\nnameserver\toops\nnameserver fe80::1%eth0\noptions ndots:5\n": "[192.0.2.53:53 [fe80::1%eth0]:53]",
		"": "[127.0.0.1:53]",
		"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4": "[192.0.2.1:53 192.0.2.2:53 192.0.2.3:53]",
	} {
		if got := fmt.Sprint(nameServers(text)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	q := dnsmessage.Question{Name: dnsmessage.MustNewName("n.test."), Type: NAPTR, Class: dnsmessage.ClassINET}
	naptr := append([]byte{0, 10, 0, 20, 1, 's', 7}, "SIP+D2U\x00\x04_sip\x04_udp\x04test\x00"...)
	for _, body := range []dnsmessage.ResourceBody{
		&dnsmessage.UnknownResource{Type: NAPTR, Data: naptr}, &dnsmessage.UnknownResource{Type: NAPTR, Data: naptr[:9]},
		&dnsmessage.CNAMEResource{CNAME: q.Name}, &dnsmessage.SRVResource{Target: q.Name},
	} {
		m := dnsmessage.Message{Header: dnsmessage.Header{ID: 7, Response: true}, Questions: []dnsmessage.Question{q}, Answers: []dnsmessage.Resource{record("n.test.", 5, body)}}
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parse(raw, 7, q)
		if err != nil {
			return
		}
		if got.ttl < 0 || got.ttl > mostTTL || len(got.Pointers) > mostRecords {
			t.Errorf("%+v", got)
		}
		for _, p := range got.Pointers {
			if !strings.HasSuffix(p.Replacement, ".") || len(p.Replacement) > 255 {
				t.Errorf("replacement %q", p.Replacement)
			}
		}
	})
}
