package call

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// reachTime bounds how long a call waits to know where it can be reached.
const reachTime = 8 * time.Second

// reach takes ports on an address and finds out where they can be reached from elsewhere, beside the call; then goes on with the
// call, unless it has ended meanwhile. An error says that there are no ports, or that the call has to be relayed and cannot be.
func (c *call) reach(local netip.Addr, then func(error)) {
	err := c.audio.bind(local)
	if err != nil || c.opts.NAT == nil {
		then(err)
		return
	}
	session := c.audio.session
	c.open++
	c.beside(func() {
		ctx, cancel := context.WithTimeout(c.ctx, reachTime)
		defer cancel()
		servers, err := c.opts.NAT(ctx)
		r, reachErr := session.Reach(ctx, servers)
		if r.Why == "" && err != nil {
			r.Why = fmt.Sprintf("no STUN server: %v", err)
		}
		c.box.post(func() {
			c.open--
			c.found(r, reachErr, then)
		})
	})
}

func (c *call) found(r media.Reach, err error, then func(error)) {
	if c.rec.State == Ended {
		return
	}
	if err == nil {
		c.rec.NAT = r.Via
		c.audio.announce(r)
		if r.Why != "" {
			c.note("NAT: " + clip(r.Why))
		}
	}
	then(err)
}

// announce has descriptions name the place where the audio can be reached.
func (a *audio) announce(r media.Reach) {
	a.caps.Addr, a.caps.Port, a.caps.RTCPPort = r.RTP.Addr(), int(r.RTP.Port()), int(r.RTCP.Port())
	a.origin.Addr = r.RTP.Addr()
	if a.caps.ICE = r.ICE; r.ICE != nil {
		a.caps.RTCPMux = true // a pair for both
	}
}

// path: by which way the audio goes was found out with the other side, or that there is none (any more).
func (c *call) path(via string, err error) {
	switch {
	case c.rec.State == Ended:
	case err == nil:
		c.rec.NAT, c.audio.seeking = via, false
		c.changed()
	case c.rec.State == Established && c.leaving == nil && c.audio.agreed.ICE != nil && !c.audio.seeking:
		c.seek(err)
	default:
		c.pathless(err)
	}
}

// seek looks for another path once the one in use is lost: a further ICE session, which our offer begins (RFC 8445 §9). A NAT that
// has forgotten us, or a side that has moved, costs a gap then and not the call.
func (c *call) seek(why error) {
	c.audio.seeking = true
	c.note("ICE restarts: " + clip(why.Error()))
	c.apply(&change{
		what:     "find another path for the audio",
		offer:    restartOffer,
		needless: func() bool { return !c.audio.seeking }, // the other side was faster
		done: func(err error) {
			if err != nil && c.rec.State != Ended {
				c.pathless(fmt.Errorf("%w (no restart: %w)", why, err))
			}
		},
	})
}

// pathless ends a call whose audio reaches nobody.
func (c *call) pathless(why error) {
	c.hangup(goodbye{End: End{Code: 503, Reason: clip(why.Error()), By: Network}, header: reasonHeader(503, "no path for media")})
}

// restartOffer offers what was described last, with a further ICE session.
func restartOffer(a *audio) []byte {
	a.origin = a.origin.Next()
	a.pending = true
	if own, err := a.session.RestartICE(); err == nil { // else it is closed, and the call about to end
		a.caps.ICE = own
		a.local = sdp.Restart(a.local, own, a.origin)
	}
	return a.local.Marshal()
}

// restart follows the other side into a further ICE session, which its offer begins with other credentials.
func (a *audio) restart(theirs *sdp.Description) error {
	now := theirs.ICE()
	if !a.started || a.agreed.ICE == nil || now == nil || now.Same(a.agreed.ICE) {
		return nil
	}
	own, err := a.session.RestartICE()
	if err != nil {
		return fmt.Errorf("audio: %w", err)
	}
	a.caps.ICE = own
	return nil
}
