package call

import (
	"context"
	"fmt"

	"github.com/softphone-operator/softphone-operator/agent/sdp"
)

// held says who holds a call: who does, does not want to hear the other side. Each
// side has a hold of its own, and ends none but that (RFC 6337 §5.3).
type held struct{ here, there bool }

// String is what records say.
func (h held) String() string {
	switch h {
	case held{here: true, there: true}:
		return "both"
	case held{here: true}:
		return "local"
	case held{there: true}:
		return "remote"
	}
	return ""
}

// Hold asks the other side of a call to send nothing until Resume, and returns once
// it agreed. Holding a held call is no error. Errors wrap ErrNoCall, ErrNotNow,
// ErrPeerRefused, or are ctx's; that ends the waiting, not the hold.
func (s *Set) Hold(ctx context.Context, id string) error { return s.setHold(ctx, id, true) }

// Resume ends our own hold of a call; the other side's stays. See Hold.
func (s *Set) Resume(ctx context.Context, id string) error { return s.setHold(ctx, id, false) }

func (s *Set) setHold(ctx context.Context, id string, on bool) error {
	done := make(chan error, 1)
	if err := s.inCall(id, func(c *call) error { return c.hold(on, func(err error) { done <- err }) }); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold asks for a hold, or for its end; done is told once what came of it.
func (c *call) hold(on bool, done func(error)) error {
	if c.rec.State != Established || c.leaving != nil {
		return fmt.Errorf("%w: the call is %s", ErrNotNow, c.rec.State)
	}
	m := &change{what: "resume", offer: resumeOffer}
	if on {
		m.what, m.offer = "hold", holdOffer
	}
	m.needless = func() bool { return c.audio.held.here == on }
	m.done = func(err error) {
		if err != nil {
			c.note(fmt.Sprintf("%s failed: %s", m.what, clip(printable(err.Error()))))
		}
		done(err)
	}
	c.apply(m)
	return nil
}

// holdOffer asks the other side to send nothing: "if the stream to be placed on hold
// was previously a sendrecv media stream, it is placed on hold by marking it as
// sendonly. If the stream was previously a recvonly media stream, it is placed on hold
// by marking it inactive" (RFC 3264 §8.4).
func holdOffer(a *audio) []byte {
	a.caps.Direction = sdp.SendOnly
	if a.held.there {
		return a.redirect(sdp.Inactive)
	}
	return a.redirect(sdp.SendOnly)
}

// resumeOffer offers both ways, whatever the other side wants: its answer says so.
func resumeOffer(a *audio) []byte {
	a.caps.Direction = sdp.SendRecv
	return a.redirect(sdp.SendRecv)
}

// redirect offers what was described last, in another direction.
func (a *audio) redirect(d sdp.Direction) []byte {
	a.origin = a.origin.Next()
	a.local, a.pending = sdp.Redirect(a.local, d, a.origin), true
	return a.local.Marshal()
}
