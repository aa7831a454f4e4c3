package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// expiryNotice is how long before the end of a certificate it is told. Those who
// renew by machine do so with a third of the time left, 30 days of 90.
const expiryNotice = 14 * 24 * time.Hour

// certificates tells of certificates that end soon, and when to look again. The
// message names dates, not what is left: it changes when a certificate does.
func certificates(f accountFacts, c conditionSet) time.Duration {
	if f.placed == nil || suspended(f) {
		c.remove(v1.ConditionCertificateExpiring)
		return 0
	}
	if f.report == nil || f.report.Slot != int(f.placed.slot) {
		return 0 // what was told stands until there is something better to say
	}
	first, again := soonestEnd(f.report.Certificates, f.now)
	if first == nil {
		c.remove(v1.ConditionCertificateExpiring)
		return again
	}
	reason, ends := v1.ReasonCertificateExpiring, "ends"
	if !f.now.Before(first.NotAfter) {
		reason, ends = v1.ReasonCertificateExpired, "ended"
	}
	c.set(v1.ConditionCertificateExpiring, metav1.ConditionTrue, reason, fmt.Sprintf("the %s certificate %sof the line's TLS connection %s on %s: %s",
		clean(string(first.Role)), named(first.Subject), ends, first.NotAfter.UTC().Format(time.RFC3339), remedy(first.Role)))
	return again
}

// soonestEnd is the certificate within its notice that ends first, nil when there
// is none, and how long what is said of them stays true (0 = for good).
func soonestEnd(all []delivery.Certificate, now time.Time) (first *delivery.Certificate, again time.Duration) {
	sorted := slices.SortedFunc(slices.Values(all), func(a, b delivery.Certificate) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Subject, b.Subject))
	})
	for i := range sorted {
		at := sorted[i].NotAfter
		if left := at.Sub(now); left > expiryNotice {
			again = soonest(again, left-expiryNotice)
		} else if left > 0 {
			again = soonest(again, left)
		}
		if first == nil && at.Sub(now) <= expiryNotice {
			first = &sorted[i]
		}
	}
	return first, again
}

func named(subject string) string {
	if subject = clean(subject); subject == "" {
		return ""
	}
	return subject + " "
}

func remedy(role delivery.CertificateRole) string {
	if role == delivery.ClientCertificate {
		return "renew it in the Secret that clientCertificateSecretName names"
	}
	return "whoever runs the SIP server must renew it"
}
