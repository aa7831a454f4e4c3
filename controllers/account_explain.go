package controllers

import (
	"fmt"
	"strconv"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// explain says in one sentence why a line is not registered, and what to do.
func explain(f accountFacts, status *v1.SoftphoneAccountStatus, r delivery.LineReport) (reason, message string) {
	who, said := addressOrBest(f), answer(status, " ")
	switch r.Problem {
	case delivery.ProblemUnauthorized:
		return v1.ReasonUnauthorized, fmt.Sprintf("the registrar refused %s (%s): check %s", who, trim(said), passwordHint(f))
	case delivery.ProblemForbidden:
		return v1.ReasonForbidden, fmt.Sprintf("the registrar refused %s (%s): check %s, and whether the registrar lets this user register", who, trim(said), passwordHint(f))
	case delivery.ProblemNotFound:
		return v1.ReasonUserNotFound, fmt.Sprintf("the registrar does not know %s (%s): check username and host", who, trim(said))
	case delivery.ProblemDigest:
		return v1.ReasonUnsupportedDigest, fmt.Sprintf("the registrar of %s asks for a kind of authentication that is not supported (%s)", who, trim(said))
	case delivery.ProblemHostNotFound:
		return v1.ReasonHostNotFound, fmt.Sprintf("the host name of the SIP server of %s does not exist in the DNS: check host, proxy and outboundProxy_host", who)
	case delivery.ProblemDNS:
		return v1.ReasonDNSFailure, fmt.Sprintf("the DNS does not answer for the SIP server of %s; the agent keeps trying", who)
	case delivery.ProblemTimeout:
		return v1.ReasonRegistrarTimeout, fmt.Sprintf("the SIP server of %s%s does not answer; the agent keeps trying, check host, proxy and transport, and whether the network lets SIP pass", who, at(status))
	case delivery.ProblemUnreachable:
		return v1.ReasonRegistrarUnreachable, fmt.Sprintf("the SIP server of %s%s cannot be reached; the agent keeps trying, check host, proxy and the network between", who, at(status))
	case delivery.ProblemServer:
		return v1.ReasonRegistrarError, fmt.Sprintf("the registrar of %s has trouble (%s); the agent keeps trying", who, trim(said))
	case delivery.ProblemCertificate:
		return v1.ReasonCertificate, fmt.Sprintf("the TLS certificate between %s and its SIP server was rejected: %s", who, status.Reason)
	case delivery.ProblemConfig:
		return v1.ReasonBadConfiguration, fmt.Sprintf("the agent cannot run %s: %s", who, status.Reason)
	}
	return v1.ReasonRegistrarRejected, fmt.Sprintf("the registrar did not register %s (%s); the agent keeps trying", who, trim(said))
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

func trim(said string) string {
	if said == "" {
		return "no answer"
	}
	return said[1:]
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }
