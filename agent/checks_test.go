package agent

import (
	"cmp"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/agent/checkrun"
	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/provisioning"
	"github.com/softphone-operator/softphone-operator/check"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// TestWhoseFaultItIs holds the table of docs/decisions: what a registrar does
// fails a check, what keeps our line from trying does not.
func TestWhoseFaultItIs(t *testing.T) {
	for says, c := range map[string]struct {
		row     delivery.Line
		network delivery.NetworkType
		icm     string
		status  control.LineStatus
		want    checkrun.Standing
	}{
		"registered":         {status: control.LineStatus{State: delivery.Registered}},
		"calls unregistered": {icm: "off", status: control.LineStatus{State: delivery.Disabled}},
		"draining": {row: delivery.Line{State: delivery.Draining}, status: control.LineStatus{State: delivery.Registered},
			want: checkrun.Standing{Untried: check.LineDraining, Words: "line alice cannot call: draining"}},
		"suspended": {row: delivery.Line{Suspended: true}, status: control.LineStatus{State: delivery.Disabled},
			want: checkrun.Standing{Untried: check.LineSuspended, Words: "line alice cannot call: suspended"}},
		"no network": {network: delivery.NoNetwork, status: control.LineStatus{State: delivery.Disabled},
			want: checkrun.Standing{Untried: check.CannotCall, Words: "line alice cannot call: no network"}},
		"held back for the registrar's sake": {status: control.LineStatus{State: delivery.Error, Problem: delivery.ProblemHeldBack},
			want: checkrun.Standing{Untried: check.LineNotReady, Words: "line alice cannot call: too many other lines were refused, this one waits its turn"}},
		"misconfigured": {status: control.LineStatus{State: delivery.Error, Problem: delivery.ProblemConfig, LastReason: "no host"},
			want: checkrun.Standing{Untried: check.LineMisconfigured, Words: "line alice cannot call: no host"}},
		"a digest we do not speak": {status: control.LineStatus{State: delivery.Error, Problem: delivery.ProblemDigest, LastReason: "NTLM"},
			want: checkrun.Standing{Untried: check.LineMisconfigured, Words: "line alice cannot call: NTLM"}},
		"refused": {status: control.LineStatus{State: delivery.Unauthorized, Problem: delivery.ProblemForbidden, LastCode: 403, LastReason: "Forbidden"},
			want: checkrun.Standing{NotRegistered: true, Words: "alice is not registered: 403 Forbidden"}},
		"refused, in words that begin with the code": {status: control.LineStatus{State: delivery.Unauthorized, Problem: delivery.ProblemUnauthorized, LastCode: 401, LastReason: "401 Unauthorized"},
			want: checkrun.Standing{NotRegistered: true, Words: "alice is not registered: 401 Unauthorized"}},
		"the registrar is down": {status: control.LineStatus{State: delivery.Error, Problem: delivery.ProblemTimeout},
			want: checkrun.Standing{NotRegistered: true, Words: "alice is not registered: Timeout"}},
		"no such registrar": {status: control.LineStatus{State: delivery.Error, Problem: delivery.ProblemHostNotFound, LastReason: "no such host"},
			want: checkrun.Standing{NotRegistered: true, Words: "alice is not registered: no such host"}},
		"still trying, after a failure": {status: control.LineStatus{State: delivery.Registering, Problem: delivery.ProblemTimeout},
			want: checkrun.Standing{NotRegistered: true, Words: "alice is not registered: Timeout"}},
		"registering": {status: control.LineStatus{State: delivery.Registering, Since: time.Unix(5, 0)},
			want: checkrun.Standing{Waiting: true, Since: time.Unix(5, 0), Words: "line alice is not registered yet (registering)"}},
	} {
		if c.row.State == "" {
			c.row.State = delivery.Active
		}
		a, _ := account.Effective(&account.Document{})
		a.ICM = cmp.Or(c.icm, "auto")
		to := &target{
			Line:     provisioning.Line{Name: "alice", Account: a, Row: c.row},
			settings: &settings{network: delivery.Network{Type: c.network}, incomingMode: "keepAwake"},
		}
		if got := callable("alice", to, c.status); got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", says, got, c.want)
		}
	}
}
