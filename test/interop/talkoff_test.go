package interop

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/dtmf"
)

// TestTalkOff lets five voices read the product's own documentation, ten minutes of it, to the detector of digits. It must hear none.
func TestTalkOff(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	const rate = 8000
	voices := []string{"en-us", "en-gb+f2", "de+m3", "es+f4", "en-us+croak"}
	var heard time.Duration
	digits := ""
	for i := 0; heard < 10*time.Minute && i < 4*len(voices); i++ {
		page, err := os.ReadFile(pages[i%len(pages)])
		must(t, err)
		text := strings.NewReplacer("|", ", ", "`", "", "#", "", "*", "").Replace(string(page))
		text = text[:min(len(text), 4000)]
		said := stranger{}.run(t, []string{"espeak-ng", "--stdout", "-v", voices[i%len(voices)], "-s", strconv.Itoa(140 + 10*(i%5)), text}, nil)
		pcm := samplesOf(stranger{}.run(t, []string{"ffmpeg", "-v", "error", "-i", "-", "-f", "s16le", "-ar", strconv.Itoa(rate), "-ac", "1", "-"}, said))
		dtmf.NewDetector(rate).Push(pcm, func(d rune) { digits += string(d) })
		heard += time.Duration(len(pcm)) * time.Second / rate
	}
	if heard < 10*time.Minute || digits != "" {
		t.Errorf("in %v of speech: %q", heard, digits)
	}
	outcome(t, "espeak-ng", "%v of speech, %d digits heard in it", heard.Round(time.Second), len(digits))
}
