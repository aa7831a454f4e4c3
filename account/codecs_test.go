package account

import (
	"slices"
	"strconv"
	"testing"
)

// TestEveryCodecOfTheSchemaHasAName holds the names against the numbers that the
// schema lets a document list, both ways.
func TestEveryCodecOfTheSchemaHasAName(t *testing.T) {
	for _, listed := range slices.Concat(audioCodecs, videoCodecs) {
		number, err := strconv.Atoi(listed)
		if err != nil {
			t.Fatal(err)
		}
		name := CodecName(number)
		if back, ok := CodecNumber(name); name == "" || !ok || back != number {
			t.Errorf("codec %d is called %q, which is number %d", number, name, back)
		}
	}
	if len(codecNames) != len(audioCodecs)+len(videoCodecs) {
		t.Errorf("%d codecs have names, the schema lists %d", len(codecNames), len(audioCodecs)+len(videoCodecs))
	}
	if name := CodecName(34); name != "" {
		t.Errorf("codec 34 is called %q, and nobody speaks it", name)
	}
	if number, ok := CodecNumber("speex"); ok {
		t.Errorf("speex has the number %d", number)
	}
}
