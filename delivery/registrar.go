package delivery

import "fmt"

// Registrar bounds what the lines of one agent, all together, ask of one
// registrar. A lone softphone needs no such thing; two hundred that start in one
// second look like an attack, and an address that is banned takes every line of
// the cluster with it.
type Registrar struct {
	// RequestsPerSecond are REGISTER requests sent to one server, answers to its
	// challenges included; 0 = 200.
	RequestsPerSecond int `json:"requestsPerSecond,omitempty"`
	// InFlight are REGISTER requests to one server that have no final answer
	// yet; 0 = 50.
	InFlight int `json:"inFlight,omitempty"`
	// RefusedPerMinute is how many lines one server may refuse (401, 403, 407
	// with our best credentials) within a minute before lines whose credentials
	// never worked wait; 0 = 20. Lines that were registered go on refreshing.
	RefusedPerMinute int `json:"refusedPerMinute,omitempty"`
	// QualifySeconds between two OPTIONS to one server; absent = 60, 0 = none.
	QualifySeconds *int `json:"qualifySeconds,omitempty"`
}

// Defaults of Registrar.
const (
	defaultRequestsPerSecond = 200
	defaultInFlight          = 50
	defaultRefusedPerMinute  = 20
	defaultQualifySeconds    = 60
)

// Defaults fills the absent fields.
func (r Registrar) Defaults() Registrar {
	if r.RequestsPerSecond == 0 {
		r.RequestsPerSecond = defaultRequestsPerSecond
	}
	if r.InFlight == 0 {
		r.InFlight = defaultInFlight
	}
	if r.RefusedPerMinute == 0 {
		r.RefusedPerMinute = defaultRefusedPerMinute
	}
	if r.QualifySeconds == nil {
		seconds := defaultQualifySeconds
		r.QualifySeconds = &seconds
	}
	return r
}

func (r Registrar) validate() error {
	bounds := []bound{
		{"registrar.requestsPerSecond", r.RequestsPerSecond},
		{"registrar.inFlight", r.InFlight},
		{"registrar.refusedPerMinute", r.RefusedPerMinute},
	}
	if r.QualifySeconds != nil {
		bounds = append(bounds, bound{"registrar.qualifySeconds", *r.QualifySeconds})
	}
	return notNegative(bounds)
}

// bound is a number that must not be negative, and where it stands.
type bound struct {
	field string
	value int
}

func notNegative(bounds []bound) error {
	for _, b := range bounds {
		if b.value < 0 {
			return fmt.Errorf("%s: %d is negative", b.field, b.value)
		}
	}
	return nil
}
