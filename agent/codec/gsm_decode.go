package codec

// gsmLongest is the longest lag of the long-term predictor.
const gsmLongest = 120

// gsmSynthesis turns transmitted parameters into speech (EN 300 961 §5.3).
type gsmSynthesis struct {
	lag      int                            // the last valid one
	residual [gsmLongest + gsmSamples]int32 // reconstructed short-term residual: the past, then the frame
	ratios   [8]int32                       // of the frame before
	lattice  [9]int32                       // of the short-term synthesis filter
	emphasis int32                          // last sample of the de-emphasis
}

func newGSMSynthesis() gsmSynthesis { return gsmSynthesis{lag: 40} }

func (g *gsmSynthesis) decode(f *gsmFrame, pcm *[gsmSamples]int16) {
	copy(g.residual[:gsmLongest], g.residual[gsmSamples:])
	for i := range f.sub {
		g.excite(&f.sub[i], gsmLongest+i*gsmSubframe)
	}
	ratios, from := gsmRatios(&f.lar), 0
	for i, until := range gsmStretch {
		g.speak(gsmReflection(i, &g.ratios, &ratios), g.residual[gsmLongest+from:gsmLongest+until], pcm[from:until])
		from = until
	}
	g.ratios = ratios
}

// excite is the long-term synthesis of the subframe at a place in residual (§5.3.2).
func (g *gsmSynthesis) excite(e *gsmExcitation, at int) {
	if e.lag >= gsmSubframe && e.lag <= gsmLongest {
		g.lag = int(e.lag)
	}
	var pulses [gsmSubframe]int32
	gsmUnquantise(e, &pulses)
	gain := gsmGain[e.gain&3]
	for k, p := range pulses {
		g.residual[at+k] = saturate(p + rounded(g.residual[at+k-g.lag], gain))
	}
}

// speak is the short-term synthesis and the post-processing of a stretch (§5.3.4, §5.3.5).
func (g *gsmSynthesis) speak(r [8]int32, residual []int32, pcm []int16) {
	v := &g.lattice
	for k, s := range residual {
		for i := 7; i >= 0; i-- {
			s = saturate(s - rounded(v[i], r[i]))
			v[i+1] = saturate(v[i] + rounded(s, r[i]))
		}
		v[0] = s
		g.emphasis = saturate(s + rounded(g.emphasis, 28180))
		pcm[k] = int16(saturate(g.emphasis<<1) &^ 7)
	}
}
