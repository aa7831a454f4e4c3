package ua

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFramesOfAStream(t *testing.T) {
	message := func(body string) string {
		return fmt.Sprintf("OPTIONS sip:a@b SIP/2.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	huge := "OPTIONS sip:a@b SIP/2.0\r\nSubject: " + strings.Repeat("x", mostMessage)
	for says, row := range map[string]struct {
		stream string
		want   []string
		err    error // io.EOF when nil
	}{
		"one message with a body":                  {message("hello"), []string{message("hello")}, nil},
		"two messages in one segment":              {message("1") + message(""), []string{message("1"), message("")}, nil},
		"a double CRLF is a ping":                  {"\r\n\r\n" + message(""), []string{"PING", message("")}, nil},
		"a single CRLF is a pong":                  {message("") + "\r\n" + message(""), []string{message(""), "PONG", message("")}, nil},
		"the compact form counts":                  {"BYE sip:a SIP/2.0\r\nl:2\r\n\r\nab", []string{"BYE sip:a SIP/2.0\r\nl:2\r\n\r\nab"}, nil},
		"half a message at the end is none":        {message("") + "OPTIONS sip:a", []string{message("")}, nil},
		"half a body is none":                      {"BYE sip:a SIP/2.0\r\nl: 5\r\n\r\nab", nil, nil},
		"no Content-Length has no end":             {"BYE sip:a SIP/2.0\r\nTo: a\r\n\r\n", nil, errFraming},
		"two lengths that differ have none either": {"BYE sip:a SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\nab", nil, errFraming},
		"the same length twice is one":             {"BYE sip:a SIP/2.0\r\nl: 1\r\nl: 1\r\n\r\na", []string{"BYE sip:a SIP/2.0\r\nl: 1\r\nl: 1\r\n\r\na"}, nil},
		"a negative length is refused":             {"BYE sip:a SIP/2.0\r\nl: -1\r\n\r\n", nil, errFraming},
		"a length beyond all bounds is refused":    {"BYE sip:a SIP/2.0\r\nl: 4294967295\r\n\r\n", nil, errFraming},
		"an oversize body is refused unread":       {"BYE sip:a SIP/2.0\r\nl: 70000\r\n\r\n", nil, errTooLarge},
		"headers without end are refused":          {huge, nil, errTooLarge},
	} {
		for how, reader := range map[string]io.Reader{
			"whole": strings.NewReader(row.stream), "byte by byte": iotest.OneByteReader(strings.NewReader(row.stream)),
		} {
			if how == "byte by byte" && slices.Contains(row.want, "PING") {
				continue // a ping that comes in halves is two single CRLFs; the stream pairs them
			}
			t.Run(says+", "+how, func(t *testing.T) {
				f := framer{r: reader}
				var got []string
				var err error
				for {
					var u unit
					var b []byte
					if u, b, err = f.next(); err != nil {
						break
					}
					got = append(got, map[unit]string{unit(0): string(b), ping: "PING", pong: "PONG"}[u])
				}
				want := row.err
				if want == nil {
					want = io.EOF
				}
				if !slices.Equal(got, row.want) || !errors.Is(err, want) {
					t.Errorf("got %q and %v, want %q and %v", got, err, row.want, want)
				}
			})
		}
	}
}
