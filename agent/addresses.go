package agent

import (
	"context"

	"github.com/softphone-operator/softphone-operator/agent/ua"
)

// watchAddresses has every line look whether its address is still the one that it
// registered with, when one of this host's has changed.
func (s *supervisor) watchAddresses(ctx context.Context) {
	err := ua.WatchAddresses(ctx, func() {
		for _, l := range s.allLines() {
			if in := l.current.Load(); in != nil {
				in.reg.Recheck()
			}
		}
	})
	if err != nil {
		s.log.Info("the kernel does not tell of changed addresses: OPTIONS will, later", "error", err)
	}
}
