package controllers

import (
	"fmt"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// explain says in one sentence why a line is not registered, and what to do.
func explain(f accountFacts, status *v1.SoftphoneAccountStatus, r delivery.LineReport) (reason, message string) {
	who, said := addressOrBest(f), answer(status)
	attempt := "cannot register"
	if f.account.IsTrunk() {
		attempt = "is a trunk without a server"
	}
	words := status.Reason
	if words == "" || words == string(r.Problem) || status.Code > 0 {
		words = "the SIP server" + at(status) + " gave no usable answer"
	}
	switch r.Problem {
	case delivery.ProblemUnauthorized:
		return v1.ReasonUnauthorized, fmt.Sprintf("the registrar refused %s (%s): check %s", who, said, passwordHint(f))
	case delivery.ProblemForbidden:
		return v1.ReasonForbidden, fmt.Sprintf("the registrar refused %s (%s): check %s, and whether the registrar lets this user register", who, said, passwordHint(f))
	case delivery.ProblemNotFound:
		return v1.ReasonUserNotFound, fmt.Sprintf("the registrar does not know %s (%s): check username and host", who, said)
	case delivery.ProblemDigest:
		return v1.ReasonUnsupportedDigest, fmt.Sprintf("the registrar asks %s for a kind of authentication that is not supported (%s)", who, said)
	case delivery.ProblemHostNotFound:
		return v1.ReasonHostNotFound, fmt.Sprintf("%s %s, %s: check host, proxy and outboundProxy_host", who, attempt, words)
	case delivery.ProblemDNS:
		return v1.ReasonDNSFailure, fmt.Sprintf("%s %s, %s; the agent keeps trying", who, attempt, words)
	case delivery.ProblemTimeout:
		return v1.ReasonRegistrarTimeout, fmt.Sprintf("%s %s, %s: check host, proxy and transport, and whether the network lets SIP pass; the agent keeps trying", who, attempt, words)
	case delivery.ProblemUnreachable:
		return v1.ReasonRegistrarUnreachable, fmt.Sprintf("%s %s, %s: check host, proxy and the network between; the agent keeps trying", who, attempt, words)
	case delivery.ProblemServer:
		return v1.ReasonRegistrarError, fmt.Sprintf("the registrar of %s has trouble (%s); the agent keeps trying", who, said)
	case delivery.ProblemCertificate:
		return v1.ReasonCertificate, fmt.Sprintf("the TLS certificate between %s and its SIP server was rejected: %s", who, status.Reason)
	case delivery.ProblemHeldBack:
		if status.Reason == string(r.Problem) {
			words = "its registrar" + at(status) + " refused too many other lines"
		}
		return v1.ReasonHeldBack, fmt.Sprintf("%s waits, since %s (spec.registrar.refusedPerMinute of the fleet): mend those that are refused; the agent goes on by itself", who, words)
	case delivery.ProblemConfig:
		return v1.ReasonBadConfiguration, fmt.Sprintf("the agent cannot run %s: %s", who, status.Reason)
	}
	return v1.ReasonRegistrarRejected, fmt.Sprintf("the registrar did not register %s (%s); the agent keeps trying", who, said)
}

// passwordHint names the place where the password comes from.
func passwordHint(f accountFacts) string {
	if f.passwordSource == "" {
		return "spec.account.password, the account has none"
	}
	return "the password in " + f.passwordSource
}

func at(status *v1.SoftphoneAccountStatus) string {
	if status.Server == "" {
		return ""
	}
	return " at " + status.Server
}
