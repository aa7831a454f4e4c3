package codec

// g729Postfilter makes decoded speech sound less rough: it emphasises pitch and formants, evens out the tilt and the level that this
// brings (Annex A, §A.4.2), and takes away what is below 100 Hz (§4.2.5).
type g729Postfilter struct {
	residual [g729MaxLag + g729Sub]int32 // of the short-term filter's zeros, the past before the subframe
	small    [g729MaxLag + g729Sub]int32 // a quarter of it
	memory   g729Lines                   // the short-term filter's last outputs
	tilt     int32                       // the tilt filter's last input
	level    int32                       // the last gain, in units of 2⁻¹²
	x        [2]int32                    // the high-pass filter's last inputs
	y        [2]int32                    // and its last outputs
}

func newG729Postfilter() g729Postfilter { return g729Postfilter{level: 4096} }

// filter makes the samples of a frame; speech has ten of the frame before in front.
func (p *g729Postfilter) filter(speech *[g729Order + g729Samples]int32, filters *[2]g729Filter, lags *[2]int, voiced bool, out *[g729Samples]int16) {
	var sub [g729Sub]int32
	for i := range filters {
		zeros, poles := filters[i].weighted(18022), filters[i].weighted(22938) // 0.55 and 0.7
		residual, small := p.residual[g729MaxLag:], p.small[g729MaxLag:]
		zeros.residual(residual, speech[i*g729Sub:])
		for k, v := range residual {
			small[k] = v >> 2
		}
		if voiced {
			p.pitch(lags[i], &sub)
		} else {
			copy(sub[:], residual)
		}
		p.flatten(&zeros, &poles, &sub)
		poles.synthesize(sub[:], sub[:], &p.memory)
		copy(p.memory[:], sub[g729Sub-g729Order:])
		p.match(speech[g729Order+i*g729Sub:][:g729Sub], &sub)
		copy(p.residual[:g729MaxLag], p.residual[g729Sub:])
		copy(p.small[:g729MaxLag], p.small[g729Sub:])
		p.highPass(&sub, out[i*g729Sub:])
	}
}

// pitch adds the residual of a lag ago, where that is like it (§A.4.2.1).
func (p *g729Postfilter) pitch(lag int, out *[g729Sub]int32) {
	const now = g729MaxLag
	last := min(lag+3, g729MaxLag)
	first := min(lag-3, last-6)
	best, at := int32(-1<<31), first
	for l := first; l <= last; l++ {
		cross := correlation(p.small[now:], p.small[now-l:], 0)
		if cross > best {
			best, at = cross, l
		}
	}
	past, here := correlation(p.small[now-at:now-at+g729Sub], p.small[now-at:], 1), correlation(p.small[now:], p.small[now:], 1)
	best = max(best, 0)
	n := norm(max(best, past, here))
	cross, energy, own := upper(best<<n), upper(past<<n), upper(here<<n)
	residual := p.residual[now:]
	if mac(0, cross, cross) < mac(0, energy, own)>>1 {
		copy(out[:], residual)
		return
	}
	keep, add := int32(21845), int32(10923) // 1/1.5 and 0.5/1.5
	if cross <= energy {
		cross, energy = scaled(cross, 16384)>>1, energy>>1
		keep, add = 32767, 0
		if sum := cross + energy; sum > 0 {
			add = ratio(cross, sum)
			keep = 32767 - add
		}
	}
	for k, v := range residual {
		out[k] = saturate(scaled(v, keep) + scaled(p.residual[now-at+k], add))
	}
}

// correlation is start + 2·Σ a·b over a.
func correlation(a, b []int32, start int32) int32 {
	for i, v := range a {
		start = mac(start, v, b[i])
	}
	return start
}

// flatten takes the tilt of the short-term filter out before it is applied (§A.4.2.3).
func (p *g729Postfilter) flatten(zeros, poles *g729Filter, sub *[g729Sub]int32) {
	const length = 22
	var h [length]int32
	copy(h[:], zeros[:])
	poles.synthesize(h[:], h[:], &g729Lines{})
	own, next := correlation(h[:], h[:], 0)>>16, correlation(h[:length-1], h[1:], 0)>>16
	if next <= 0 {
		next = 0
	} else {
		next = ratio(scaled(next, 26214), own) // 0.8
	}
	last := sub[g729Sub-1]
	for k := g729Sub - 1; k > 0; k-- {
		sub[k] = saturate(sub[k] - scaled(sub[k-1], next))
	}
	sub[0] = saturate(sub[0] - scaled(p.tilt, next))
	p.tilt = last
}

// match gives what came out the level of what went in, with a gain that moves slowly (§A.4.2.4).
func (p *g729Postfilter) match(in []int32, out *[g729Sub]int32) {
	after := quarterEnergy(out[:])
	if after == 0 {
		p.level = 0
		return
	}
	n := norm(after) - 1
	after = upper(shl(after, n))
	target := int32(0)
	if before := quarterEnergy(in); before != 0 {
		m := norm(before)
		v := shl(ratio(after, upper(before<<m)), 7)
		v = shl(v, m-n)
		target = scaled(upper(shl(inverseRoot(v), 9)), 3276) // a tenth
	}
	for k, v := range out {
		p.level = saturate(scaled(p.level, 29491) + target)
		out[k] = shl(mac(0, v, p.level), 3) >> 16
	}
}

func quarterEnergy(x []int32) int32 {
	acc := int32(0)
	for _, v := range x {
		v >>= 2
		acc = mac(acc, v, v)
	}
	return acc
}

// highPass is the last filter; it also undoes the halving of the encoder's first.
func (p *g729Postfilter) highPass(sub *[g729Sub]int32, out []int16) {
	for k, v := range sub {
		acc := clamp32(int64(longTimes(p.y[0], 15836)) + int64(longTimes(p.y[1], -7667)))
		acc = mac(mac(mac(acc, v, 7699), p.x[0], -15398), p.x[1], 7699)
		acc = shl(acc, 2)
		p.x, p.y = [2]int32{v, p.x[0]}, [2]int32{acc, p.y[0]}
		out[k] = int16(upper(shl(acc, 1)))
	}
}
