package sdp

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseSaysWhatIsWrong(t *testing.T) {
	rows := map[string]struct{ body, want string }{
		"nothing":                     {"", "not a session description: no v= line"},
		"another language":            {"<xml/>", "not a session description: no v= line"},
		"another version":             {"v=1\r\n", `not a session description: line 1: version "1"`},
		"a media line without format": {"v=0\r\nm=audio 4000 RTP/AVP\r\n", `not a session description: line 2: media "audio 4000 RTP/AVP"`},
		"a port out of range":         {"v=0\r\nm=audio 70000 RTP/AVP 0\r\n", `not a session description: line 2: media port "70000"`},
		"a negative port":             {"v=0\r\nm=audio -1 RTP/AVP 0\r\n", `not a session description: line 2: media port "-1"`},
		"half a connection":           {"v=0\r\nc=IN IP4\r\n", `not a session description: line 2: connection "IN IP4"`},
		"too many streams":            {"v=0\r\n" + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", 33), "not a session description: line 34: more than 32 media lines"},
		"too much":                    {"v=0\r\n" + strings.Repeat("a=x\r\n", 20000), "not a session description: 100005 bytes, at most 65536 are read"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(row.body))
			if !errors.Is(err, ErrSyntax) || err.Error() != row.want {
				t.Errorf("error %v, want %s", err, row.want)
			}
		})
	}
}

func TestParseReadsWhatOthersWrite(t *testing.T) {
	d := read(t, "testdata/offer/sbc-two-audio.sdp")
	if want := (Origin{"BroadWorks", 7712, 1, netip.MustParseAddr("203.0.113.80")}); d.Origin != want {
		t.Errorf("origin %+v, want %+v", d.Origin, want)
	}
	if d.Name != "sip call" || d.Connection.Host != "203.0.113.80" || len(d.Media) != 3 {
		t.Errorf("description %+v", d)
	}
	if m := d.Media[1]; m.Connection.Host != "203.0.113.81" || m.Port != 30022 || strings.Join(m.Formats, " ") != "8 0 116" || len(m.Attributes) != 4 {
		t.Errorf("second stream %+v", m)
	}
	if v, ok := d.attribute(&d.Media[2], "T38FaxVersion"); !ok || v != "0" {
		t.Errorf("attribute of the third stream: %q, %v", v, ok)
	}
}

func TestNewOriginIsItsOwn(t *testing.T) {
	a, b := NewOrigin(netip.MustParseAddr("192.0.2.1")), NewOrigin(netip.MustParseAddr("192.0.2.1"))
	if a.SessionID == b.SessionID {
		t.Error("two sessions with one id")
	}
	if next := a.Next(); next.SessionID != a.SessionID || next.Version != a.Version+1 {
		t.Errorf("next of %+v is %+v", a, next)
	}
}

func addOffers(f *testing.F) {
	paths, err := filepath.Glob("testdata/*/*.sdp")
	if err != nil || len(paths) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
}

// What was read once is written in a form that reads the same again.
func FuzzParse(f *testing.F) {
	addOffers(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := Parse(body)
		if err != nil {
			return
		}
		for i := range d.Media {
			theirs, _ := d.ice(&d.Media[i])
			if theirs == nil {
				continue
			}
			for _, c := range theirs.Candidates {
				if back, ok, err := ParseCandidate(c.String()); err != nil || !ok || back != c {
					t.Fatalf("%q is read back as %+v, %v, %v", c, back, ok, err)
				}
			}
		}
		once := d.Marshal()
		if len(once) > maxSize {
			return
		}
		again, err := Parse(once)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, once)
		}
		if twice := again.Marshal(); string(twice) != string(once) {
			t.Fatalf("written differently the second time:\n%q\n%q", once, twice)
		}
	})
}

// An answer mirrors the offer's lines, takes one stream at most, and is one the offerer can read.
func FuzzAnswer(f *testing.F) {
	addOffers(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		offer, err := Parse(body)
		if err != nil {
			return
		}
		answer, n, err := Answer(offer, caps(), origin)
		if err != nil {
			if !errors.Is(err, ErrNotAcceptable) {
				t.Fatalf("an error that is no refusal: %v", err)
			}
			return
		}
		back, err := Parse(answer.Marshal())
		if err != nil {
			t.Fatalf("our answer cannot be read: %v\n%s", err, answer.Marshal())
		}
		if len(back.Media) != len(offer.Media) {
			t.Fatalf("%d lines answer %d", len(back.Media), len(offer.Media))
		}
		live := 0
		for i, m := range back.Media {
			if m.Kind != offer.Media[i].Kind || m.Proto != offer.Media[i].Proto {
				t.Fatalf("line %d answers %s %s with %s %s", i, offer.Media[i].Kind, offer.Media[i].Proto, m.Kind, m.Proto)
			}
			if m.Port != 0 {
				live++
			}
		}
		if live != 1 || len(n.Receive) == 0 || n.PTime < minPTime || n.PTime > maxPTime || n.Codec.PT > 127 {
			t.Fatalf("%d streams taken, %+v", live, n)
		}
		if r := n.Remote; r.IsValid() && (r.Port() == 0 || r.Addr().IsUnspecified() || r.Addr().IsMulticast()) {
			t.Fatalf("sends to %v", r)
		}
	})
}
