package codec

import "testing"

func TestOpusParametersAskForWhatTheAccountWants(t *testing.T) {
	rows := map[string]struct {
		opus Opus
		want string
	}{
		"the preset wb":            {Opus{}, "maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1;usedtx=1"},
		"narrowband":               {Opus{Bandwidth: 8000, Complexity: -1, VBR: true}, "maxplaybackrate=8000;sprop-maxcapturerate=8000"},
		"fullband, nothing else":   {Opus{Bandwidth: 48000, VBR: true}, ""},
		"a constant bit rate":      {Opus{Bandwidth: 48000, Bitrate: 24000}, "maxaveragebitrate=24000;cbr=1"},
		"as many bits as go":       {Opus{Bandwidth: 48000, Bitrate: -1, VBR: true}, "maxaveragebitrate=510000"},
		"an automatic bit rate":    {Opus{Bandwidth: 48000, VBR: true, FEC: true}, "useinbandfec=1"},
		"silence need not be sent": {Opus{Bandwidth: 48000, VBR: true, DTX: true}, "usedtx=1"},
	}
	for name, row := range rows {
		if got := row.opus.Params(); got != row.want {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

// Both directions of RFC 7587 §6.1, as the account document has them.
func TestOpusEncodesWhatBothSidesWant(t *testing.T) {
	own := Opus{Bandwidth: 16000, Complexity: 3, Bitrate: 20000, FEC: true, DTX: true, VBR: true, ExpectedLoss: 5}
	with := func(change func(*Opus)) Opus {
		o := own
		o.FEC, o.DTX = false, false // until the peer takes them
		change(&o)
		return o
	}
	automatic := own
	automatic.Bitrate = 0
	unlimited := own
	unlimited.Bitrate = -1
	constant := own
	constant.VBR = false
	rows := map[string]struct {
		own    Opus
		params string
		want   Opus
	}{
		"a peer that says nothing":             {own, "", with(func(*Opus) {})},
		"a peer that plays less":               {own, "maxplaybackrate=8000", with(func(o *Opus) { o.Bandwidth = 8000 })},
		"a peer that plays more":               {own, "maxplaybackrate=48000", with(func(*Opus) {})},
		"a peer that wants fewer bits":         {own, "maxaveragebitrate=12000", with(func(o *Opus) { o.Bitrate = 12000 })},
		"a peer that bears more bits":          {own, "maxaveragebitrate=64000", with(func(*Opus) {})},
		"automatic takes what the peer says":   {automatic, "maxaveragebitrate=64000", with(func(o *Opus) { o.Bitrate = 64000 })},
		"automatic without a limit":            {automatic, "stereo=0", with(func(o *Opus) { o.Bitrate = 0 })},
		"the maximum takes what the peer says": {unlimited, "maxaveragebitrate=64000", with(func(o *Opus) { o.Bitrate = 64000 })},
		"a peer that takes FEC and DTX":        {own, "useinbandfec=1; usedtx=1", own},
		"capitals and blanks":                  {own, " UseInBandFEC=1 ;stereo=1", with(func(o *Opus) { o.FEC = true })},
		"a peer that wants a constant rate":    {own, "cbr=1", with(func(o *Opus) { o.VBR = false })},
		"a constant rate of our own":           {constant, "cbr=0", with(func(o *Opus) { o.VBR = false })},
		"nonsense counts for nothing":          {own, "maxplaybackrate=x;maxaveragebitrate=-5;cbr=yes;;=", with(func(*Opus) {})},
	}
	for name, row := range rows {
		if got := row.own.toward(row.params); got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
}

func TestOpusPacketTimes(t *testing.T) {
	f, _ := Lookup(opusNumber)
	for asked, want := range map[int]int{5: 10, 10: 10, 20: 20, 30: 20, 40: 40, 60: 60, 70: 60, 120: 120} {
		if got := PacketTime(f.Format, asked); got != want {
			t.Errorf("packets of %d ms become %d ms, want %d", asked, got, want)
		}
	}
}

func TestOpusPacketsTellTheirLength(t *testing.T) {
	rows := map[string]struct {
		packet []byte
		want   int // at 16 kHz
	}{
		"SILK, 20 ms":                {[]byte{9 << 3, 0}, 320},
		"SILK, 60 ms":                {[]byte{11 << 3, 0}, 960},
		"hybrid, 10 ms twice":        {[]byte{12<<3 | 1, 0, 0}, 320},
		"CELT, 2.5 ms":               {[]byte{16 << 3, 0}, 40},
		"CELT, 20 ms":                {[]byte{31 << 3, 0}, 320},
		"six frames of 20 ms":        {[]byte{31<<3 | 3, 6}, 1920},
		"seven are more than 120 ms": {[]byte{31<<3 | 3, 7}, 0},
		"no frames at all":           {[]byte{31<<3 | 3, 0}, 0},
		"a count that is missing":    {[]byte{3}, 0},
		"nothing":                    {nil, 0},
	}
	for name, row := range rows {
		if got := opusSamples(row.packet, 16000); got != row.want {
			t.Errorf("%s: %d samples, want %d", name, got, row.want)
		}
	}
}
