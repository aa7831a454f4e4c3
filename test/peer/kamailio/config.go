package kamailio

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Config describes one instance. Its zero value is a registrar on a free
// loopback port that knows no subscriber.
type Config struct {
	// Dir holds the configuration, the log and the control FIFOs. Empty: a
	// temporary directory, removed by Close.
	Dir string
	// LogFile receives what kamailio logs. Empty: kamailio.log in Dir.
	LogFile string
	// Listen is the UDP and TCP address. Port 0, or no address at all: a
	// free port of the loopback interface.
	Listen netip.AddrPort
	// TLS adds a TLS listener.
	TLS *TLS
	// Domains are names the registrar answers for beside its addresses, such
	// as "registrar.test". Each counts with the SIP default ports and with
	// the ports listened on.
	Domains []string
	// Subscribers maps user names to their passwords.
	Subscribers map[string]string
	// MinExpires and MaxExpires bound a binding's lifetime; whole seconds.
	// Zero: 10 s and one hour.
	MinExpires, MaxExpires time.Duration
	// MaxContacts is how many bindings one user may hold. Zero: no limit.
	MaxContacts int
	// ByContact keys bindings by the contact URI alone, as registrars do that
	// do not know RFC 5626. Otherwise a binding that names an instance is
	// keyed by instance and reg-id, which kamailio does whatever the request's
	// Supported header says.
	ByContact bool
	// Algorithm of the digest challenge: "MD5" or "SHA-256" (RFC 7616).
	// Empty: a challenge that names none, which means MD5.
	Algorithm string
	// Presence makes it tell of mailboxes and of calls: it takes PUBLISH and SUBSCRIBE
	// for the events message-summary and dialog, and publishes the calls that go
	// through it. What it holds of subscriptions is gone after a restart.
	Presence bool
	// Capture makes it a capture server instead: over UDP it takes copies of SIP messages
	// (HEP) and nothing else, and logs a line for each.
	Capture bool
	// Children is the number of worker processes per transport. Zero: 2.
	Children int
	// Extra is put into the configuration verbatim.
	Extra Extra
}

// TLS is the TLS listener's part of a Config.
type TLS struct {
	Listen            netip.AddrPort // port 0: a free one
	CertFile, KeyFile string         // PEM
	// ClientCAFile has the authorities of clients' certificates, PEM. Without
	// one, none is asked for; with it, none is no way in.
	ClientCAFile string
}

// Extra holds verbatim lines for three places of the configuration.
type Extra struct {
	Globals string // beside the other global parameters
	Modules string // after the other modules and their parameters
	Request string // at the head of the request route
}

//go:embed kamailio.cfg.tmpl
var configText string

var configTemplate = template.Must(template.New("kamailio.cfg").Parse(configText))

const tlsConfigText = `[server:default]
method = TLSv1.2+
private_key = %s
certificate = %s
%s
[client:default]
method = TLSv1.2+
verify_certificate = no
`

// config of the TLS module.
func (t TLS) config() string {
	clients := "verify_certificate = no\nrequire_certificate = no\n"
	if t.ClientCAFile != "" {
		clients = "verify_certificate = yes\nrequire_certificate = yes\nca_list = " + t.ClientCAFile + "\n"
	}
	return fmt.Sprintf(tlsConfigText, t.KeyFile, t.CertFile, clients)
}

// userName is what may name a subscriber: it stands unquoted in the
// configuration, as a key of a hash table.
var userName = regexp.MustCompile(`^[A-Za-z0-9._+-]+$`)

// withDefaults fills what c leaves open and reports what cannot work.
func (c Config) withDefaults() (Config, error) {
	if !c.Listen.Addr().IsValid() {
		c.Listen = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), c.Listen.Port())
	}
	var err error
	if c.Listen, err = choosePort(c.Listen); err != nil {
		return c, err
	}
	if c.TLS != nil {
		t := *c.TLS
		if !t.Listen.Addr().IsValid() {
			t.Listen = netip.AddrPortFrom(c.Listen.Addr(), t.Listen.Port())
		}
		if t.Listen, err = choosePort(t.Listen); err != nil {
			return c, err
		}
		c.TLS = &t
	}
	if c.MinExpires == 0 {
		c.MinExpires = 10 * time.Second
	}
	if c.MaxExpires == 0 {
		c.MaxExpires = time.Hour
	}
	if c.Children == 0 {
		c.Children = 2
	}
	for user, password := range c.Subscribers {
		if err := checkCredentials(user, password); err != nil {
			return c, err
		}
	}
	return c, nil
}

// checkCredentials reports a user name or password the registrar cannot hold.
func checkCredentials(user, password string) error {
	if !userName.MatchString(user) {
		return fmt.Errorf("kamailio: subscriber %q: a user name is made of letters, digits and . _ + -", user)
	}
	if password == "" || strings.ContainsAny(password, "\n\r") {
		return fmt.Errorf("kamailio: subscriber %s: a password is not empty and has no line break", user)
	}
	return nil
}

// choosePort replaces port 0 by one that is free for UDP and for TCP.
func choosePort(a netip.AddrPort) (netip.AddrPort, error) {
	if a.Port() != 0 {
		return a, nil
	}
	var last error
	for range 20 {
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(a))
		if err != nil {
			return a, fmt.Errorf("kamailio: no free port at %s: %w", a.Addr(), err)
		}
		found := tcp.Addr().(*net.TCPAddr).AddrPort()
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(found))
		last = errors.Join(err, tcp.Close())
		if err == nil {
			return netip.AddrPortFrom(a.Addr(), found.Port()), udp.Close()
		}
	}
	return a, fmt.Errorf("kamailio: no port free for both UDP and TCP at %s: %w", a.Addr(), last)
}

// aliases lists the names the registrar answers for, always with a port: one
// without would match every port, and in-dialog requests for a user agent on
// the same host would be taken for the registrar's own.
func (c Config) aliases() []string {
	var all []string
	for _, d := range c.Domains {
		ports := []uint16{5060, 5061, c.Listen.Port()}
		if c.TLS != nil {
			ports = append(ports, c.TLS.Listen.Port())
		}
		slices.Sort(ports)
		for _, p := range slices.Compact(ports) {
			all = append(all, fmt.Sprintf("%q:%d", d, p))
		}
	}
	return all
}

// write puts the configuration into dir and returns its path. c has its
// defaults.
func (c Config) write(dir string) (string, error) {
	modules, err := modulePath()
	if err != nil {
		return "", err
	}
	type credential struct{ User, Password string }
	values := struct {
		Config
		Dir, FIFO, ModulePath, TLSConfig string
		Aliases                          []string
		Credentials                      []credential
		MinExpires, MaxExpires           int
	}{
		Config: c, Dir: dir, FIFO: filepath.Join(dir, fifoName), ModulePath: modules,
		TLSConfig: filepath.Join(dir, "tls.cfg"), Aliases: c.aliases(),
		MinExpires: int(c.MinExpires.Seconds()), MaxExpires: int(c.MaxExpires.Seconds()),
	}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for user, password := range c.Subscribers {
		values.Credentials = append(values.Credentials, credential{user, escape.Replace(password)})
	}
	slices.SortFunc(values.Credentials, func(a, b credential) int { return strings.Compare(a.User, b.User) })

	var text bytes.Buffer
	if err := configTemplate.Execute(&text, values); err != nil {
		return "", fmt.Errorf("kamailio: render configuration: %w", err)
	}
	if c.TLS != nil {
		if err := os.WriteFile(values.TLSConfig, []byte(c.TLS.config()), 0o600); err != nil {
			return "", err
		}
	}
	if c.Presence {
		if err := copyTables(filepath.Join(dir, "tables")); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "kamailio.cfg")
	return path, os.WriteFile(path, text.Bytes(), 0o600)
}

// presenceTables are what kamailio's presence wants of a database; text files will do.
var presenceTables = []string{"version", "presentity", "active_watchers", "watchers", "xcap", "pua"}

// copyTables puts empty tables into dir, unless they are there.
func copyTables(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return nil
		}
		return err
	}
	for _, table := range presenceTables {
		text, err := os.ReadFile(filepath.Join("/usr/share/kamailio/dbtext/kamailio", table))
		if err != nil {
			return fmt.Errorf("kamailio: tables of its package: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, table), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// modulePath finds the directory of kamailio's modules, which differs per
// architecture.
func modulePath() (string, error) {
	for _, pattern := range []string{"/usr/lib/*/kamailio/modules/htable.so", "/usr/lib/kamailio/modules/htable.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return filepath.Dir(found[0]) + "/", nil
		}
	}
	return "", errors.New("kamailio: its modules are not installed (Debian packages kamailio, kamailio-tls-modules)")
}
