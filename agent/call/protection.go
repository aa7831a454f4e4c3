package call

import (
	"errors"
	"fmt"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// errUnprotectable says that a line requires what cannot be had here.
var errUnprotectable = errors.New("the line requires a protection of its media that is not spoken here")

// protection is how an account wants the media of a call protected. What it requires and cannot be had stays required: no way of
// the description satisfies it.
func protection(a *account.Account, d Direction) (sdp.Protect, error) {
	sdes, dtls, zrtp := a.SDESIncoming, a.DTLSIncoming, a.ZRTPIncoming
	if d == Out {
		sdes, dtls, zrtp = a.SDESOutgoing, a.DTLSOutgoing, a.ZRTPOutgoing
	}
	p := sdp.Protect{SDES: policy(sdes), DTLS: policy(dtls)}
	if p.SDES != sdp.Off {
		p.Keys = sdp.NewKeys()
	}
	var err error
	if p.DTLS != sdp.Off {
		p.Fingerprint, err = media.Fingerprint()
	}
	switch {
	case policy(zrtp) == sdp.Required:
		return sdp.Protect{SDES: sdp.Required}, fmt.Errorf("%w: ZRTP", errUnprotectable)
	case err != nil && p.DTLS == sdp.Required:
		return p, fmt.Errorf("%w: %w", errUnprotectable, err)
	}
	return p, nil
}

func policy(text string) sdp.Policy {
	switch text {
	case "required":
		return sdp.Required
	case "enabled":
		return sdp.BestEffort
	}
	return sdp.Off
}

// protect has the audio protected as the account says for this direction.
func (c *call) protect(a *audio) {
	a.caps.Protect, a.impossible = protection(c.opts.Account, c.rec.Direction)
	a.caps.RTCPMux = a.caps.Protect.DTLS != sdp.Off // one handshake instead of two
	a.config.OnPath = func(via string, err error) { c.box.post(func() { c.path(via, err) }) }
	a.config.OnProtected = func(err error) { c.box.post(func() { c.protected(err) }) }
}

// protected: the handshake for the media's keys has ended. Without keys the call goes no further: what was agreed to be secret must
// not be said in the clear.
func (c *call) protected(err error) {
	switch {
	case c.rec.State == Ended:
	case err != nil:
		c.hangup(goodbye{End: End{Code: 488, Reason: clip(err.Error()), By: Policy}, header: reasonHeader(488, "media not protected")})
	default:
		c.changed()
	}
}

// insist makes the next INVITE after one that offered protection as best effort was refused for its description: some take keys only
// in the profile that insists on them. nil when there is nothing more to offer.
//
// That nobody is asked again without keys is on purpose: who knows nothing of keys has answered the first INVITE without any.
func (c *call) insist(res *sip.Response) *sip.Request {
	t, p := c.attempt, &c.audio.caps.Protect
	if res.StatusCode != 415 && res.StatusCode != 488 && res.StatusCode != 606 {
		return nil
	}
	switch {
	case p.DTLS == sdp.BestEffort && p.Fingerprint != "":
		t.sdes, p.SDES, p.DTLS = p.SDES, sdp.Off, sdp.Required
	case p.SDES == sdp.BestEffort, t.sdes == sdp.BestEffort:
		t.sdes, p.SDES, p.DTLS = sdp.Off, sdp.Required, sdp.Off
	default:
		return nil
	}
	req := ua.Retry(t.invite)
	for _, name := range []string{"Content-Type", "Authorization", "Proxy-Authorization"} {
		for req.RemoveHeader(name) {
		}
	}
	body := c.audio.offer()
	setSDP(req, body)
	t.auth = c.authorizer()
	t.auth.Prepare(req)
	c.note(fmt.Sprintf("%s: offered again, with %s", status(res), c.audio.local.Media[0].Proto))
	return req
}
