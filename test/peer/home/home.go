// Package home puts a test's phones where most phones are: into a network of private addresses, behind a NAT of the Linux kernel.
// Phone and router each have a network namespace that has no name and is held by the test alone, so that nothing is left of them when
// the test ends, however it ends. The test itself is the internet; it must be in a namespace of its own.
package home

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
)

// Config of a home.
type Config struct {
	// Number tells homes apart, from 1 to 99.
	Number int
	// Beyond is the internet's address at the other end of the router's line, the first one given to Internet.
	Beyond netip.Addr
	// NAT before it; "" = Keeping.
	NAT NAT
}

// NAT is what a router does to what leaves it.
type NAT string

// There are phones with public addresses, NATs that keep the phone's own port, and NATs that take another one for every destination, at
// random.
const (
	None      NAT = "none"
	Keeping   NAT = "keeping"
	Symmetric NAT = "symmetric"
)

// Home is a phone's network and the router before it.
type Home struct {
	phone, router   *os.File // their namespaces
	inside, outside netip.Addr
}

// rules of a router: whoever is inside may go out, as the router itself; nobody comes in who was not spoken to, as routers for homes
// have it. (What came in unasked would also take the port that the NAT is about to use.)
const rules = `table ip nat {
  chain out {
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade %s
  }
}
table ip guard {
  chain in {
    type filter hook input priority filter;
    iifname "wan" ct state new drop
  }
  chain through {
    type filter hook forward priority filter;
    iifname "wan" ct state new drop
  }
}
`

// Internet makes the test's namespace one: it forwards, and drops without a word what is sent to private addresses. Programs in it that
// do not choose an address have the first one, whoever they talk to: also to another of these.
func Internet(tb process.TB, addrs ...netip.Addr) {
	tb.Helper()
	ip(tb, nil, "link set lo up", "link add void arp off type veth peer name abyss", "link set abyss up", "link set void up", "route add 192.168.0.0/16 dev void")
	for _, a := range addrs {
		ip(tb, nil, fmt.Sprintf("addr add %s/32 dev void", a), fmt.Sprintf("route replace local %s dev void table local proto kernel scope host src %s", a, addrs[0]))
	}
	forward(tb, nil)
}

// New builds a home, which lasts as long as the test.
func New(tb process.TB, c Config) *Home {
	tb.Helper()
	h := &Home{inside: netip.AddrFrom4([4]byte{192, 168, byte(c.Number), 2}), outside: netip.AddrFrom4([4]byte{10, 78, byte(c.Number), 2})}
	h.phone, h.router = namespace(tb), namespace(tb)
	street, lan := fmt.Sprintf("street%d", c.Number), fmt.Sprintf("192.168.%d", c.Number)
	ip(tb, nil, "link add "+street+" type veth peer name wan netns "+path(h.router), "link set "+street+" up",
		fmt.Sprintf("addr add %s/32 peer %s dev %s", c.Beyond, h.outside, street))
	ip(tb, h.router, "link set lo up", "link set wan up", fmt.Sprintf("addr add %s/32 peer %s dev wan", h.outside, c.Beyond),
		fmt.Sprintf("route add default via %s", c.Beyond), "link add lan type veth peer name lan netns "+path(h.phone),
		"addr add "+lan+".1/24 dev lan", "link set lan up")
	ip(tb, h.phone, "link set lo up", "addr add "+h.inside.String()+"/24 dev lan", "link set lan up", "route add default via "+lan+".1")
	forward(tb, h.router)
	switch c.NAT {
	case None:
		ip(tb, nil, fmt.Sprintf("route add %s.0/24 via %s dev %s", lan, h.outside, street))
	case Symmetric:
		run(tb, h.router, fmt.Sprintf(rules, "fully-random"), "nft", "-f", "-")
	default:
		run(tb, h.router, fmt.Sprintf(rules, ""), "nft", "-f", "-")
	}
	return h
}

// Inside is the phone's address.
func (h *Home) Inside() netip.Addr { return h.inside }

// Outside is the address that others see.
func (h *Home) Outside() netip.Addr { return h.outside }

// Command that runs a program in the phone's network.
func (h *Home) Command(program string, args ...string) (string, []string) {
	return "nsenter", append([]string{"--net=" + path(h.phone), "--", program}, args...)
}

// DialContext connects to the phone from beside it, as who runs it does. The address is one of numbers.
func (h *Home) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := within(h.phone, func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Translations is what the router's NAT does at the moment, for who wonders about it.
func (h *Home) Translations() string {
	program, args := in(h.router, "conntrack", "-L")
	said, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v: %s", err, said)
	}
	return string(said)
}

// namespace makes a network namespace. It is gone when its file is closed and nobody is in it.
func namespace(tb process.TB) *os.File {
	tb.Helper()
	var made *os.File
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this, instead of going on in there
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			made, err = os.Open("/proc/thread-self/ns/net")
		}
		failed <- err
	}()
	if err := <-failed; err != nil {
		tb.Fatalf("a network namespace: %v", err)
	}
	tb.Cleanup(func() { _ = made.Close() })
	return made
}

// within does something in a namespace.
func within(space *os.File, do func() error) error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // as above
		err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			err = do()
		}
		failed <- err
	}()
	return <-failed
}

// path of a namespace, for other programs.
func path(space *os.File) string {
	return "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(int(space.Fd()))
}

// in gives the command for a program in a namespace; nil = the test's own.
func in(space *os.File, program string, args ...string) (string, []string) {
	if space == nil {
		return program, args
	}
	return "nsenter", append([]string{"--net=" + path(space), "--", program}, args...)
}

func ip(tb process.TB, space *os.File, commands ...string) {
	tb.Helper()
	run(tb, space, strings.Join(commands, "\n")+"\n", "ip", "-batch", "-")
}

func forward(tb process.TB, space *os.File) {
	tb.Helper()
	run(tb, space, "1", "tee", "/proc/sys/net/ipv4/ip_forward")
}

// run a program that must succeed.
func run(tb process.TB, space *os.File, input, program string, args ...string) {
	tb.Helper()
	name, args := in(space, program, args...)
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	if said, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			tb.Fatalf("%s is not installed (see hack/install-packages.sh)", name)
		}
		tb.Fatalf("%s %s: %v\n%s\n%s", program, strings.Join(args, " "), err, said, input)
	}
}
