package subscription

import "slices"

// calls are those of somebody who is watched, as far as documents have told
// (RFC 4235 §4.3).
type calls struct {
	known   bool // a document came
	version uint64
	all     []Dialog
}

// take a document over. gap: something between this one and the one before is
// missing, and a whole document is needed.
//
// Documents of one subscription come in the order of their CSeq, which was checked
// before. A whole one is therefore always the newest, whatever its version says:
// some servers number them anew, or not at all. One that tells of changes counts if
// its number goes on.
func (c *calls) take(info DialogInfo) (gap bool) {
	switch {
	case info.Full:
		c.all = c.all[:0:0]
	case !c.known:
		gap = true // changes to what nobody told
	case info.Version <= c.version:
		return false // told before
	default:
		gap = info.Version > c.version+1
	}
	c.known, c.version = true, info.Version
	for _, d := range info.Dialogs {
		c.set(d)
	}
	return gap
}

// set takes one call over. One that has ended stays until the next document, so that
// its end can be told.
func (c *calls) set(d Dialog) {
	if i := slices.IndexFunc(c.all, func(o Dialog) bool { return o.ID == d.ID }); i >= 0 {
		if d.Direction == "" {
			d.Direction = c.all[i].Direction
		}
		if d.Remote == "" {
			d.Remote = c.all[i].Remote
		}
		c.all[i] = d
		return
	}
	if len(c.all) < mostDialogs {
		c.all = append(c.all, d)
	}
}

// bury forgets the calls that have ended.
func (c *calls) bury() {
	c.all = slices.DeleteFunc(c.all, func(d Dialog) bool { return d.State == Terminated })
}

// sum is what somebody does who has these calls: the state of the one that is
// furthest. Whoever speaks is busy, whatever else rings.
func sum(known bool, all []Dialog) DialogState {
	if !known {
		return Unknown
	}
	most := Idle
	for _, d := range all {
		if slices.Index(DialogStates, d.State) > slices.Index(DialogStates, most) {
			most = d.State
		}
	}
	return most
}
