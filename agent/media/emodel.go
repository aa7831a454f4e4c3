package media

import "math"

// EModel is the transmission rating model of ITU-T G.107 (06/2015) with all its parameters but those below at their default values
// (table 2 of G.107): two handsets in quiet rooms, echo well cancelled.
type EModel struct {
	Ie          float64 // equipment impairment of the codec (G.113 Appendix I)
	Bpl         float64 // packet-loss robustness of the codec (G.113 Appendix I)
	LossPercent float64 // packets lost or discarded, 0..100
	BurstR      float64 // burst ratio; 0 or 1 = random loss
	DelayMs     float64 // one way, mouth to ear
}

// Default values of G.107 table 2, in dB where not said otherwise.
const (
	sendLoudness    = 8   // SLR
	receiveLoudness = 2   // RLR
	sidetone        = 15  // STMR
	listenerTone    = 18  // LSTR = STMR + Dr
	talkerD         = 3   // Ds
	talkerEcho      = 65  // TELR
	weightedEcho    = 110 // WEPL
	quantisation    = 1   // qdu
	circuitNoise    = -70 // Nc, dBm0p
	noiseFloor      = -64 // Nfor, dBmp
	sendRoom        = 35  // Ps, dB(A)
	receiveRoom     = 35  // Pr, dB(A)
)

// R is the transmission rating, 0 to 100 (G.107 (7-1)). With no loss, no delay and no codec impairment it is 93.2.
func (e EModel) R() float64 {
	noise := noisePower()
	ro := 15 - 1.5*(sendLoudness+noise) // (7-2)
	r := ro - simultaneous(ro, noise, e.DelayMs) - e.delay(ro, noise) - e.equipment()
	return min(max(r, 0), 100)
}

// MOS is the mean opinion score of a conversation, 1 to 4.5 (G.107 Annex B, (B-4)).
func (e EModel) MOS() float64 {
	r := e.R()
	return max(1+0.035*r+r*(r-60)*(100-r)*7e-6, 1)
}

// noisePower is No, the sum of all noise (7-3) to (7-7), dBm0p.
func noisePower() float64 {
	const olr = sendLoudness + receiveLoudness
	pre := receiveRoom + 10*math.Log10(1+math.Pow(10, (10.0-listenerTone)/10))
	nos := sendRoom - sendLoudness - talkerD - 100 + 0.004*math.Pow(sendRoom-olr-talkerD-14, 2)
	nor := receiveLoudness - 121 + pre + 0.008*math.Pow(pre-35, 2)
	nfo := float64(noiseFloor + receiveLoudness)
	sum := 0.0
	for _, n := range []float64{circuitNoise, nos, nor, nfo} {
		sum += math.Pow(10, n/10)
	}
	return 10 * math.Log10(sum)
}

// simultaneous is Is, what impairs speech while it is spoken (7-8) to (7-17).
func simultaneous(ro, noise, delayMs float64) float64 {
	const olr = sendLoudness + receiveLoudness
	x := olr + 0.2*(64+noise-receiveLoudness)
	loud := 20 * (math.Pow(1+math.Pow(x/8, 8), 1.0/8) - x/8)

	side := -10 * math.Log10(math.Pow(10, -sidetone/10.0)+math.Exp(-delayMs/4)*math.Pow(10, -talkerEcho/10.0))
	tone := 12*math.Pow(1+math.Pow((side-13)/6, 8), 1.0/8) -
		28*math.Pow(1+math.Pow((side+1)/19.4, 35), 1.0/35) -
		13*math.Pow(1+math.Pow((side-3)/33, 13), 1.0/13) + 29

	q := 37 - 15*math.Log10(quantisation)
	g := 1.07 + 0.258*q + 0.0602*q*q
	y, z := (ro-100)/15+46/8.4-g/9, 46.0/30-g/40
	quantising := 15 * math.Log10(1+math.Pow(10, y)+math.Pow(10, z))
	return loud + tone + quantising
}

// delay is Id: talker echo, listener echo and absolute delay (7-18) to (7-28), with T = Ta and Tr = 2T.
func (e EModel) delay(ro, noise float64) float64 {
	t := max(e.DelayMs, 0)
	terv := talkerEcho - 40*math.Log10((1+t/10)/(1+t/150)) + 6*math.Exp(-0.3*t*t)
	roe, re := -1.5*(noise-receiveLoudness), 80+2.5*(terv-14)
	talker := ((roe-re)/2 + math.Sqrt(math.Pow(roe-re, 2)/4+100) - 1) * (1 - math.Exp(-t))

	rle := 10.5 * (weightedEcho + 7) * math.Pow(2*t+1, -0.25)
	listener := (ro-rle)/2 + math.Sqrt(math.Pow(ro-rle, 2)/4+169)

	absolute := 0.0
	if t > 100 {
		x := math.Log2(t / 100)
		absolute = 25 * (math.Pow(1+math.Pow(x, 6), 1.0/6) - 3*math.Pow(1+math.Pow(x/3, 6), 1.0/6) + 2)
	}
	return talker + listener + absolute
}

// equipment is Ie,eff: the codec under packet loss (7-29).
func (e EModel) equipment() float64 {
	loss, burst := min(max(e.LossPercent, 0), 100), max(e.BurstR, 1)
	if loss == 0 {
		return e.Ie
	}
	return e.Ie + (95-e.Ie)*loss/(loss/burst+e.Bpl)
}
