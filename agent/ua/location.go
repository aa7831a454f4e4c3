package ua

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/softphone-operator/softphone-operator/agent/dns"
)

// Locator finds servers (RFC 3263) for all endpoints of a process, which share what
// DNS said and which servers did not answer.
type Locator struct {
	names  Names
	pinned func(ctx context.Context, name string) []netip.Addr
	close  func()
	health health
}

// Names is what a Locator needs of a *dns.Resolver.
type Names interface {
	Lookup(ctx context.Context, name string, t dns.Type) (dns.Answer, error)
}

// NewLocator makes one that asks these name servers; none = the system's. Close it.
func NewLocator(servers []netip.AddrPort, log *slog.Logger) *Locator {
	r := dns.New(dns.Config{Servers: servers, Log: log})
	return &Locator{names: r, pinned: dns.Pinned, close: r.Close}
}

// Close ends look-ups that are under way.
func (l *Locator) Close() {
	if l.close != nil {
		l.close()
	}
}

// LocationError says why DNS leads nowhere, in a sentence about the host without a
// full stop. It is an ErrHostNotFound.
type LocationError struct{ Host, Reason string }

func (e *LocationError) Error() string {
	return fmt.Sprintf("%v: %s: %s", ErrHostNotFound, e.Host, e.Reason)
}

func (e *LocationError) Unwrap() error { return ErrHostNotFound }

// family of addresses that a socket can send to.
type family struct{ v4, v6 bool }

const (
	// mostServices of an SRV set are looked at, mostNamed NAPTR records, and
	// mostCandidates are given in the end.
	mostServices   = 16
	mostNamed      = 4
	mostCandidates = 16
)

// service is how SRV names a transport (RFC 3263 §4.2), and NAPTR (§4.1).
func (t Transport) service() (label, pointer string) {
	switch t {
	case TLS:
		return "_sips._tcp.", "SIPS+D2T"
	case TCP:
		return "_sip._tcp.", "SIP+D2T"
	}
	return "_sip._udp.", "SIP+D2U"
}

// locate gives the places of host[:port], best first.
func (l *Locator) locate(ctx context.Context, hostport string, t Transport, can family) ([]Candidate, error) {
	target := URI("", hostport)
	port := uint16(target.Port)
	if a, err := netip.ParseAddr(target.Host); err == nil {
		return []Candidate{{Transport: t, Addr: netip.AddrPortFrom(a.Unmap(), cmp.Or(port, t.DefaultPort()))}}, nil
	}
	// RFC 3263 §4.2: a port says that the name has addresses. So does the hosts file.
	if port == 0 && len(l.pinned(ctx, target.Host)) == 0 {
		services, err := l.services(ctx, target.Host, t)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrDNS, target.Host, err)
		}
		if len(services) > 0 {
			return l.targets(ctx, target.Host, inOrder(services, rand.IntN), t, can)
		}
	}
	addrs, err := l.addresses(ctx, target.Host, can)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDNS, target.Host, err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrHostNotFound, target.Host)
	}
	return candidates(t, target.Host, addrs, cmp.Or(port, t.DefaultPort()), 0), nil
}

// services gives the SRV records of a name for a transport. NAPTR tells where they
// are; it filters to this transport, and changes it never: without a record for it,
// they are where they are without NAPTR.
func (l *Locator) services(ctx context.Context, host string, t Transport) ([]dns.Service, error) {
	label, pointer := t.service()
	own := label + host
	var usual, named dns.Answer
	var err error
	var both sync.WaitGroup
	both.Go(func() { usual, err = l.names.Lookup(ctx, own, dns.SRV) })
	both.Go(func() {
		// What does not answer such questions has no such records.
		named, _ = l.names.Lookup(ctx, host, dns.NAPTR)
	})
	both.Wait()
	for _, name := range replacements(named.Pointers, pointer) {
		if name == strings.ToLower(strings.TrimSuffix(own, "."))+"." {
			break
		}
		if found, err := l.names.Lookup(ctx, name, dns.SRV); err == nil && len(found.Services) > 0 {
			return found.Services, nil
		}
	}
	return usual.Services, err
}

// replacements are the names that NAPTR has for a service, the first first.
func replacements(all []dns.Pointer, service string) []string {
	fit := slices.DeleteFunc(slices.Clone(all), func(p dns.Pointer) bool {
		return p.Service != service || p.Flags != "S" || p.Replacement == "."
	})
	slices.SortStableFunc(fit, func(a, b dns.Pointer) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	var names []string
	for _, p := range fit[:min(len(fit), mostNamed)] {
		names = append(names, p.Replacement)
	}
	return names
}

// targets looks the addresses of SRV targets up, all at once.
func (l *Locator) targets(ctx context.Context, host string, services []dns.Service, t Transport, can family) ([]Candidate, error) {
	label, _ := t.service()
	if services[0].Target == "." {
		// RFC 2782: "A Target of "." means that the service is decidedly not available".
		return nil, &LocationError{host, fmt.Sprintf("DNS says that it offers no SIP over %s (%s%s is \".\")", t, label, strings.TrimSuffix(host, "."))}
	}
	services = services[:min(len(services), mostServices)]
	addrs, errs := make([][]netip.Addr, len(services)), make([]error, len(services))
	var all sync.WaitGroup
	for i, s := range services {
		all.Go(func() { addrs[i], errs[i] = l.addresses(ctx, s.Target, can) })
	}
	all.Wait()
	var found []Candidate
	var missing []string
	rank := -1
	for i, s := range services {
		if i == 0 || s.Priority != services[i-1].Priority {
			rank++
		}
		name := strings.TrimSuffix(s.Target, ".")
		if len(addrs[i]) == 0 {
			missing = append(missing, name)
		}
		found = append(found, candidates(t, name, addrs[i], s.Port, rank)...)
	}
	if len(found) > 0 {
		return found[:min(len(found), mostCandidates)], nil
	}
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %s: %w", ErrDNS, host, strings.Join(missing, ", "), err)
		}
	}
	return nil, &LocationError{host, fmt.Sprintf("its SRV records name %s, without an address that can be used", strings.Join(missing, ", "))}
}

// candidates of one name. Its addresses are as good as one another.
func candidates(t Transport, name string, addrs []netip.Addr, port uint16, rank int) []Candidate {
	all := make([]Candidate, len(addrs))
	for i, a := range addrs {
		all[i] = Candidate{Transport: t, Addr: netip.AddrPortFrom(a, port), Name: name, Rank: rank}
	}
	return all
}

// addresses of a name that can be used, IPv6 first (RFC 6724). That one family has
// no answer matters where the other has none either.
func (l *Locator) addresses(ctx context.Context, name string, can family) ([]netip.Addr, error) {
	if pinned := l.pinned(ctx, name); len(pinned) > 0 {
		return slices.DeleteFunc(pinned, func(a netip.Addr) bool { return a.Is4() && !can.v4 || a.Is6() && !can.v6 }), nil
	}
	var six, four dns.Answer
	var sixErr, fourErr error
	var both sync.WaitGroup
	if can.v6 {
		both.Go(func() { six, sixErr = l.names.Lookup(ctx, name, dns.AAAA) })
	}
	if can.v4 {
		both.Go(func() { four, fourErr = l.names.Lookup(ctx, name, dns.A) })
	}
	both.Wait()
	addrs := slices.Concat(six.Addrs, four.Addrs)
	if len(addrs) > 0 {
		return addrs, nil
	}
	if err := cmp.Or(fourErr, sixErr); err != nil {
		return nil, err
	}
	if six.Stale || four.Stale {
		return nil, errors.New("no answer") // that there was nothing a while ago is no news
	}
	return nil, nil
}

// inOrder puts SRV records into the order in which they are to be tried (RFC 2782):
// by priority, and within one by chance, in proportion to the weights. intn gives
// 0 ≤ n < its argument.
func inOrder(services []dns.Service, intn func(int) int) []dns.Service {
	left := slices.Clone(services)
	// Those of weight 0 first: they have a very small chance where others have some.
	slices.SortStableFunc(left, func(a, b dns.Service) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(min(a.Weight, 1), min(b.Weight, 1)))
	})
	ordered := make([]dns.Service, 0, len(left))
	for len(left) > 0 {
		same, sum := 0, 0
		for same < len(left) && left[same].Priority == left[0].Priority {
			sum += int(left[same].Weight)
			same++
		}
		chosen, at := 0, intn(sum+1)
		for running := int(left[0].Weight); running < at; running += int(left[chosen].Weight) {
			chosen++
		}
		if sum == 0 {
			chosen = intn(same)
		}
		ordered = append(ordered, left[chosen])
		left = slices.Delete(left, chosen, chosen+1)
	}
	return ordered
}
