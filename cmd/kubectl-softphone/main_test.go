package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/softphone-operator/softphone-operator/cmd/kubectl-softphone/offline"
)

func TestExitCode(t *testing.T) {
	tests := map[string]struct {
		err  error
		want int
	}{
		"success":                         {nil, 0},
		"any error":                       {errors.New("x"), 1},
		"a status that needs no words":    {offline.Status{Code: 1}, 1},
		"a status with an error":          {offline.Status{Code: 2, Err: errors.New("x")}, 2},
		"a status wrapped by another one": {fmt.Errorf("x: %w", offline.Status{Code: 2, Err: errors.New("y")}), 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exit code %d, want %d", got, tt.want)
			}
		})
	}
}

// TestCommandsAreThere: both halves are behind one name.
func TestCommandsAreThere(t *testing.T) {
	root := rootCommand()
	for _, name := range []string{"status", "call", "validate", "merge", "diff"} {
		if cmd, _, err := root.Find([]string{name}); err != nil || cmd.Name() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
