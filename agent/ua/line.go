package ua

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Line is what an endpoint hands requests to.
type Line interface {
	// HandleRequest is called for every new request, ACK of a 2xx included (its tx
	// takes no response); for those of one Call-ID one after the other, in the order
	// they came. It must not block for long: others wait; whoever gets a request other than ACK answers it through tx. A panic
	// in it is caught, counted and answered 500.
	//
	// CANCEL: one that matches an INVITE's transaction is answered by the
	// transaction layer (200, then 487 for the INVITE); the line learns of it by
	// tx.OnCancel. Others are answered 481 here.
	HandleRequest(req *sip.Request, tx sip.ServerTransaction)
	// ServerAddrs are the addresses of the line's server now. Only from there
	// is a request taken that names no Contact user. It must not block.
	ServerAddrs() []netip.AddrPort
	// AOR is the user and host of the address of record.
	AOR() (user, host string)
}

// Capable is a Line that knows what it handles; 405 and 420 tell it. It answers OPTIONS
// by itself, as what else it would say to an INVITE belongs to that (RFC 3261 §11.2).
type Capable interface {
	Allow() []sip.RequestMethod // e.g. with MESSAGE when the account allows it
	Supported() []string        // option tags
}

// Bind routes requests whose Request-URI user is user to l, until unbind is
// called. user should be unguessable (NewContactUser). A user bound already is
// an error.
func (e *Endpoint) Bind(user string, l Line) (unbind func(), err error) {
	if user == "" || l == nil {
		return nil, fmt.Errorf("bind line: a Contact user and a line are needed")
	}
	return e.lines.bind(user, l)
}

// directory knows the bound lines, by Contact user and by server.
type directory struct {
	mu      sync.RWMutex
	byUser  map[string]Line
	byAddr  map[netip.Addr][]Line // of the last look at ServerAddrs
	indexed time.Time
}

// indexAge bounds how long a line's new server address may stay unknown here.
const indexAge = time.Second

func (d *directory) bind(user string, l Line) (func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byUser[user] != nil {
		return nil, fmt.Errorf("bind line: Contact user %q is bound already", user)
	}
	if d.byUser == nil {
		d.byUser = make(map[string]Line)
	}
	d.byUser[user] = l
	d.indexed = time.Time{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.byUser[user] == l {
			delete(d.byUser, user)
			d.indexed = time.Time{}
		}
	}, nil
}

func (d *directory) len() int {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return len(d.byUser)
}

func (d *directory) bound(user string) bool { return d.named(user) != nil }

func (d *directory) named(user string) Line {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byUser[user]
}

func (d *directory) isServer(a netip.Addr) bool { return len(d.servedBy(a)) > 0 }

// servedBy gives the lines whose server has this address. All lines are asked,
// but at most once a second, however many strangers knock.
func (d *directory) servedBy(a netip.Addr) []Line {
	a = a.Unmap()
	d.mu.RLock()
	lines, fresh := d.byAddr[a], time.Since(d.indexed) < indexAge
	d.mu.RUnlock()
	if fresh {
		return lines
	}
	d.mu.RLock()
	bound := make([]Line, 0, len(d.byUser))
	for _, l := range d.byUser {
		bound = append(bound, l)
	}
	d.mu.RUnlock()
	index := make(map[netip.Addr][]Line)
	for _, l := range bound {
		for _, s := range l.ServerAddrs() {
			ip := s.Addr().Unmap()
			if there := index[ip]; len(there) == 0 || there[len(there)-1] != l { // thousands have one server
				index[ip] = append(there, l)
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byAddr, d.indexed = index, time.Now()
	return index[a]
}

// find gives the line a request is for: the one whose Contact user it names;
// failing that, and only from a line's server, the one whose address of record
// it names, else the server's only line.
func (d *directory) find(req *sip.Request) Line {
	user := unescapeUser(req.Recipient.User)
	if l := d.named(user); l != nil {
		return l
	}
	from, err := netip.ParseAddrPort(req.Source())
	if err != nil {
		return nil
	}
	served := d.servedBy(from.Addr())
	if l := byAOR(served, user, req.To()); l != nil {
		return l
	}
	if len(served) == 1 {
		return served[0]
	}
	return nil
}

// byAOR gives the one line with this user; where several have it (on several
// domains of one server), the To header's host decides.
func byAOR(lines []Line, user string, to *sip.ToHeader) Line {
	var found []Line
	for _, l := range lines {
		if u, _ := l.AOR(); u == user && user != "" {
			found = append(found, l)
		}
	}
	if len(found) > 1 && to != nil {
		found = slices.DeleteFunc(found, func(l Line) bool {
			_, host := l.AOR()
			return hostOnly(host) != hostOnly(to.Address.Host)
		})
	}
	if len(found) != 1 {
		return nil
	}
	return found[0]
}
