package delivery

import "fmt"

// Transfers say who may send a line's calls elsewhere (REFER, RFC 3515). Whoever
// may has the line place calls, which is spending somebody's money: the zero value
// lets nobody.
type Transfers struct {
	Accept AcceptTransfers `json:"accept,omitempty"`
}

// AcceptTransfers is whose transfers a line follows. Where they lead to is
// bounded by Destinations as every call is.
type AcceptTransfers string

const (
	// AcceptNone follows no transfer; absent means the same.
	AcceptNone AcceptTransfers = "none"
	// AcceptPlaced follows those of whom the line has called.
	AcceptPlaced AcceptTransfers = "placed"
	// AcceptAny follows those of whoever has called the line, too.
	AcceptAny AcceptTransfers = "any"
)

func (t Transfers) validate() error {
	switch t.Accept {
	case "", AcceptNone, AcceptPlaced, AcceptAny:
		return nil
	}
	return fmt.Errorf("transfers.accept: %q is not one of none, placed, any", t.Accept)
}
