package codec

import "math/bits"

// The 32-bit half of the arithmetic G.729 is written in: accumulators that saturate, logarithms, powers and roots by table. Where the
// recommendation says how a number is rounded, every decoder makes the same samples of the same bits.

// clamp32 is the nearest 32-bit value.
func clamp32(v int64) int32 {
	if w := int32(v); int64(w) == v {
		return w
	}
	if v < 0 {
		return -1 << 31
	}
	return 1<<31 - 1
}

// mac is acc + 2ab, of 16-bit factors.
func mac(acc, a, b int32) int32 { return clamp32(int64(acc) + 2*int64(a)*int64(b)) }

// msu is acc - 2ab.
func msu(acc, a, b int32) int32 { return clamp32(int64(acc) - 2*int64(a)*int64(b)) }

// shl shifts left, or right when n is negative.
func shl(v int32, n int) int32 {
	switch {
	case n <= 0:
		return v >> min(-n, 31)
	case n > 31 && v != 0:
		n = 31
	}
	return clamp32(int64(v) << n)
}

// shr16 shifts a 16-bit value right by n and rounds to the nearest; left when n is negative.
func shr16(v int32, n int) int32 {
	switch {
	case n < 0:
		return saturate(shl(v, -n))
	case n > 15:
		return 0
	case n == 0:
		return v
	}
	return (v + 1<<(n-1)) >> n
}

// upper is the upper half of v, rounded.
func upper(v int32) int32 { return clamp32(int64(v)+1<<15) >> 16 }

// norm is by how much v can be shifted left before it overflows.
func norm(v int32) int {
	switch {
	case v == 0:
		return 0
	case v < 0:
		v = ^v
	}
	return bits.LeadingZeros32(uint32(v)) - 1
}

// longTimes is v times a factor in units of 2⁻¹⁵, v taken in two parts of 16 and 15 bits.
func longTimes(v, factor int32) int32 {
	hi := v >> 16
	lo := v>>1 - hi<<15
	return clamp32(2*int64(hi)*int64(factor) + 2*int64(scaled(lo, factor)))
}

// ratio is a/b in units of 2⁻¹⁵, for 0 <= a <= b.
func ratio(a, b int32) int32 {
	if a >= b {
		return 32767
	}
	return a << 15 / b
}

// log2 is the logarithm of v: its whole part, and the rest in units of 2⁻¹⁵. Of what is not positive, nothing.
func log2(v int32) (whole, rest int32) {
	if v <= 0 {
		return 0, 0
	}
	n := norm(v)
	v <<= n
	i, a := v>>25-32, v>>10&0x7fff
	y := int32(g729Log[i])<<16 - 2*(int32(g729Log[i])-int32(g729Log[i+1]))*a
	return int32(30 - n), y >> 16
}

// pow2 is 2^(whole + rest·2⁻¹⁵).
func pow2(whole, rest int32) int32 {
	i, a := rest>>10, rest<<5&0x7fff
	y := int32(g729Pow[i])<<16 - 2*(int32(g729Pow[i])-int32(g729Pow[i+1]))*a
	n := 30 - int(whole)
	if n <= 0 {
		return shl(y, -n)
	}
	if n > 31 {
		return 0
	}
	return y>>n + y>>(n-1)&1
}

// inverseRoot is 1/√v in units of 2⁻³⁰.
func inverseRoot(v int32) int32 {
	if v <= 0 {
		return 1<<30 - 1
	}
	n := norm(v)
	v <<= n
	n = 30 - n
	if n&1 == 0 {
		v >>= 1
	}
	i, a := v>>25-16, v>>10&0x7fff
	y := int32(g729Root[i])<<16 - 2*(int32(g729Root[i])-int32(g729Root[i+1]))*a
	return y >> (n>>1 + 1)
}

// root is √(v/2), of what is positive.
func root(v int32) int32 {
	r := int32(0)
	for bit := int32(1 << 14); bit > 1; bit >>= 1 {
		if t := r + bit; v >= mac(0, t, t) {
			r = t
		}
	}
	return r
}

// g729Dice are the recommendation's random numbers: 16 bits each.
type g729Dice int16

func (d *g729Dice) next() int32 {
	*d = g729Dice(int32(*d)*31821 + 13849)
	return int32(*d)
}
