package codec

// The 16-bit arithmetic the ITU and ETSI write their codecs in. Values are carried in 32 bits; what a name promises about their
// range is kept by saturating where the texts do.

// saturate is the nearest 16-bit value.
func saturate(v int32) int32 { return min(max(v, -32768), 32767) }

// scaled is v times a factor in units of 2⁻¹⁵, rounded down.
func scaled(v, factor int32) int32 { return v * factor >> 15 }

// rounded is v times a factor in units of 2⁻¹⁵, rounded to the nearest.
func rounded(v, factor int32) int32 { return (v*factor + 1<<14) >> 15 }
