package codec

import "testing"

// What is asked for, what each codec makes of it, and that a packet of it is whole: coded at once and announced as what it decodes to.
func TestEveryCodecFillsEveryPacketTime(t *testing.T) {
	asked := [...]int{10, 20, 30, 40, 60}
	rows := map[int][len(asked)]int{
		0:          {10, 20, 30, 40, 60},
		8:          {10, 20, 30, 40, 60},
		9:          {10, 20, 30, 40, 60},
		3:          {20, 20, 20, 40, 60},
		g729Number: {10, 20, 30, 40, 60},
		ilbcNumber: {20, 20, 30, 40, 60}, // frames of 30 ms where they fill it, else of 20 (RFC 3952 §5)
		opusNumber: {10, 20, 20, 40, 60}, // a packet has frames of one length, and none is 30 ms long (RFC 6716 §2.1.4, §3.2)
	}
	for _, spec := range specs {
		want, ok := rows[spec.Number]
		if !spec.Offered {
			continue
		}
		if !ok {
			t.Errorf("%s has no row", spec.Format)
		}
		for i, ms := range asked {
			f := Formats([]int{spec.Number}, Options{PTime: ms})[0]
			f = Agree(f, f)
			got := PacketTime(f, ms)
			if got != want[i] {
				t.Errorf("%s: %d ms when %d are asked for, want %d", f, got, ms, want[i])
			}
			fillsPackets(t, f, got)
		}
	}
}

// fillsPackets codes and decodes a second of packets of ms each.
func fillsPackets(t *testing.T, f Format, ms int) {
	t.Helper()
	enc, err := NewEncoder(f)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := NewDecoder(f)
	if err != nil {
		t.Fatal(err)
	}
	n := enc.Rate() * ms / 1000
	pcm := sine(440, 0.5, enc.Rate(), enc.Rate())
	var heard []int16
	for ; len(pcm) >= n; pcm = pcm[n:] {
		payload, err := enc.Encode(nil, pcm[:n])
		if err != nil || len(payload) == 0 {
			t.Fatalf("%s: %d ms make %d bytes (%v)", f, ms, len(payload), err)
		}
		from, announced, length := len(heard), dec.Samples(payload), dec.Rate()*ms/1000
		if heard, err = dec.Decode(heard, payload); err != nil || announced != length || len(heard)-from != length {
			t.Fatalf("%s: %d ms announce %d samples and are %d, want %d (%v)", f, ms, announced, len(heard)-from, length, err)
		}
	}
	if snr := fitDB(heard, 440, dec.Rate()); snr < 10 {
		t.Errorf("%s: in packets of %d ms the tone comes back with %.1f dB SNR", f, ms, snr)
	}
}
