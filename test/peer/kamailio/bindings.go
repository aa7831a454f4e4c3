package kamailio

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// table is the name of the location table.
const table = "location"

// Binding is one contact of a user, as the registrar holds it.
type Binding struct {
	AOR       string `json:"aor"`     // the user part
	Contact   string `json:"contact"` // the contact URI
	Expires   int    `json:"expires"` // seconds left
	CallID    string `json:"callID"`
	CSeq      int    `json:"cseq"`
	UserAgent string `json:"userAgent,omitempty"`
	Received  string `json:"received,omitempty"` // URI of the address the REGISTER came from
	Instance  string `json:"instance,omitempty"` // +sip.instance without its angle brackets
	RegID     int    `json:"regID,omitempty"`
	Socket    string `json:"socket"` // the registrar's own end, as transport:address:port
}

// Contacts returns the live bindings of user; none is not an error.
func (r *Registrar) Contacts(ctx context.Context, user string) ([]Binding, error) {
	var a aor
	err := r.call(ctx, &a, "ul.lookup", table, user)
	if isNotFound(err) {
		return nil, nil
	}
	return a.bindings(), err
}

// Dump returns every live binding, ordered by user and contact.
func (r *Registrar) Dump(ctx context.Context) ([]Binding, error) {
	var dump struct {
		Domains []struct {
			Domain struct {
				AoRs []struct{ Info aor }
			}
		}
	}
	if err := r.call(ctx, &dump, "ul.dump"); err != nil {
		return nil, err
	}
	var all []Binding
	for _, d := range dump.Domains {
		for _, a := range d.Domain.AoRs {
			all = append(all, a.Info.bindings()...)
		}
	}
	slices.SortFunc(all, func(a, b Binding) int {
		if c := strings.Compare(a.AOR, b.AOR); c != 0 {
			return c
		}
		return strings.Compare(a.Contact, b.Contact)
	})
	return all, nil
}

// RemoveContact drops one binding of user behind its owner's back.
func (r *Registrar) RemoveContact(ctx context.Context, user, contact string) error {
	return r.call(ctx, nil, "ul.rm_contact", table, user, contact)
}

// isNotFound tells whether err says that a user has no binding.
func isNotFound(err error) bool {
	var e *rpcError
	return errors.As(err, &e) && strings.Contains(e.Message, "not found")
}

// aor is one user's record in kamailio's own shape.
type aor struct {
	AoR      string
	Contacts []struct {
		Contact struct {
			Address   string
			Expires   lifetime
			CallID    string `json:"Call-ID"`
			CSeq      int
			UserAgent optional `json:"User-Agent"`
			Received  optional
			Instance  optional
			RegID     int `json:"Reg-Id"`
			Socket    string
		}
	}
}

func (a aor) bindings() []Binding {
	var all []Binding
	for _, c := range a.Contacts {
		k := c.Contact
		if k.Expires <= 0 {
			continue // expired or deleted, kept by kamailio until its next timer
		}
		all = append(all, Binding{
			AOR: a.AoR, Contact: k.Address, Expires: int(k.Expires), CallID: k.CallID, CSeq: k.CSeq,
			UserAgent: string(k.UserAgent), Received: string(k.Received),
			Instance: strings.Trim(string(k.Instance), "<>"), RegID: k.RegID, Socket: k.Socket,
		})
	}
	return all
}

// lifetime is a number of seconds, or a word for a binding that has ended.
type lifetime int

func (l *lifetime) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' { // "expired", "deleted"
		*l = 0
		return nil
	}
	return json.Unmarshal(b, (*int)(l))
}

// optional is a string that kamailio shows as a placeholder when absent.
type optional string

func (o *optional) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if s == "[not set]" || s == "n/a" {
		s = ""
	}
	*o = optional(s)
	return nil
}
