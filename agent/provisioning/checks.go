package provisioning

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/softphone-operator/softphone-operator/check"
)

// Check is one check in force.
type Check struct {
	// Name is the file's name without .check.json.
	Name  string
	Check check.Check
	// Hash of the file (delivery.Hasher.Document).
	Hash string
}

// namedCheck is a check as its file calls it.
type namedCheck struct {
	name  string
	check check.Check
}

func readCheck(name, file string, content []byte) (namedCheck, error) {
	c, err := check.Parse(content)
	if err != nil {
		return namedCheck{}, placed(file, content, err)
	}
	return namedCheck{name, c}, nil
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
