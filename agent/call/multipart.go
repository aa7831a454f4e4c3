package call

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/emiago/sipgo/sip"
)

const mediaMixed = "multipart/mixed"

// mostParts of a body are looked at.
const mostParts = 16

// part of a body of several.
type part struct {
	kind     string // media type, in lower case
	optional bool
	body     []byte
}

var errParts = errors.New("no multipart body")

// parts takes a multipart/mixed body apart, which every user agent has to know (RFC 5621
// §3.1): carriers put signalling of the telephone network beside the description.
func parts(m interface {
	Body() []byte
	ContentType() *sip.ContentTypeHeader
}) ([]part, error) {
	kind, params, err := mime.ParseMediaType(m.ContentType().Value())
	if err != nil || kind != mediaMixed || params["boundary"] == "" {
		return nil, errParts
	}
	var list []part
	reader := multipart.NewReader(bytes.NewReader(m.Body()), params["boundary"])
	for len(list) <= mostParts {
		p, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) && len(list) > 0 {
			return list, nil
		}
		if err != nil {
			return nil, errParts
		}
		body, err := io.ReadAll(p)
		if err != nil {
			return nil, errParts
		}
		kind, _, _ := strings.Cut(p.Header.Get("Content-Type"), ";")
		list = append(list, part{strings.ToLower(strings.TrimSpace(kind)), optional(p.Header.Get("Content-Disposition")), body})
	}
	return nil, errParts
}
