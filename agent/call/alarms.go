package call

import (
	"slices"
	"time"
)

// T1 and T2 of RFC 3261 §17.1.1.1 and the time after which a transaction is
// given up.
const (
	t1        = 500 * time.Millisecond
	t2        = 4 * time.Second
	giveUp    = 64 * t1
	setupTime = 3 * time.Minute // an outgoing call waits for a final response (Timer C, §16.6 item 11)
)

// alarm is a deadline of a call.
type alarm int

const (
	alarmAnswer     alarm = iota // answer by ourselves
	alarmNoAnswer                // nobody answered
	alarmRetransmit              // send the 2xx again
	alarmACK                     // no ACK came
	alarmSetup                   // no final response came
	alarmCancel                  // no final response came after CANCEL
	alarmHangup                  // the call has lasted as long as asked
	alarmDuration                // the call has lasted as long as allowed
	alarmLoss                    // see whether the other side is still there
	alarmDigit                   // the next digit by INFO
	alarmTransfer                // nobody told what became of a REFER
	alarmReplaced                // nobody ended a call whose place was taken
	alarmChange                  // a change of the session that was to come again later
	alarmReply                   // nobody answered a re-INVITE of ours
	alarmSilence                 // the server said nothing to the INVITE
	alarmReliable                // send the reliable provisional response again
	alarmRefresh                 // the session is to be refreshed
	alarmExpiry                  // nobody refreshed it
	alarmNotify                  // a NOTIFY that was to come again later
)

// alarms are the deadlines of one call.
type alarms map[alarm]time.Time

func (a alarms) set(which alarm, after time.Duration) { a[which] = time.Now().Add(after) }

func (a alarms) stop(which ...alarm) {
	for _, w := range which {
		delete(a, w)
	}
}

// next tells how long until the first deadline.
func (a alarms) next() (time.Duration, bool) {
	var first time.Time
	for _, at := range a {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return time.Until(first), len(a) > 0
}

// due takes the deadlines that have passed, earliest first.
func (a alarms) due() []alarm {
	now := time.Now()
	var due []alarm
	for w, at := range a {
		if !at.After(now) {
			due = append(due, w)
		}
	}
	slices.SortFunc(due, func(x, y alarm) int {
		if c := a[x].Compare(a[y]); c != 0 {
			return c
		}
		return int(x - y)
	})
	a.stop(due...)
	return due
}
