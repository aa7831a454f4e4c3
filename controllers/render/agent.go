package render

import (
	"encoding/json"

	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Settings are a fleet's, with the built-in ones where it says nothing.
type Settings struct {
	Suspend       bool
	LinesPerAgent int
	Network       delivery.Network
	// IncomingCallMode stands behind icm: auto.
	IncomingCallMode string
	NoAnswerSeconds  int
	DrainSeconds     int
	Caps             delivery.Caps
	// SourceRequestsPerSecond that one address may send to an agent; 0 = no bound.
	SourceRequestsPerSecond int
	// Registrar bounds the whole fleet, until Among gives an agent its share.
	Registrar delivery.Registrar
	// Destinations guard what lines may call.
	Destinations delivery.Destinations
	// Transfers say who may send a line's calls elsewhere.
	Transfers delivery.Transfers
	// HEP is where copies of SIP messages go.
	HEP delivery.HEP
	// MetricLabels are keys of accounts' labels that metrics carry.
	MetricLabels []string
	TLS          *v1.TLS
	// Prompts are the audio files in the agents' pods; nil = none.
	Prompts *v1.Prompts
	Pod     *v1.AgentPod
}

// FleetSettings fills what a fleet does not say. The zero spec gives the
// built-in settings, those of a fleet "default" that has no object.
func FleetSettings(spec v1.SoftphoneFleetSpec) Settings {
	network := ptr.Deref(spec.Network, v1.Network{})
	caps := ptr.Deref(spec.Caps, v1.Caps{})
	registrar := ptr.Deref(spec.Registrar, v1.Registrar{})
	defaults := delivery.Registrar{}.Defaults()
	return Settings{
		Suspend:          ptr.Deref(spec.Suspend, false),
		LinesPerAgent:    number(spec.LinesPerAgent, 200),
		Network:          delivery.Network{Type: delivery.NetworkType(ptr.Deref(network.Type, string(delivery.WiFi))), SSID: ptr.Deref(network.SSID, "")},
		IncomingCallMode: ptr.Deref(spec.IncomingCallMode, "keepAwake"),
		NoAnswerSeconds:  number(spec.NoAnswerSeconds, 60),
		DrainSeconds:     number(spec.DrainSeconds, 30),
		Caps: delivery.Caps{
			ConcurrentCalls:   number(caps.ConcurrentCalls, 20),
			NewCallsPerSecond: number(caps.NewCallsPerSecond, 10),
			MaxCallSeconds:    number(caps.MaxCallSeconds, 3600),
		},
		SourceRequestsPerSecond: number(spec.SourceRequestsPerSecond, 50),
		Registrar: delivery.Registrar{
			RequestsPerSecond: number(registrar.RequestsPerSecond, defaults.RequestsPerSecond),
			InFlight:          number(registrar.InFlight, defaults.InFlight),
			RefusedPerMinute:  number(registrar.RefusedPerMinute, defaults.RefusedPerMinute),
			QualifySeconds:    ptr.To(number(registrar.QualifySeconds, *defaults.QualifySeconds)),
		},
		Destinations: destinations(ptr.Deref(spec.Destinations, v1.Destinations{})),
		Transfers:    transfers(ptr.Deref(spec.Transfers, v1.Transfers{})),
		HEP:          hep(ptr.Deref(spec.HEP, v1.HEP{})),
		MetricLabels: metricLabels(spec.MetricLabels),
		TLS:          spec.TLS,
		Prompts:      spec.Prompts,
		Pod:          spec.Pod,
	}
}

func destinations(d v1.Destinations) delivery.Destinations {
	texts := func(prefixes []v1.NumberPrefix) []string {
		var out []string
		for _, p := range prefixes {
			out = append(out, string(p))
		}
		return out
	}
	return delivery.Destinations{
		AllowEmergency: ptr.Deref(d.AllowEmergency, false), AllowPremium: ptr.Deref(d.AllowPremium, false),
		Allow: texts(d.Allow), Deny: texts(d.Deny), MinutesPerDay: number(d.MinutesPerDay, 0),
	}
}

func hep(h v1.HEP) delivery.HEP {
	return delivery.HEP{Address: h.Address, CaptureID: uint32(max(ptr.Deref(h.CaptureID, 0), 0))}
}

func transfers(t v1.Transfers) delivery.Transfers {
	return delivery.Transfers{Accept: delivery.AcceptTransfers(ptr.Deref(t.Accept, ""))}
}

func number(p *int32, absent int) int {
	if p == nil {
		return absent
	}
	return int(*p)
}

// Among gives one of so many agents its share of what the fleet may ask of a
// registrar. The number is rounded up, so that an agent that comes for a while
// (a node is drained, a line moves) does not change the files of all others.
func (s Settings) Among(agents int) Settings {
	n := steps(agents)
	s.Registrar.RequestsPerSecond = max(1, s.Registrar.RequestsPerSecond/n)
	s.Registrar.InFlight = max(1, s.Registrar.InFlight/n)
	return s
}

// steps rounds up to 1, 2, 3, 4, 6, 8, 12, 16 and so on.
func steps(n int) int {
	for power := 1; ; power *= 2 {
		switch {
		case n <= power:
			return power
		case power > 1 && n <= power/2*3:
			return power / 2 * 3
		}
	}
}

// Row is the line's row of agent.json. The account's UID is its identity at
// registrars: it outlives every pod, and a new account of the same name is another line.
func Row(acc *v1.SoftphoneAccount, b v1.LineBinding, suspended bool) delivery.Line {
	row := delivery.Line{Slot: int(b.Slot), State: delivery.Active, Instance: "urn:uuid:" + string(acc.UID), Suspended: suspended, Trunk: acc.IsTrunk()}
	if b.State == v1.BindingDraining {
		row.State = delivery.Draining
	}
	return row
}

// AgentFile is agent.json; labels are those of accounts, by line.
func AgentFile(name string, hashKey []byte, s Settings, rows map[string]delivery.Line, labels map[string]map[string]string) []byte {
	out, err := json.Marshal(delivery.Agent{
		Version:                 1,
		Name:                    name,
		HashKey:                 hashKey,
		Network:                 s.Network,
		IncomingCallMode:        s.IncomingCallMode,
		NoAnswerSeconds:         s.NoAnswerSeconds,
		DrainSeconds:            s.DrainSeconds,
		Caps:                    s.Caps,
		SourceRequestsPerSecond: s.SourceRequestsPerSecond,
		Registrar:               s.Registrar,
		Destinations:            s.Destinations,
		Transfers:               s.Transfers,
		HEP:                     s.HEP,
		MetricLabels:            s.LabelNames(),
		Labels:                  labels,
		Lines:                   rows,
	})
	if err != nil {
		panic(err) // strings, numbers and maps of them always encode
	}
	return append(out, '\n')
}
