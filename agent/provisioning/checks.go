package provisioning

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Check is one check in force.
type Check struct {
	// Name is the file's name without .check.json.
	Name  string
	Check check.Check
	// Hash of the file (delivery.Hasher.Document).
	Hash string
}

// checkFile is the last good content of a check's file.
type checkFile struct {
	name    string
	content []byte
	check   check.Check
}

// takeChecks judges every check's file anew when its bytes changed.
func (s *Source) takeChecks(raw rawFiles) {
	for file := range s.checks {
		if _, there := raw.content[file]; !there && raw.failed[file] == nil {
			delete(s.checks, file)
		}
	}
	for file, err := range raw.failed {
		if _, is := delivery.CheckName(file); is {
			s.reject(file, err)
		}
	}
	for file, content := range raw.content {
		name, is := delivery.CheckName(file)
		if !is {
			continue
		}
		if last, ok := s.checks[file]; ok && bytes.Equal(last.content, content) {
			continue
		}
		c, err := check.Parse(content)
		if err != nil {
			s.reject(file, placed(file, content, err))
			continue
		}
		s.checks[file] = checkFile{name: name, content: content, check: c}
	}
}

// placed says where in a JSON file an error is.
func placed(file string, content []byte, err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		line, col := position(content, syntax.Offset)
		return fmt.Errorf("%s:%d:%d: %w", file, line, col, err)
	}
	return fmt.Errorf("%s: %w", file, err)
}
