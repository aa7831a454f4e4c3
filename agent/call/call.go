package call

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/account/rewrite"
	"github.com/softphone-operator/softphone-operator/agent/media"
	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// call is one call. All fields below box belong to the goroutine of run.
type call struct {
	set       *Set
	opts      Options // as they were when the call began
	log       *slog.Logger
	tag       string // ours, in every dialog of this call
	inviteKey inviteKey
	ctx       context.Context // the call's life
	cancel    context.CancelFunc
	view      atomic.Pointer[view]
	box       *mailbox

	rec    Record
	alarms alarms
	acks   <-chan *sip.Request // of the INVITE transaction we answer
	dialog *dialog             // nil before there is one
	audio  *audio
	hops   map[string]netip.AddrPort // names looked up
	open   int                       // transactions of ours that run
	acked  <-chan struct{}           // closed once the ACK of the INVITE of ours that was refused last has left; nil: none was

	pledge  *pledge     // a provisional response of ours without its PRACK
	settled bool        // offer and answer were exchanged before the first INVITE's 2xx
	invite  *invitation // the latest INVITE we got; nil for a call we placed, until a re-INVITE
	attempt *attempt    // the INVITE we sent; nil for a call that came
	leaving *goodbye    // how the call is to end once it can be

	vigil  vigil        // over the other side, once the call is answered
	digits digitsByINFO // that are still to be sent

	transfers transfers // of this call elsewhere
	changes   []*change // of the session that we ask for; the first is under way
	timer     sessionTimer
	heir      *heir // what it takes over from the call it replaces; nil = it replaces none

	respondWith []rewrite.Header // that rules set on the responses to the first INVITE

	taken, allotted time.Duration // of the day's minutes; allotted > 0: they end the call
}

// view is what others see of a call: an unchanging record and, while there is
// one, the session to ask for numbers.
type view struct {
	record  Record
	session Media
}

// mostDigits bounds the digits a Dial sends and a record keeps.
const mostDigits = 128

func newCall(s *Set, o Options, d Direction, remote sip.Uri) *call {
	c := &call{
		set: s, opts: o, tag: ua.NewTag(), box: newMailbox(), alarms: make(alarms), hops: make(map[string]netip.AddrPort),
		rec: Record{
			ID: strings.ToLower(rand.Text()[:16]), Line: o.Line, Direction: d, Remote: plainURI(remote), State: Trying,
			Protection: "none", NAT: "plain", Treatment: []string{}, StartedAt: time.Now(),
		},
	}
	if o.Account.NatTraversal == "off" {
		c.rec.NAT = "off"
	}
	c.log = o.Log.With("line", o.Line, "call", c.rec.ID)
	return c
}

// plainURI is a URI without parameters, for people.
func plainURI(u sip.Uri) string {
	if !ua.IsSIP(u) {
		return printable(u.String())
	}
	return printable(u.Addr())
}

// run is the call's goroutine: events and alarms, until the call has ended and
// nothing of it is under way.
func (c *call) run() {
	c.changed()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !c.over() {
		if after, ok := c.alarms.next(); ok {
			timer.Reset(after)
		}
		select {
		case <-c.box.wake:
			for event := c.box.next(); event != nil; event = c.box.next() {
				event()
			}
		case ack := <-c.acks:
			c.handleACK(ack)
		case <-timer.C:
			for _, a := range c.alarms.due() {
				c.ring(a)
			}
		case <-c.ctx.Done():
			c.abandon(End{Code: 480, Reason: "line closed", By: Local})
			return
		}
	}
}

// over says whether nothing is left to do, and refuses further events then.
func (c *call) over() bool { return c.rec.State == Ended && c.open == 0 && c.box.close() }

// ring acts on an alarm that is due.
func (c *call) ring(a alarm) {
	switch a {
	case alarmAnswer:
		c.answer()
	case alarmNoAnswer:
		c.noAnswer()
	case alarmRetransmit:
		c.retransmit()
	case alarmACK:
		c.noACK()
	case alarmSetup:
		c.hangup(goodbye{End: End{Code: 408, Reason: fmt.Sprintf("no answer within %v", short(setupTime)), By: Timeout}})
	case alarmCancel:
		c.giveUpInvite()
	case alarmSilence:
		c.silent()
	case alarmReliable:
		c.repeatReliable()
	case alarmHangup:
		c.hangup(goodbye{End: End{Reason: c.lasted(), By: Local}})
	case alarmLoss:
		c.lookForLoss()
	case alarmDigit:
		c.nextINFO()
	case alarmReplaced:
		c.hangup(goodbye{End: End{Reason: c.transfers.over, By: Local}})
	case alarmTransfer:
		c.transferOver(408, "the other side never told the outcome")
	case alarmChange:
		c.beginChange()
	case alarmNotify:
		if r := c.transfers.following; r != nil {
			c.notify(r)
		}
	case alarmReply:
		c.noReply()
	case alarmRefresh:
		c.refresh()
	case alarmExpiry:
		c.expired()
	case alarmDuration:
		why := "maximum duration reached"
		if c.allotted > 0 {
			why = "the day's minutes are used up"
		}
		c.hangup(goodbye{End: End{Reason: why, By: Policy}, header: reasonHeader(200, why)})
	}
}

// lasted says why a call ends after the time that it was to last.
func (c *call) lasted() string {
	if c.attempt == nil {
		return "hung up as was asked of the call it replaced"
	}
	return fmt.Sprintf("hung up after %v as asked", short(c.attempt.dial.lasts()))
}

// short writes a duration without zero parts: 60s, not 1m0s.
func short(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.Itoa(int(d/time.Second)) + " s"
	}
	return d.String()
}

// state moves the call on; it never goes back.
func (c *call) state(s State) {
	if order[s] <= order[c.rec.State] {
		return
	}
	c.rec.State = s
	if s == Ringing || s == Early {
		c.rang()
	}
	c.log.Debug("call", "state", s)
	c.changed()
}

// rang notes the first sign of ringing.
func (c *call) rang() {
	if c.rec.RingMs == nil {
		after := time.Since(c.rec.StartedAt).Milliseconds()
		c.rec.RingMs = &after
	}
}

var order = map[State]int{Trying: 0, Ringing: 1, Early: 2, Established: 3, Ended: 4}

// established notes the answer.
func (c *call) established() {
	c.rec.AnsweredAt = time.Now()
	setup := c.rec.AnsweredAt.Sub(c.rec.StartedAt).Milliseconds()
	c.rec.SetupMs = &setup
	c.alarms.set(alarmDuration, c.opts.Caps.MaxDuration)
	c.spend()
	c.guardLoss()
	c.audio.session.Answered()
	c.state(Established)
	c.takePlace()
}

// end ends the call; the first reason given stays.
func (c *call) end(e End) {
	if c.rec.State == Ended {
		return
	}
	if !c.rec.AnsweredAt.IsZero() {
		e.Code = 200
	}
	c.spent()
	c.lastAlarms()
	c.leaving = nil
	if c.audio != nil {
		stats, err := c.audio.close()
		if kept := c.audio.tape.stop(); kept != nil {
			c.rec.Recording = kept
		}
		if err != nil {
			c.log.Warn("audio did not end well", "error", err)
		}
		c.rec.measure(stats)
		if strings.HasPrefix(stats.DTMF, c.rec.DTMF) {
			c.rec.DTMF = stats.DTMF // the last digits may still be in the mailbox
		}
	}
	c.rec.State, c.rec.EndedAt, c.rec.End = Ended, time.Now(), &e
	c.rec, c.audio = c.record(), nil // transactions keep the call for 64·T1 more; let them not keep its buffers
	c.log.Debug("call", "state", Ended, "code", e.Code, "reason", e.Reason, "by", e.By)
	c.set.left(c.record())
	c.changed()
	c.dropChanges()
}

// lastAlarms leaves a call that has ended the one it still needs: who sent a REFER is told
// of its end all the same.
func (c *call) lastAlarms() {
	notify, waits := c.alarms[alarmNotify]
	clear(c.alarms)
	if waits {
		c.alarms[alarmNotify] = notify
	}
}

// beside runs a part of the call in a goroutine of its own.
func (c *call) beside(f func()) { c.set.calls.Go(func() { c.guarded(f) }) }

// guarded runs a part of the call that has its own goroutine. A panic in it, as one in
// the call's, costs this call and no more.
func (c *call) guarded(f func()) {
	if c.opts.Endpoint.Guard(c.opts.Line, f) {
		c.box.post(func() {
			c.abandon(broken)
			c.cancel()
		})
	}
}

// broken is the end of a call that a panic left behind.
var broken = End{Code: 500, Reason: "internal error", By: Local}

// abandon ends a call at once, with one last message that nobody waits for.
func (c *call) abandon(e End) {
	c.box.drop()
	if c.rec.State != Ended {
		c.lastWord(e)
	}
	c.end(e)
}

// changed publishes the record.
func (c *call) changed() {
	v := &view{record: c.record()}
	if c.audio != nil {
		v.session = c.audio.session
	}
	c.view.Store(v)
	if c.opts.OnChange != nil {
		c.opts.OnChange(c.snapshot())
	}
	if c.attempt != nil {
		c.attempt.dial.errand.tell(c.rec)
	}
}

// record is the record as of now, without the session's numbers.
func (c *call) record() Record {
	r := c.rec
	if c.audio != nil {
		r.Codec, r.Hold, r.Held = c.audio.codecName(), c.audio.hold(), c.audio.held.String()
		r.Protection = c.audio.agreed.Protection.String()
	}
	return r
}

// snapshot is the record with the session's numbers; any goroutine may ask.
func (c *call) snapshot() Record {
	v := c.view.Load()
	r := v.record
	if v.session != nil {
		r.measure(v.session.Stats())
	}
	return r
}

// measure takes a session's numbers into the record.
func (r *Record) measure(s media.Stats) {
	r.RTP = RTP{Sent: s.Sent, Received: s.Received, Lost: s.Lost, JitterMs: s.JitterMs, RTTMs: s.RTTMs}
	r.R, r.MOS, r.Cipher, r.Quality = s.R, s.MOS, s.Cipher, qualityOf(s)
	if p := s.Probe; p != nil {
		r.Probe = &Probe{MouthToEarMs: p.MouthToEarMs, SegmentalSNRDB: p.SegmentalSNR, SpectralDistanceDB: p.SpectralDistance}
	}
	if p := s.Peer; p != nil && p.Of > 0 {
		percent := min(100*float64(max(p.Lost, 0))/float64(p.Of), 100)
		r.RTP.SentLossPercent = &percent
	}
	if !s.FirstPacket.IsZero() && !r.AnsweredAt.IsZero() {
		after := max(s.FirstPacket.Sub(r.AnsweredAt).Milliseconds(), 0)
		r.FirstPacketMs = &after
	}
	if r.Trouble = nil; !r.AnsweredAt.IsZero() {
		for _, t := range s.Trouble {
			r.Trouble = append(r.Trouble, string(t))
		}
	}
	r.SoundSeconds, r.StalledMs = s.Sound.Seconds(), s.Stalled.Milliseconds()
	if r.Tones = nil; len(s.Tones) > 0 {
		for _, t := range s.Tones {
			r.Tones = append(r.Tones, Tone{t.Hz, t.For.Seconds()})
		}
	}
	if s.LastHeard != nil {
		r.Heard = &Heard{FrequencyHz: s.LastHeard.FrequencyHz, LevelDBm0: s.LastHeard.LevelDBm0}
	}
}

// note adds a remark to the record, unless it is closed: its end is its last change.
func (c *call) note(remark string) {
	if c.rec.State == Ended {
		return
	}
	c.rec.Treatment = append(c.rec.Treatment, remark)
	c.changed()
}

// digit notes a digit received.
func (c *call) digit(d rune) {
	if len(c.rec.DTMF) < mostDigits && c.rec.State != Ended {
		c.rec.DTMF += string(d)
		c.changed()
	}
}

func isDigit(c rune) bool { return strings.ContainsRune("0123456789*#ABCDabcd", c) }

// destination gives the place for requests to u. Names are looked up once a call;
// one that is not found, or takes long, is where the first message came from.
func (c *call) destination(u sip.Uri, peer string) (ua.Candidate, error) {
	link := c.opts.Link
	port := link.TransportOf(u).DefaultPort()
	if u.Port > 0 && u.Port < 1<<16 {
		port = uint16(u.Port)
	}
	host := strings.Trim(u.Host, "[]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return link.Hop(u, netip.AddrPortFrom(addr, port)), nil
	}
	name := host
	if u.Port > 0 {
		name = net.JoinHostPort(host, strconv.Itoa(u.Port))
	}
	if addr, ok := c.hops[name]; ok {
		return link.Hop(u, addr), nil
	}
	ctx, cancel := context.WithTimeout(c.ctx, lookupTime)
	defer cancel()
	found, err := c.opts.Endpoint.Resolve(ctx, name, link.TransportOf(u))
	if err != nil || len(found) == 0 {
		addr, perr := netip.ParseAddrPort(peer)
		if perr != nil {
			return ua.Candidate{}, errors.Join(err, perr)
		}
		c.log.Debug("next hop not found, using where the call came from", "host", host, "error", err)
		c.hops[name] = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		return link.Hop(u, c.hops[name]), nil
	}
	// A dialog stays with the server that it was made with, where the name has several.
	if at, err := netip.ParseAddrPort(peer); err == nil {
		at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		if slices.ContainsFunc(found, func(f ua.Candidate) bool { return f.Addr == at }) {
			c.hops[name] = at
			return link.Hop(u, at), nil
		}
	}
	c.hops[name] = found[0].Addr
	return link.Hop(u, found[0].Addr), nil
}

// lookupTime bounds a look at the DNS.
const lookupTime = 5 * time.Second

// contact is our Contact towards peer, and the address audio is to come to.
func (c *call) contact(peer netip.AddrPort) (sip.Uri, netip.Addr, error) {
	ctx, cancel := context.WithTimeout(c.ctx, lookupTime)
	defer cancel()
	addr, err := c.opts.Endpoint.LocalAddrFor(ctx, peer)
	if err != nil {
		return sip.Uri{}, addr, err
	}
	at := netip.AddrPortFrom(addr, uint16(c.opts.Endpoint.Port()))
	return c.opts.Link.DialogContact(c.opts.ContactUser, at), addr, nil
}
