package agent

import (
	"context"
	"time"

	"github.com/softphone-operator/softphone-operator/agent/control"
	"github.com/softphone-operator/softphone-operator/agent/webservice"
)

// startVPN asks the account's vpnStartupUrl before an attempt to register. What it
// says is counted and shown; the line registers all the same.
func (in *incarnation) startVPN(l *line) func(context.Context) {
	return func(ctx context.Context) {
		t := in.target.Load()
		if t.Account.VPNStartupURL == "" {
			in.vpn.Store(nil)
			return
		}
		service, ok := webservice.New(t.Document(), webservice.VPNStartup)
		if !ok {
			return
		}
		answer, err := service.Do(ctx, nil)
		if ctx.Err() != nil {
			return // nobody waits for it any more
		}
		now := control.WebService{At: time.Now(), LastCode: answer.Code}
		if before := in.vpn.Load(); before != nil {
			now.Requests, now.Failures = before.Requests, before.Failures
		}
		now.Requests++
		if err != nil {
			now.Failures++
			now.LastReason = err.Error()
			l.log().Warn("vpnStartupUrl failed; the line registers all the same", "error", err)
		}
		in.vpn.Store(&now)
		l.poke()
	}
}
