package registration

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// outcome is how one REGISTER ended, challenges included.
type outcome struct {
	code       int              // of the final response; 0 = there was none
	reason     string           // in words for the user
	problem    delivery.Problem // "" = success
	granted    time.Duration    // 2xx: time our Contact was given
	contact    string           // 2xx: URI that is registered
	public     string           // our address as the server saw it; "" = unknown
	local      netip.Addr       // 2xx: our address as this host knows it
	way        *Way             // 2xx: what else it says
	elsewhere  bool             // 2xx: the server sees another address than the Contact has
	minExpires time.Duration    // 423
	retryAfter time.Duration
	held       time.Time      // until when the gate does not let the line through
	denied     bool           // held, and was refused before with what it has
	proven     bool           // held, and was let in before with what it has
	relapse    bool           // refused with what it was let in before
	leftovers  []string       // Contact URIs of ours that lead elsewhere
	servers    []ua.Candidate // where the server was found, the one that answered first
	detours    []detour       // 3xx: where else to ask
	strayed    *Config        // that a redirection led to, and servers were found by
}

// fine is what most lines keep of most outcomes, for most of the time.
var fine = &outcome{code: sip.StatusOK, reason: "200 OK"}

// told is what stays of an outcome once all was done about it: how it ended.
func (o *outcome) told() *outcome {
	if o != nil && o.code == fine.code && o.reason == fine.reason && o.problem == fine.problem {
		return fine
	}
	return o
}

func (o *outcome) ok() bool { return o.code >= 200 && o.code < 300 && o.problem == delivery.NoProblem }

// refused: trying the same credentials again soon would only look like an attack.
func (o *outcome) refused() bool {
	return o.problem == delivery.ProblemUnauthorized || o.problem == delivery.ProblemForbidden
}

// unheard: no server said anything.
func (o *outcome) unheard() bool {
	return o.problem == delivery.ProblemTimeout || o.problem == delivery.ProblemUnreachable
}

// alive: the server, or somebody in its name, has said what shows that it works.
func (o *outcome) alive() bool { return o.code >= 200 && o.code < 500 && o.code != 408 }

// failure is the outcome of an attempt that got no final response.
func failure(err error, cfg Config, server string) *outcome {
	o := &outcome{}
	var rejected *ua.CertificateError
	var held *HeldBackError
	switch {
	case errors.As(err, &held):
		o.problem, o.held, o.denied, o.proven = delivery.ProblemHeldBack, held.Until, held.Denied, held.Proven
		o.reason = fmt.Sprintf("%s refused %d lines within a minute: so that it does not ban this address, this line waits until one of them is let in; the next tries at %s",
			server, held.Refused, held.Until.UTC().Format(time.TimeOnly+" MST"))
	case errors.As(err, &rejected):
		o.problem, o.reason = delivery.ProblemCertificate, fmt.Sprintf("%s: %s", server, rejected.Reason)
	case errors.Is(err, ua.ErrHostNotFound):
		o.problem, o.reason = delivery.ProblemHostNotFound, fmt.Sprintf("host %s was not found in DNS", cfg.target())
		if located := new(ua.LocationError); errors.As(err, &located) {
			o.reason += ": " + located.Reason
		}
	case errors.Is(err, ua.ErrDNS):
		o.problem, o.reason = delivery.ProblemDNS, fmt.Sprintf("DNS gave no answer for host %s: %v", cfg.target(), err)
	case errors.Is(err, ua.ErrUnreachable):
		o.problem, o.reason = delivery.ProblemUnreachable, fmt.Sprintf("%s is unreachable: %s", server, cause(err))
	case errors.Is(err, ua.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		o.problem, o.reason = delivery.ProblemTimeout, fmt.Sprintf("no answer from %s", server)
	default:
		o.problem, o.reason = delivery.ProblemConfig, fmt.Sprintf("REGISTER could not be sent: %v", err)
	}
	return o
}

// after says, of a failure, what was tried before it and by which name.
func (o *outcome) after(tried []string, name string) {
	if n := len(tried) - 1; n > 0 && tried[n] == o.reason {
		tried = tried[:n]
	}
	if o.problem == delivery.NoProblem || len(tried) == 0 || tried[0] == o.reason {
		return
	}
	o.reason = fmt.Sprintf("%s; before that, of the servers of %s: %s", o.reason, name, strings.Join(tried, "; "))
}

// cause is the innermost error, e.g. "connection refused".
func cause(err error) string {
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[i+2:]
	}
	return text
}

// rejection is the outcome of a final response that is no success. why is what
// kept us from answering its challenge, if it has one.
func rejection(res *sip.Response, cfg Config, why error) *outcome {
	o := &outcome{
		code: res.StatusCode, public: publicAddress(res),
		minExpires: seconds(res, "Min-Expires"), retryAfter: seconds(res, "Retry-After"),
	}
	var hint string
	o.problem, hint = judge(res.StatusCode, cfg, why)
	o.reason = statusLine(res)
	if hint != "" {
		o.reason += ": " + hint
	}
	return o
}

// judge gives the problem behind a response, and what to tell the user of it.
func judge(code int, cfg Config, why error) (delivery.Problem, string) {
	var unsupported *ua.UnsupportedError
	user := cfg.authUser()
	switch {
	case errors.As(why, &unsupported):
		return delivery.ProblemDigest, "the registrar asks for " + plain(unsupported.What, 120) + ", which is not supported"
	case errors.Is(why, ua.ErrNoPassword):
		return delivery.ProblemUnauthorized, fmt.Sprintf("the registrar asks for the password of user %s and the account has none", user)
	case code == 401, code == 407:
		return delivery.ProblemUnauthorized, "the registrar refused the password of user " + user
	case code == 403:
		return delivery.ProblemForbidden, fmt.Sprintf("the registrar does not let user %s register", user)
	case code == 404, code == 604, code == 410:
		return delivery.ProblemNotFound, "the registrar does not know user " + cfg.AOR.User
	case code == 408:
		return delivery.ProblemTimeout, "a proxy had no answer from the registrar"
	case code == 423:
		return delivery.ProblemRejected, "the registrar wants another expiry and does not say a usable one"
	case code >= 500 && code < 600:
		return delivery.ProblemServer, ""
	}
	return delivery.ProblemRejected, ""
}

// notGranted is a 2xx that gives our Contact no time.
func notGranted(res *sip.Response) *outcome {
	return &outcome{
		code: res.StatusCode, problem: delivery.ProblemRejected,
		reason: statusLine(res) + ": the registrar granted our contact no time",
	}
}

func statusLine(res *sip.Response) string {
	return strings.TrimSpace(strconv.Itoa(res.StatusCode) + " " + plain(res.Reason, 80))
}

// plain makes text from the network fit to be shown.
func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// seconds reads a header like "120 (maintenance);duration=3600"; 0 = none.
func seconds(res *sip.Response, name string) time.Duration {
	h := res.GetHeader(name)
	if h == nil {
		return 0
	}
	digits := strings.TrimSpace(h.Value())
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	return parseSeconds(digits)
}

// parseSeconds reads delta-seconds, which have 32 bits (RFC 3261 §20.19); 0 = none.
func parseSeconds(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
