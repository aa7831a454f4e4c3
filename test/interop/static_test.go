package interop

import (
	"bytes"
	"debug/elf"
	"os"
	"testing"
)

// TestTheAgentIsOneStaticProgramWithOpus: its image holds nothing else, so
// nothing can be loaded at run time, libopus included.
func TestTheAgentIsOneStaticProgramWithOpus(t *testing.T) {
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the agent has a %v segment: it needs a dynamic linker", p.Type)
		}
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	// What opus_strerror says, and no Go program.
	if !bytes.Contains(content, []byte("corrupted stream")) {
		t.Error("libopus is not in the agent (Debian package libopus-dev)")
	}
}
