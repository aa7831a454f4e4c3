package media

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
)

// A block as another implementation may write it, by the figure of RFC 3611 §4.7.
var strangersBlock = []byte{
	0x80, 207, 0, 10, 0, 0, 0, 7, // version, XR, 11 words; SSRC of the sender
	7, 0, 0, 8, 0, 0, 0, 9, // VoIP metrics, 9 words; SSRC of the source
	64, 32, 128, 2, 1, 0, 0x20, 0, // loss 25 %, discards 12.5 %, burst density 50 %, gap density; bursts of 256 ms, gaps of 8192 ms
	0, 150, 0, 90, 0xEC, 0xBF, 127, 16, // round trip, end system; signal -20, noise -65, no echo measured, Gmin
	79, 127, 41, 38, 0b1111_0000, 0, 0, 60, // R, no external R, MOS-LQ, MOS-CQ; configuration, nominal
	0, 120, 1, 44, // maximum, absolute maximum
}

func read(t *testing.T, packet []byte) *rtcp.ExtendedReport {
	t.Helper()
	var xr rtcp.ExtendedReport
	if err := xr.Unmarshal(packet); err != nil {
		t.Fatal(err)
	}
	return &xr
}

func TestAStrangersMetricsAreRead(t *testing.T) {
	got := measured(read(t, strangersBlock).Reports[0].(*rtcp.VoIPMetricsReportBlock))
	n := func(v float64) *float64 { return &v }
	want := &Figures{
		LossPercent: n(25), DiscardPercent: n(12.5), BurstPercent: n(50), GapPercent: n(2 * 100 / 256.), BurstMs: n(256), GapMs: n(8192),
		RTTMs: n(150), EndSystemMs: n(90), BufferMs: n(60), R: n(79), MOSLQ: n(4.1), MOSCQ: n(3.8), SignalDBm0: n(-20), NoiseDBm0: n(-65),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %s\nwant %s", figures(got), figures(want))
	}
}

// figures prints what is there.
func figures(f *Figures) (text string) {
	v := reflect.ValueOf(*f)
	for i := range v.NumField() {
		if p := v.Field(i).Interface().(*float64); p != nil {
			text += " " + v.Type().Field(i).Name + "=" + time.Duration(*p*1e6).String()
		}
	}
	return text
}

func TestWhatIsNotMeasuredIsAbsent(t *testing.T) {
	for says, c := range map[string]struct {
		change func(*rtcp.VoIPMetricsReportBlock)
		absent func(*Figures) []*float64
	}{
		"no round trip yet":       {func(b *rtcp.VoIPMetricsReportBlock) { b.RoundTripDelay = 0 }, func(f *Figures) []*float64 { return []*float64{f.RTTMs} }},
		"no end system delay":     {func(b *rtcp.VoIPMetricsReportBlock) { b.EndSystemDelay = 0 }, func(f *Figures) []*float64 { return []*float64{f.EndSystemMs} }},
		"no jitter buffer":        {func(b *rtcp.VoIPMetricsReportBlock) { b.JBNominal = 0 }, func(f *Figures) []*float64 { return []*float64{f.BufferMs} }},
		"no levels":               {func(b *rtcp.VoIPMetricsReportBlock) { b.SignalLevel, b.NoiseLevel = 127, 127 }, func(f *Figures) []*float64 { return []*float64{f.SignalDBm0, f.NoiseDBm0} }},
		"no R":                    {func(b *rtcp.VoIPMetricsReportBlock) { b.RFactor = 127 }, func(f *Figures) []*float64 { return []*float64{f.R} }},
		"an R that cannot be":     {func(b *rtcp.VoIPMetricsReportBlock) { b.RFactor = 120 }, func(f *Figures) []*float64 { return []*float64{f.R} }},
		"no MOS":                  {func(b *rtcp.VoIPMetricsReportBlock) { b.MOSLQ, b.MOSCQ = 127, 127 }, func(f *Figures) []*float64 { return []*float64{f.MOSLQ, f.MOSCQ} }},
		"a MOS that cannot be":    {func(b *rtcp.VoIPMetricsReportBlock) { b.MOSLQ, b.MOSCQ = 0, 51 }, func(f *Figures) []*float64 { return []*float64{f.MOSLQ, f.MOSCQ} }},
		"bursts by other lengths": {func(b *rtcp.VoIPMetricsReportBlock) { b.Gmin = 8 }, func(f *Figures) []*float64 { return []*float64{f.BurstPercent, f.GapPercent, f.BurstMs, f.GapMs} }},
	} {
		block := read(t, strangersBlock).Reports[0].(*rtcp.VoIPMetricsReportBlock)
		whole := reflect.ValueOf(*measured(block))
		c.change(block)
		f := measured(block)
		for _, p := range c.absent(f) {
			if p != nil {
				t.Errorf("%s: read as %v", says, *p)
			}
		}
		present := 0
		for i := range whole.NumField() {
			if !whole.Field(i).IsNil() && !reflect.ValueOf(*f).Field(i).IsNil() {
				present++
			}
		}
		if want := 14 - len(c.absent(f)); present != want {
			t.Errorf("%s: %d figures are left, want %d", says, present, want)
		}
	}
}

// What is not measured yet is said to be so, in the RFC's own words for it.
func TestTheFirstMetricsClaimNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		a, b := n.open(t, alice), n.open(t, bob)
		start(t, a, agreed(bob), Silence{})
		start(t, b, agreed(alice), Silence{})
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		b.mu.Lock()
		block := b.metrics()
		b.mu.Unlock()
		if block.RFactor != 127 || block.MOSLQ != 127 || block.MOSCQ != 127 || block.ExtRFactor != 127 || block.SignalLevel != 127 || block.NoiseLevel != 127 || block.RERL != 127 ||
			block.RoundTripDelay != 0 || block.LossRate != 0 || block.Gmin != 16 || block.SSRC != a.Stats().LocalSSRC {
			t.Errorf("%+v", block)
		}
		if block.JBMaximum <= block.JBNominal || block.JBAbsMax <= block.JBMaximum {
			t.Errorf("jitter buffer of %d, at most %d, never more than %d ms", block.JBNominal, block.JBMaximum, block.JBAbsMax)
		}
	})
}

func TestMetricsGoToWhoAsksForThem(t *testing.T) {
	for _, asks := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n, blocks := newNetwork(), 0
			n.impair = func(from, to netip.AddrPort, b []byte) []time.Duration {
				if from.Port() != 10001 {
					return []time.Duration{0}
				}
				packets, err := rtcp.Unmarshal(b)
				if err != nil {
					t.Error(err)
				}
				for _, p := range packets {
					if xr, ok := p.(*rtcp.ExtendedReport); ok && len(xr.Reports) == 1 {
						blocks++
					}
				}
				return []time.Duration{0}
			}
			a, b := n.open(t, alice), n.open(t, bob)
			bobs := agreed(bob)
			bobs.VoIPMetrics = asks
			start(t, a, bobs, Silence{})
			start(t, b, agreed(alice), Silence{})
			time.Sleep(20 * time.Second)
			synctest.Wait()
			st := b.Stats()
			n.mu.Lock()
			defer n.mu.Unlock()
			if (blocks > 2) != asks || st.Extended != asks || st.Out == nil || (st.Out.MOSCQ != nil) != asks || st.Out.LossPercent == nil || st.Out.JitterMs == nil {
				t.Errorf("asked: %v; %d blocks were sent; %+v", asks, blocks, st.Out)
			}
		})
	}
}

// FuzzExtendedReport reads whatever comes under the type of extended reports.
func FuzzExtendedReport(f *testing.F) {
	f.Add(strangersBlock)
	f.Add(append(append([]byte{}, strangersBlock[:8]...), 4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8, 5, 0, 0, 3, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add([]byte{0x80, 207, 0, 1, 0, 0, 0, 7})
	s := fuzzed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 4 {
			b[0], b[1] = 0x80, 207
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4-1))
		}
		if len(b) >= 16 && b[8] == 7 {
			binary.BigEndian.PutUint32(b[12:], s.out.header.SSRC)
		}
		s.reports.metrics = nil
		s.readReports(b, s.epoch)
		m := s.reports.metrics
		if m == nil {
			return
		}
		for what, c := range map[string]struct {
			v           *float64
			least, most float64
		}{
			"loss": {m.LossPercent, 0, 100}, "bursts": {m.BurstPercent, 0, 100}, "burst": {m.BurstMs, 0, 65535}, "R": {m.R, 0, 100}, "MOS": {m.MOSCQ, 1, 5},
			"round trip": {m.RTTMs, 1, 65535}, "signal": {m.SignalDBm0, -128, 126},
		} {
			if c.v != nil && !(*c.v >= c.least && *c.v <= c.most) {
				t.Errorf("%s is %v", what, *c.v)
			}
		}
	})
}
