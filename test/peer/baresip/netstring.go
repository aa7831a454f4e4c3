package baresip

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxMessage bounds what baresip may say at once.
const maxMessage = 1 << 20

// netstrings reads LENGTH:BYTES, frames.
type netstrings struct{ r *bufio.Reader }

func newNetstrings(r io.Reader) netstrings { return netstrings{bufio.NewReader(r)} }

func (n netstrings) next() ([]byte, error) {
	length, err := n.r.ReadString(':')
	if err != nil {
		return nil, err
	}
	size, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil || size < 0 || size > maxMessage {
		return nil, fmt.Errorf("netstring of length %q", length)
	}
	body := make([]byte, size+1)
	if _, err := io.ReadFull(n.r, body); err != nil {
		return nil, err
	}
	if body[size] != ',' {
		return nil, fmt.Errorf("netstring ends with %q", body[size])
	}
	return body[:size], nil
}
