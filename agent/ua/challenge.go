package ua

import (
	"fmt"
	"strings"
)

// challenge is one Digest challenge (RFC 7616 §3.3). Quoted values are kept as
// they stood between the quotes, escapes included: that is what "unq" means in
// the digest's formulas, and what has to be sent back.
type challenge struct {
	realm, nonce, opaque string
	hasOpaque            bool
	algorithm            string // as written; "" = not said, which means MD5
	stale                bool
	qop                  []string // nil = not said (RFC 2069)
}

// parseChallenges reads the value of a WWW-Authenticate or Proxy-Authenticate
// header: one challenge, or (which RFC 3261 forbids and some send) several with
// commas between. Schemes other than Digest are named in others.
func parseChallenges(value string) (found []challenge, others []string, err error) {
	s := scanner{rest: value}
	scheme, ok := s.scheme()
	if !ok {
		return nil, nil, fmt.Errorf("challenge without a scheme: %.80q", value)
	}
	for {
		params, next, err := s.params()
		if err != nil {
			return nil, nil, fmt.Errorf("challenge %.200q: %w", value, err)
		}
		if strings.EqualFold(scheme, "Digest") {
			c, err := newChallenge(params)
			if err != nil {
				return nil, nil, fmt.Errorf("challenge %.200q: %w", value, err)
			}
			found = append(found, c)
		} else {
			others = append(others, scheme)
		}
		if next == "" {
			return found, others, nil
		}
		scheme = next
	}
}

func newChallenge(params map[string]string) (challenge, error) {
	realm, hasRealm := params["realm"]
	nonce, hasNonce := params["nonce"]
	if !hasRealm || !hasNonce {
		return challenge{}, fmt.Errorf("realm and nonce are needed")
	}
	c := challenge{realm: realm, nonce: nonce, algorithm: params["algorithm"], stale: strings.EqualFold(params["stale"], "true")}
	c.opaque, c.hasOpaque = params["opaque"]
	if qop, ok := params["qop"]; ok {
		for option := range strings.SplitSeq(qop, ",") {
			if option = strings.ToLower(strings.TrimSpace(option)); option != "" {
				c.qop = append(c.qop, option)
			}
		}
	}
	return c, nil
}

// scanner reads auth-params: token "=" ( token | quoted-string ), with commas.
type scanner struct{ rest string }

// scheme reads a token followed by white space, which is how a challenge begins.
func (s *scanner) scheme() (string, bool) {
	s.skip(" \t,")
	token := s.token()
	if token == "" || s.rest == "" || (s.rest[0] != ' ' && s.rest[0] != '\t') {
		return "", false
	}
	return token, true
}

// params reads parameters until the end or the next challenge, whose scheme it
// gives. Of a name given twice the first counts.
func (s *scanner) params() (params map[string]string, next string, err error) {
	params = make(map[string]string)
	for {
		s.skip(" \t,")
		if s.rest == "" {
			return params, "", nil
		}
		name := s.token()
		if name == "" {
			return nil, "", fmt.Errorf("no parameter at %.20q", s.rest)
		}
		space := len(s.rest) > 0 && (s.rest[0] == ' ' || s.rest[0] == '\t')
		s.skip(" \t")
		if !strings.HasPrefix(s.rest, "=") {
			if space && len(params) > 0 {
				return params, name, nil
			}
			return nil, "", fmt.Errorf("parameter %.20q has no value", name)
		}
		s.rest = s.rest[1:]
		s.skip(" \t")
		value, err := s.value()
		if err != nil {
			return nil, "", fmt.Errorf("parameter %.20q: %w", name, err)
		}
		if name = strings.ToLower(name); !has(params, name) {
			params[name] = value
		}
	}
}

func has(m map[string]string, key string) bool { _, ok := m[key]; return ok }

func (s *scanner) skip(set string) { s.rest = strings.TrimLeft(s.rest, set) }

func (s *scanner) token() string {
	n := strings.IndexAny(s.rest, " \t,=\"")
	if n < 0 {
		n = len(s.rest)
	}
	token := s.rest[:n]
	s.rest = s.rest[n:]
	return token
}

func (s *scanner) value() (string, error) {
	if !strings.HasPrefix(s.rest, `"`) {
		return s.token(), nil
	}
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '"':
			value := s.rest[1:i]
			s.rest = s.rest[i+1:]
			return value, nil
		}
	}
	return "", fmt.Errorf("quotes are not closed")
}
