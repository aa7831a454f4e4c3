package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"github.com/softphone-operator/softphone-operator/agent/ua"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Options of an agent.
type Options struct {
	// Accounts is the directory of account files (package delivery).
	Accounts string
	// State is a directory that outlives the process: identities and the SIP
	// port are kept there. "" = they are derived, or new each time.
	State string
	// Prompts is the directory of audio files (WAV, CAF) that call tones name; "" = none.
	Prompts string
	// Name of the agent; "" = the one in agent.json, else the host's name.
	Name string
	// Version of the program, for reports.
	Version string
	// SIP address to bind; port 0 = derived from the name. Zero = all addresses.
	SIP netip.AddrPort
	// Network overrides the delivered network type; "" = as delivered.
	Network delivery.NetworkType
	// Listen, Control and Report are addresses of the HTTP listeners; "" = none.
	// A loopback Listen serves control as well.
	Listen, Control, Report string
	// ControlTokenFile holds the token that statusz and calls ask for on every
	// listener; needed where Control is not loopback.
	ControlTokenFile string
	// TLSCA is a PEM file of authorities that servers' certificates may be signed
	// by, beside the system's and the delivered ones; "" = none.
	TLSCA string
	// Resolvers are the name servers to ask; none = those of /etc/resolv.conf.
	Resolvers []netip.AddrPort
	Log       *slog.Logger

	locator *ua.Locator // of all SIP ports
	tap     ua.Tap      // on them
}

func (o Options) validate() error {
	if o.Accounts == "" {
		return errors.New("no directory of accounts given (--accounts)")
	}
	info, err := os.Stat(o.Accounts)
	if err != nil {
		return fmt.Errorf("accounts directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("accounts directory: %s is not a directory", o.Accounts)
	}
	switch o.Network {
	case "", delivery.WiFi, delivery.Cellular, delivery.NoNetwork:
	default:
		return fmt.Errorf("network %q is not one of wifi, cellular, none", o.Network)
	}
	return nil
}
