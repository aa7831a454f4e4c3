package ua

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// Trust is what TLS connections are made with.
type Trust struct {
	// Roots that sign servers' certificates; nil = the system's.
	Roots *x509.CertPool
	// Certificate of ours, for servers that ask for one; nil = none.
	Certificate *tls.Certificate
}

// formerLife is how long certificates that were replaced stay known: a call that
// began with them may go on for long, and lose its connection meanwhile.
const formerLife = 2 * time.Hour

// trusts are the Trusts that links name.
type trusts struct {
	current map[string]Trust
	former  map[string]former
}

// former is a Trust that was replaced.
type former struct {
	Trust
	at time.Time
}

// replace puts others in force.
func (t *trusts) replace(all map[string]Trust, now time.Time) {
	if t.former == nil {
		t.former = make(map[string]former)
	}
	for name, f := range t.former {
		if now.Sub(f.at) > formerLife {
			delete(t.former, name)
		}
	}
	for name, trust := range t.current {
		if _, stays := all[name]; !stays {
			t.former[name] = former{trust, now}
		}
	}
	t.current = all
}

// inForce tells whether new lines may name it.
func (t *trusts) inForce(name string) bool {
	_, named := t.current[name]
	return named || name == ""
}

// named gives the Trust of a name.
func (t *trusts) named(name string) (Trust, bool) {
	if trust, ok := t.current[name]; ok || name == "" {
		return trust, true
	}
	f, ok := t.former[name]
	return f.Trust, ok
}

// trusted gives what a connection to a candidate is made with.
func (t *streams) trusted(to Candidate) (Trust, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	trust, ok := t.trusts.named(to.Trust)
	if !ok {
		return trust, &CertificateError{Reason: "the certificates that the connection was to be made with were replaced"}
	}
	return trust, nil
}

// setTrusts puts certificates in force. A connection made with others serves the
// lines and the calls that are on it until they have moved.
func (t *streams) setTrusts(all map[string]Trust) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trusts.replace(all, time.Now())
	for to, d := range t.dialled {
		if to.Transport != TLS {
			continue
		}
		select {
		case <-d.done:
			if d.s != nil {
				d.s.retire(!t.trusts.inForce(to.Trust))
			}
		default: // dial looks when it is made
		}
	}
}

// ServerCertificate is what the server showed whose connection a candidate's
// requests go over; false when there is none.
func (e *Endpoint) ServerCertificate(to Candidate) (delivery.Certificate, bool) {
	s := e.streams.existing(to)
	if s == nil || to.Transport != TLS {
		return delivery.Certificate{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server, true
}

// CheckCertificates looks at the certificates of servers anew that end before a
// time, by connections made for that alone. Ours last for months: long after a
// server has got another certificate they were still made with the one before.
func (e *Endpoint) CheckCertificates(ctx context.Context, before time.Time) {
	for _, s := range e.streams.ending(before) {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		conn, server, err := e.streams.connect(ctx, s.to)
		cancel()
		if err != nil {
			e.log.Debug("certificate not looked at", "server", s.to.String(), "error", err)
			continue
		}
		_ = conn.Close()
		s.mu.Lock()
		s.server = server
		s.mu.Unlock()
	}
}

// ending are the connections to servers whose certificates end before a time.
func (t *streams) ending(before time.Time) []*stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []*stream
	for _, s := range t.sources {
		s.mu.Lock()
		if s.to.Transport == TLS && !s.retired && s.server.NotAfter.Before(before) {
			found = append(found, s)
		}
		s.mu.Unlock()
	}
	return found
}

// mostSubject bounds what is shown of a certificate's subject, which its owner wrote.
const mostSubject = 200

// subject of a certificate, or the first name it is for.
func subject(c *x509.Certificate) string {
	s := c.Subject.String()
	if s == "" {
		s = cmp.Or(append(identities(c), "")...)
	}
	return fmt.Sprintf("%.*s", mostSubject, s)
}

// firstEnd is when the first certificate of a path ends.
func firstEnd(path []*x509.Certificate) time.Time {
	return slices.MinFunc(path, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
}

// lastEnd is when the last path ends: until then there is one.
func lastEnd(paths [][]*x509.Certificate) time.Time {
	var end time.Time
	for _, p := range paths {
		if e := firstEnd(p); e.After(end) {
			end = e
		}
	}
	return end
}
