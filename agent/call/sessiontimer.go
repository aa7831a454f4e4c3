package call

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// Session timers (RFC 4028) let everybody on a call's way, the proxies included, know
// that it goes on: one side refreshes the session at half of an agreed interval, and
// who sees no refresh in time hangs up. We offer them on calls we place and take them
// on calls that come; without the other side's consent there are none.
const (
	tagTimer = "timer"
	// wantedInterval is what we ask for: RFC 4028 §4 recommends no less.
	wantedInterval = 30 * time.Minute
	// leastInterval is the shortest that we agree to: "the minimum value … MUST NOT be
	// less than 90 seconds" (§5).
	leastInterval = 90 * time.Second
	// leastGranted is the shortest that is followed when the other side decides, though
	// it should not: what is shorter would be a flood.
	leastGranted = 10 * time.Second
	// mostMargin is how long before its end a session is ended that nobody refreshed (§10).
	mostMargin = 32 * time.Second
	// mostLonger bounds how often an INVITE is sent again for a longer interval; every
	// proxy on the way may ask for one.
	mostLonger = 4
)

// SessionTimer is the agreed interval of a call.
type SessionTimer struct {
	// Seconds after which the session ends unless it was refreshed.
	Seconds int `json:"seconds"`
	// Refresher is who does that: local or remote.
	Refresher By `json:"refresher"`
}

// sessionTimer is a call's.
type sessionTimer struct {
	asked, least time.Duration // Session-Expires and Min-SE of our INVITE
	longer       int           // times that it was too short
	agreed       time.Duration // 0 = none
	ours         bool          // we refresh
}

// expires is a Session-Expires header.
type expires struct {
	interval  time.Duration
	refresher string // uac, uas, or "" = unsaid
}

func (e expires) String() string {
	text := strconv.Itoa(int(e.interval / time.Second))
	if e.refresher != "" {
		text += ";refresher=" + e.refresher
	}
	return text
}

var errExpires = errors.New("not a Session-Expires")

// parseExpires reads a Session-Expires.
func parseExpires(value string) (expires, error) {
	text, params, _ := strings.Cut(value, ";")
	interval, ok := deltaSeconds(text)
	if !ok {
		return expires{}, errExpires
	}
	e := expires{interval: interval}
	for param := range strings.SplitSeq(params, ";") {
		name, v, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "refresher") {
			continue
		}
		e.refresher = strings.ToLower(strings.TrimSpace(v))
		if e.refresher != "uac" && e.refresher != "uas" {
			return expires{}, errExpires
		}
	}
	return e, nil
}

// deltaSeconds reads a number of seconds; more than 32 bits are as many as fit.
func deltaSeconds(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		seconds = 1<<32 - 1
	}
	return time.Duration(seconds) * time.Second, true
}

// expiresOf is the Session-Expires of a message; nil when there is none.
func expiresOf(m interface{ GetHeaders(string) []sip.Header }) (*expires, error) {
	value := valueIn(m, "Session-Expires", "x")
	if value == "" {
		return nil, nil
	}
	e, err := parseExpires(value)
	return &e, err
}

// supports says whether the sender of a message supports an extension.
func supports(m interface{ GetHeaders(string) []sip.Header }, tag string) bool {
	for _, value := range valuesIn(m, "Supported", "k") {
		if slices.ContainsFunc(strings.Split(value, ","), func(t string) bool { return strings.EqualFold(strings.TrimSpace(t), tag) }) {
			return true
		}
	}
	return false
}

// screenTimer refuses an interval that is too short (§9). Who does not support timers
// would not understand the refusal, and has no interval to be refused: a proxy's.
func screenTimer(req *sip.Request) *sip.Response {
	switch e, err := expiresOf(req); {
	case err != nil:
		return badRequest(req, "Malformed Session-Expires")
	case e != nil && e.interval < leastInterval && supports(req, tagTimer):
		return reply(req, 422, sip.NewHeader("Min-SE", seconds(leastInterval)))
	}
	return nil
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// askTimer asks for a session timer in a request that makes or refreshes the session.
// Within a dialog it names the one who refreshes, so that the parts are not changed by
// who happens to ask (§7.4).
func (c *call) askTimer(req *sip.Request) {
	t := &c.timer
	if t.asked == 0 {
		t.asked, t.least = wantedInterval, leastInterval
	}
	e := expires{interval: t.asked}
	switch within := req.To().Params.Has("tag"); {
	case within && t.agreed == 0, !within && slices.Contains(c.attempt.without, tagTimer):
		return
	case within:
		e = expires{interval: max(t.agreed, t.least), refresher: "uas"}
		if t.ours {
			e.refresher = "uac"
		}
	}
	req.AppendHeader(sip.NewHeader("Session-Expires", e.String()))
	req.AppendHeader(sip.NewHeader("Min-SE", seconds(t.least)))
}

// tooShort takes the Min-SE of a 422; false when there is no asking again.
func (c *call) tooShort(res *sip.Response) bool {
	t := &c.timer
	least, ok := deltaSeconds(valueIn(res, "Min-SE", ""))
	if res.StatusCode != 422 || !ok || t.longer >= mostLonger || least <= max(t.agreed, t.least) && least <= t.asked {
		return false
	}
	t.longer++
	t.least = max(t.least, least)
	t.asked = max(t.asked, t.least)
	return true
}

// askLonger is the next INVITE after one whose interval was too short (§7.3).
func (c *call) askLonger(res *sip.Response) *sip.Request {
	if c.attempt.leaving != nil || !c.tooShort(res) {
		return nil
	}
	next := ua.Retry(c.attempt.invite)
	for _, name := range []string{"Session-Expires", "Min-SE"} {
		for next.RemoveHeader(name) {
		}
	}
	c.askTimer(next)
	c.note(fmt.Sprintf("%s: asked again for a session of %s", status(res), short(c.timer.asked)))
	return next
}

// grantTimer agrees to the interval that a request asks for, in its 2xx (§9, table 2).
// The timer runs from when that is on its way: start says so.
func (c *call) grantTimer(req *sip.Request, res *sip.Response) (start func()) {
	e, err := expiresOf(req)
	if err != nil || e == nil || e.interval < leastInterval {
		return func() { c.runTimer(0, false) }
	}
	able := supports(req, tagTimer)
	switch {
	case !able:
		e.refresher = "uas" // a proxy's wish; the other side knows nothing of it
	case e.refresher == "":
		e.refresher = "uac"
	}
	res.AppendHeader(sip.NewHeader("Session-Expires", e.String()))
	if able {
		res.AppendHeader(sip.NewHeader("Require", tagTimer))
	}
	return func() { c.runTimer(e.interval, e.refresher == "uas") }
}

// tookTimer takes what a 2xx of the other side says of the timer: without a word there
// is none (§7.2).
func (c *call) tookTimer(res *sip.Response) {
	e, err := expiresOf(res)
	if err != nil || e == nil || e.interval < leastGranted {
		c.runTimer(0, false)
		return
	}
	c.runTimer(e.interval, e.refresher != "uas")
}

// runTimer begins an interval.
func (c *call) runTimer(interval time.Duration, ours bool) {
	c.alarms.stop(alarmRefresh, alarmExpiry)
	c.timer.agreed, c.timer.ours = interval, ours
	if interval == 0 {
		c.rec.SessionTimer = nil
		return
	}
	c.rec.SessionTimer = &SessionTimer{Seconds: int(interval / time.Second), Refresher: Remote}
	if ours {
		c.rec.SessionTimer.Refresher = Local
		c.alarms.set(alarmRefresh, interval/2)
	}
	// "… the minimum of 32 seconds or one third of the session interval before the
	// session expiration" (§10).
	c.alarms.set(alarmExpiry, interval-min(mostMargin, interval/3))
}

// refresh refreshes the session. A change that is under way does so as well, if it is
// accepted.
func (c *call) refresh() {
	c.alarms.set(alarmRefresh, max(c.timer.agreed/16, time.Second)) // unless it is refreshed until then
	if len(c.changes) > 0 {
		return
	}
	c.apply(&change{what: "refresh the session", done: func(err error) {
		if err != nil {
			c.note("session not refreshed: " + clip(printable(err.Error())))
		}
	}})
}

// expired ends a session that nobody refreshed.
func (c *call) expired() {
	why := fmt.Sprintf("session timer: the other side did not refresh the session of %s", short(c.timer.agreed))
	if c.timer.ours {
		why = fmt.Sprintf("session timer: the session of %s could not be refreshed", short(c.timer.agreed))
	}
	c.hangup(goodbye{End: End{Reason: why, By: Timeout}, header: reasonHeader(408, "session timer expired")})
}
