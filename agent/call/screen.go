package call

import (
	"slices"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// screen checks an INVITE or UPDATE before anything is done about it (RFC 3261
// §8.2): nil, or the response it gets. The checks on method, URI scheme and the
// headers every request has are package ua's.
func screen(req *sip.Request, supported []string) *sip.Response {
	if tags := required(req, supported); len(tags) > 0 {
		return reply(req, 420, list("Unsupported", tags))
	}
	if res := screenBody(req, mediaSDP); res != nil {
		return res
	}
	if unwanted(req) {
		return reply(req, 406, sip.NewHeader("Accept", mediaSDP))
	}
	if req.IsInvite() && first(req, "Contact") == nil && !isOlder(req) {
		// Nobody could reach the caller within the dialog (§8.1.1.8).
		return badRequest(req, "Missing Contact")
	}
	return screenTimer(req)
}

// isOlder tells a peer of RFC 2543 by its branch: it may be reached by its From.
func isOlder(req *sip.Request) bool {
	via := req.Via()
	return via != nil && !strings.HasPrefix(via.Params.GetOr("branch", ""), sip.RFC3261BranchMagicCookie)
}

// badRequest says what is wrong (§21.4.1).
func badRequest(req *sip.Request, what string) *sip.Response {
	res := reply(req, 400)
	res.Reason = what
	return res
}

// required are the option tags a request asks for beside those that are supported
// (§8.2.2.3).
func required(req *sip.Request, supported []string) []string {
	var tags []string
	for _, h := range req.GetHeaders("Require") {
		for tag := range strings.SplitSeq(h.Value(), ",") {
			if tag = strings.TrimSpace(tag); tag != "" && !slices.Contains(supported, strings.ToLower(tag)) {
				tags = append(tags, tag)
			}
		}
	}
	return tags
}

// screenBody refuses bodies of other types, and encoded ones (§8.2.3).
func screenBody(req *sip.Request, types ...string) *sip.Response {
	body, is := bodyOf(req)
	switch {
	case len(body) == 0:
		return nil
	case len(body) > mostBody:
		return reply(req, 413)
	}
	if h := req.GetHeader("Content-Encoding"); h != nil && !strings.EqualFold(strings.TrimSpace(h.Value()), "identity") {
		return reply(req, 415, sip.NewHeader("Accept-Encoding", "identity"))
	}
	if slices.Contains(types, is) || optional(valueOf(req, "Content-Disposition")) {
		return nil
	}
	if is == mediaMixed {
		return screenParts(req, types)
	}
	return reply(req, 415, list("Accept", types))
}

// screenParts refuses a body of several parts one of which has to be understood and is
// not.
func screenParts(req *sip.Request, types []string) *sip.Response {
	all, err := parts(req)
	if err != nil {
		return badRequest(req, "Malformed multipart body")
	}
	for _, p := range all {
		if !p.optional && !slices.Contains(types, p.kind) {
			return reply(req, 415, list("Accept", append(slices.Clone(types), mediaMixed)))
		}
	}
	return nil
}
