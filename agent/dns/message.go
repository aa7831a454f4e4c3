package dns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Type of a question.
type Type = dnsmessage.Type

// The types that server location asks for.
const (
	A     = dnsmessage.TypeA
	AAAA  = dnsmessage.TypeAAAA
	SRV   = dnsmessage.TypeSRV
	NAPTR = Type(35)
)

// Service is an SRV record (RFC 2782).
type Service struct {
	Priority, Weight, Port uint16
	// Target is absolute, in lower case; "." = the service is not offered.
	Target string
}

// Pointer is a NAPTR record (RFC 3403).
type Pointer struct {
	Order, Preference           uint16
	Flags, Service, Replacement string // flags and service in upper case
}

// Answer is what DNS says of a name; all empty when it has nothing of the type,
// or when there is no such name.
type Answer struct {
	Addrs    []netip.Addr
	Services []Service
	Pointers []Pointer
	// Stale: it is past its time, and DNS does not answer.
	Stale bool
}

// parsed is a message's meaning for the question that it answers.
type parsed struct {
	Answer
	ttl       time.Duration
	alias     string // it has only this to say: ask for that name
	truncated bool
}

const (
	// payload is how long an answer by UDP may be (EDNS0): it is never fragmented.
	payload = 1232
	// mostAliases are followed within one answer, and from answer to answer.
	mostAliases = 8
	// mostRecords of an answer are looked at.
	mostRecords = 256
	// negativeTTL is how long nothing is believed where no SOA says it, and
	// mostNegativeTTL wherever: a name that was forgotten and is entered now is
	// wanted soon.
	negativeTTL     = 10 * time.Second
	mostNegativeTTL = time.Minute
	// leastTTL keeps many lines that ask in one moment from asking one by one.
	leastTTL = time.Second
	mostTTL  = 24 * time.Hour
)

var errNotTheAnswer = errors.New("not the answer to the question")

// rcodeError is an answer that says why there is none.
type rcodeError struct{ code dnsmessage.RCode }

func (e rcodeError) Error() string {
	switch e.code {
	case dnsmessage.RCodeServerFailure:
		return "the name server failed (SERVFAIL)"
	case dnsmessage.RCodeRefused:
		return "the name server refused to answer (REFUSED)"
	case dnsmessage.RCodeFormatError:
		return "the name server did not understand the question (FORMERR)"
	case dnsmessage.RCodeNotImplemented:
		return "the name server does not do such questions (NOTIMP)"
	}
	return fmt.Sprintf("the name server answered with code %d", e.code)
}

// query packs a question. It never fails for a name that dnsmessage takes.
func query(id uint16, q dnsmessage.Question, extended bool) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	if err := errors.Join(b.StartQuestions(), b.Question(q)); err != nil {
		return nil, err
	}
	if extended {
		var h dnsmessage.ResourceHeader
		if err := errors.Join(h.SetEDNS0(payload, dnsmessage.RCodeSuccess, false), b.StartAdditionals(),
			b.OPTResource(h, dnsmessage.OPTResource{})); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// parse reads the answer to a question. An rcodeError is an answer, too; any other
// error means that the message is none.
func parse(raw []byte, id uint16, q dnsmessage.Question) (parsed, error) {
	var p dnsmessage.Parser
	h, err := p.Start(raw)
	if err != nil {
		return parsed{}, err
	}
	if !h.Response || h.ID != id {
		return parsed{}, errNotTheAnswer
	}
	asked, err := p.AllQuestions()
	if err != nil {
		return parsed{}, err
	}
	// A server that does not understand the question may leave it out.
	if len(asked) > 1 || len(asked) == 0 && h.RCode != dnsmessage.RCodeFormatError ||
		len(asked) == 1 && (asked[0].Type != q.Type || asked[0].Class != q.Class || !sameName(asked[0].Name, q.Name)) {
		return parsed{}, errNotTheAnswer
	}
	switch {
	case h.Truncated:
		return parsed{truncated: true}, nil
	case h.RCode != dnsmessage.RCodeSuccess && h.RCode != dnsmessage.RCodeNameError:
		return parsed{}, rcodeError{h.RCode}
	}
	return answers(&p, q)
}

// answers collects the records of the name asked for, or of its aliases.
func answers(p *dnsmessage.Parser, q dnsmessage.Question) (parsed, error) {
	var all []dnsmessage.Resource
	for len(all) < mostRecords {
		r, err := p.Answer()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return parsed{}, err
		}
		all = append(all, r)
	}
	a := parsed{ttl: mostTTL}
	name := strings.ToLower(q.Name.String())
	for range mostAliases {
		next := ""
		for _, r := range all {
			if !strings.EqualFold(r.Header.Name.String(), name) || r.Header.Class != dnsmessage.ClassINET {
				continue
			}
			used := true
			if c, ok := r.Body.(*dnsmessage.CNAMEResource); ok {
				next = strings.ToLower(c.CNAME.String())
			} else {
				used = r.Header.Type == q.Type && a.add(r.Body)
			}
			if used {
				a.ttl = min(a.ttl, time.Duration(r.Header.TTL)*time.Second)
			}
		}
		if next == "" || !a.empty() {
			break
		}
		name, a.alias = next, next
	}
	if !a.empty() {
		a.alias = ""
		a.ttl = max(a.ttl, leastTTL)
		return a, nil
	}
	if a.alias == "" {
		a.ttl = min(a.ttl, negative(p))
	}
	a.ttl = max(a.ttl, leastTTL)
	return a, nil
}

func (a Answer) empty() bool { return len(a.Addrs)+len(a.Services)+len(a.Pointers) == 0 }

// add takes a record of the type asked for; false when it makes no sense.
func (a *Answer) add(body dnsmessage.ResourceBody) bool {
	switch r := body.(type) {
	case *dnsmessage.AResource:
		a.Addrs = append(a.Addrs, netip.AddrFrom4(r.A))
	case *dnsmessage.AAAAResource:
		a.Addrs = append(a.Addrs, netip.AddrFrom16(r.AAAA).Unmap())
	case *dnsmessage.SRVResource:
		a.Services = append(a.Services, Service{r.Priority, r.Weight, r.Port, strings.ToLower(r.Target.String())})
	case *dnsmessage.UnknownResource:
		p, ok := pointer(r.Data)
		if ok {
			a.Pointers = append(a.Pointers, p)
		}
		return ok
	default:
		return false
	}
	return true
}

// negative is how long nothing is believed (RFC 2308 §5): the lesser of the SOA's
// time and its minimum.
func negative(p *dnsmessage.Parser) time.Duration {
	if p.SkipAllAnswers() != nil {
		return negativeTTL
	}
	for range mostRecords {
		r, err := p.Authority()
		if err != nil {
			break
		}
		if soa, ok := r.Body.(*dnsmessage.SOAResource); ok {
			return min(time.Duration(min(soa.MinTTL, r.Header.TTL))*time.Second, mostNegativeTTL)
		}
	}
	return negativeTTL
}

// pointer reads a NAPTR record (RFC 3403 §4.1); its replacement is never
// compressed.
func pointer(data []byte) (p Pointer, ok bool) {
	if len(data) < 4 {
		return p, false
	}
	p.Order, p.Preference = binary.BigEndian.Uint16(data), binary.BigEndian.Uint16(data[2:])
	data = data[4:]
	var texts [3]string
	for i := range texts {
		if len(data) == 0 || len(data) <= int(data[0]) {
			return Pointer{}, false
		}
		n := int(data[0])
		texts[i], data = string(data[1:1+n]), data[1+n:]
	}
	p.Flags, p.Service = strings.ToUpper(texts[0]), strings.ToUpper(texts[1])
	p.Replacement, ok = plainName(data)
	if !ok {
		return Pointer{}, false
	}
	return p, true
}

// plainName reads a name without compression that fills data.
func plainName(data []byte) (string, bool) {
	var labels []string
	length := 0
	for len(data) > 0 && data[0] != 0 {
		n := int(data[0])
		if n > 63 || len(data) <= n || slices.ContainsFunc(data[1:1+n], func(c byte) bool { return c <= ' ' || c == '.' || c > '~' }) {
			return "", false
		}
		labels = append(labels, strings.ToLower(string(data[1:1+n])))
		data, length = data[1+n:], length+n+1
	}
	if len(data) != 1 || length > 254 {
		return "", false
	}
	return strings.Join(labels, ".") + ".", true
}

func sameName(a, b dnsmessage.Name) bool { return strings.EqualFold(a.String(), b.String()) }
