package call

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// tagReliable is the option tag of reliable provisional responses (RFC 3262).
const tagReliable = "100rel"

// tagEnded says that we know what a 199 means (RFC 6228 §4); it goes into INVITEs alone.
const tagEnded = "199"

// reliable gives the number of a provisional response that wants a PRACK: "it has a
// status code between 101 and 199, a Require header field with 100rel, and an RSeq"
// (RFC 3262 §4).
func reliable(res *sip.Response) (rseq uint32, ok bool) {
	if res.StatusCode <= 100 || !hasOption(res, "Require", tagReliable) {
		return 0, false
	}
	h := res.GetHeader("RSeq")
	if h == nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(h.Value()), 10, 32)
	return uint32(n), err == nil && n > 0
}

// hasOption says whether a header lists an option tag.
func hasOption(m sip.Message, header, tag string) bool {
	for _, h := range m.GetHeaders(header) {
		for value := range strings.SplitSeq(h.Value(), ",") {
			if strings.EqualFold(strings.TrimSpace(value), tag) {
				return true
			}
		}
	}
	return false
}

// pracks acknowledges a reliable provisional response; news: it is to be looked at. One
// that came before is not, nor is one whose predecessor is missing: "the UAC MUST NOT
// acknowledge [it] with a PRACK, and MUST NOT process the response further" (§4). Both
// come again until they are acknowledged.
func (c *call) pracks(f *fork, res *sip.Response) (news bool) {
	rseq, ok := reliable(res)
	if !ok || f == nil {
		return true
	}
	if f.rseq != 0 && rseq != f.rseq+1 {
		return false
	}
	f.rseq = rseq
	prack := f.Request(sip.PRACK)
	prack.AppendHeader(sip.NewHeader("RAck", fmt.Sprintf("%d %d %s", rseq, c.attempt.invite.CSeq().SeqNo, sip.INVITE)))
	if answer := c.answerEarly(f, res); answer != nil {
		setSDP(prack, answer)
	}
	// What becomes of it changes nothing: a UAS that misses it sends its response
	// again, and refuses the INVITE in the end.
	c.ask(f.dialog, prack, func(*sip.Response, error) {})
	return true
}

// answerEarly answers the offer of a reliable response to an INVITE that had none: "If
// the UAC receives a reliable provisional response with an offer …, it MUST generate an
// answer in the PRACK" (§5). nil = there is nothing to answer.
func (c *call) answerEarly(f *fork, res *sip.Response) []byte {
	t, offer := c.attempt, sdpOf(res)
	if t.offered || offer == nil || f.theirs != nil {
		return nil
	}
	answer, err := c.audio.answer(offer)
	if err != nil {
		c.log.Info("offer not usable", "error", err)
		c.cancelAttempt(goodbye{End: End{Code: 488, Reason: "no usable offer: " + clip(err.Error()), By: Policy}, header: reasonHeader(488, phrases[488])})
		return c.audio.refusal(offer)
	}
	t.described++
	f.theirs, f.said, t.playing = offer, t.described, f
	c.state(Early)
	c.changed()
	return answer
}

// inviteOptions are the option tags that an INVITE of ours lists.
func (c *call) inviteOptions() []string {
	tags := append(slices.Clone(supported(c.opts)), tagEnded)
	return slices.DeleteFunc(tags, func(tag string) bool { return slices.Contains(c.attempt.without, tag) })
}
