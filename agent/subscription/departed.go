package subscription

import "time"

// departed are dialogs whose subscription we ended: the notifier still sends a last
// NOTIFY (RFC 6665 §4.1.2.3), which is no mistake of its.
type departed struct{ all []departure }

type departure struct {
	key dialogKey
	at  time.Time
}

// mostDeparted are remembered, for timerN.
const mostDeparted = 256

func (d *departed) add(key dialogKey, now time.Time) {
	d.forget(now)
	if len(d.all) >= mostDeparted {
		d.all = d.all[1:]
	}
	d.all = append(d.all, departure{key, now})
}

func (d *departed) has(key dialogKey, now time.Time) bool {
	d.forget(now)
	for _, o := range d.all {
		if o.key == key {
			return true
		}
	}
	return false
}

func (d *departed) forget(now time.Time) {
	gone := 0
	for gone < len(d.all) && now.Sub(d.all[gone].at) >= timerN {
		gone++
	}
	if d.all = d.all[gone:]; len(d.all) == 0 {
		d.all = nil
	}
}
