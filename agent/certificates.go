package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

const (
	// expiryNotice is how long before its end a certificate is worth a warning.
	expiryNotice = 14 * 24 * time.Hour
	// expiryAgain is how often one is warned of.
	expiryAgain = 24 * time.Hour
	// certificatesEvery is how often certificates are looked at.
	certificatesEvery = time.Hour
)

// trustOf names a target's certificates to the endpoint.
func trustOf(t *target) string {
	if t.Certificates == nil {
		return ""
	}
	return t.Certificates.Name
}

// trust of a target's certificates.
func (t *target) trust() ua.Trust {
	if t.Certificates == nil {
		return ua.Trust{}
	}
	return ua.Trust{Roots: t.Certificates.Roots, Certificate: t.Certificates.Client}
}

// trustsOf are the certificates of all targets.
func trustsOf(all map[string]*target) map[string]ua.Trust {
	trusts := map[string]ua.Trust{}
	for _, t := range all {
		trusts[trustOf(t)] = t.trust()
	}
	return trusts
}

// shownCertificate is the certificate that a line's server showed last. It
// outlives the connection: when the next one is not made, it may say why.
type shownCertificate struct {
	domain string
	delivery.Certificate
}

// certificates of a line's connection: its server's and, whether it was asked for
// or not, ours. In the line's goroutine.
func (l *line) certificates(in *incarnation) []delivery.Certificate {
	link := l.applied.link()
	if link.Transport != ua.TLS {
		l.server = nil
		return nil
	}
	if servers := in.reg.Servers(); len(servers) > 0 {
		if c, ok := in.socket.ServerCertificate(link.To(servers[0])); ok {
			l.server = &shownCertificate{domain: link.Domain, Certificate: c}
		}
	}
	var all []delivery.Certificate
	if l.server != nil && l.server.domain == link.Domain {
		all = append(all, l.server.Certificate)
	}
	if c := l.applied.Certificates; c != nil && c.Client != nil {
		all = append(all, c.Shown)
	}
	return all
}

// watchCertificates looks every hour at those that end soon: at the server, which
// may have another one by now; at the lines, which report it; and warns.
func (s *supervisor) watchCertificates(ctx context.Context) {
	every := time.NewTicker(certificatesEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			// A little ahead, so that none is warned of that was replaced long ago.
			for _, k := range s.sockets.all() {
				k.CheckCertificates(ctx, time.Now().Add(expiryNotice+2*certificatesEvery))
			}
			for _, l := range s.allLines() {
				if v := l.published.Load(); v != nil && len(v.report.Certificates) > 0 {
					l.poke()
				}
			}
		}
	}
}

// expiryLog warns of certificates that end, each once a day, however many lines
// have it.
type expiryLog struct {
	mu     sync.Mutex
	warned map[delivery.Certificate]time.Time
}

// note warns of those that are due.
func (e *expiryLog) note(log *slog.Logger, all []delivery.Certificate, server string, now time.Time) {
	for _, c := range all {
		if left := c.NotAfter.Sub(now); left > expiryNotice || !e.due(c, now) {
			continue
		}
		args := []any{"role", c.Role, "subject", c.Subject, "server", server, "ends", c.NotAfter}
		if c.NotAfter.After(now) {
			log.Warn("certificate ends soon", args...)
		} else {
			log.Warn("certificate has expired", args...)
		}
	}
}

// due tells whether it was not warned of for a day.
func (e *expiryLog) due(c delivery.Certificate, now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if last, ok := e.warned[c]; ok && now.Sub(last) < expiryAgain {
		return false
	}
	if e.warned == nil {
		e.warned = map[delivery.Certificate]time.Time{}
	}
	for old, last := range e.warned {
		if now.Sub(last) >= expiryAgain {
			delete(e.warned, old)
		}
	}
	e.warned[c] = now
	return true
}
