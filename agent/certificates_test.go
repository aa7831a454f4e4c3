package agent

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/provisioning"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// TestExpiryIsSaidOnceADay, whatever number of lines has the certificate.
func TestExpiryIsSaidOnceADay(t *testing.T) {
	var said bytes.Buffer
	log := slog.New(slog.NewTextHandler(&said, nil))
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ends := func(in time.Duration) delivery.Certificate {
		return delivery.Certificate{Role: delivery.ServerCertificate, Subject: "CN=pbx", NotAfter: now.Add(in)}
	}
	var e expiryLog
	for _, step := range []struct {
		says string
		at   time.Duration
		of   delivery.Certificate
		want string
	}{
		{"fifteen days before", 0, ends(15 * 24 * time.Hour), ""},
		{"fourteen days before", 24 * time.Hour, ends(15 * 24 * time.Hour), "certificate ends soon"},
		{"another line with it", 24*time.Hour + time.Second, ends(15 * 24 * time.Hour), ""},
		{"another certificate", 24*time.Hour + time.Second, ends(2 * 24 * time.Hour), "certificate ends soon"},
		{"the same day", 47 * time.Hour, ends(15 * 24 * time.Hour), ""},
		{"the next day", 48 * time.Hour, ends(15 * 24 * time.Hour), "certificate ends soon"},
		{"its time is over", 16 * 24 * time.Hour, ends(15 * 24 * time.Hour), "certificate has expired"},
		{"and still is", 16*24*time.Hour + time.Minute, ends(15 * 24 * time.Hour), ""},
	} {
		said.Reset()
		e.note(log, []delivery.Certificate{step.of}, "10.0.0.1:5061/tls", now.Add(step.at))
		if got := said.String(); (got == "") != (step.want == "") || !strings.Contains(got, step.want) {
			t.Errorf("%s: the log says %q, want %q", step.says, got, step.want)
		}
	}
	if len(e.warned) != 1 {
		t.Errorf("%d certificates are remembered, all but one for nothing", len(e.warned))
	}
}

// TestOtherCertificatesConcernLinesWithTLS, and register them again; a restart would
// lose their calls, and a line without TLS has nothing to do with them.
func TestOtherCertificatesConcernLinesWithTLS(t *testing.T) {
	for transport, want := range map[string]action{"tls": reregister, "tls+sip:": reregister, "tcp": nothing, "udp": nothing} {
		all := world(t, map[string]string{"alice.xml": accountXML("<transport>" + transport + "</transport>")})
		from := all["alice"]
		to := *from
		to.Certificates = &provisioning.Certificates{Name: "other", Roots: x509.NewCertPool()}
		if act, why := compare(from, &to); act != want {
			t.Errorf("%s: %s because of %v, want %s", transport, act, why, want)
		}
		if changes := plan(all, map[string]*target{"alice": &to}); (len(changes) > 0) != (want == reregister) {
			t.Errorf("%s: planned %+v", transport, changes)
		}
		trusts := trustsOf(map[string]*target{"alice": from, "bob": &to})
		if len(trusts) != 2 || trusts["other"].Roots == nil || trusts[""].Roots != nil {
			t.Errorf("trusts: %+v", trusts)
		}
	}
}
