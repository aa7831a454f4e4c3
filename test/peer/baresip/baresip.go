// Package baresip runs a real softphone for tests: Debian's baresip, without
// sound hardware. It sends a tone of its own and records what it hears, so that
// audio is judged by a stranger's ears, and it is steered through its control
// socket.
package baresip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
	"github.com/softphone-operator/softphone-operator/test/peer/tone"
)

// Config of one baresip.
type Config struct {
	// Dir holds configuration, log and recordings; it must exist.
	Dir string
	// ToneHz is what it sends; 0 = nearly silence (1 Hz cannot be heard).
	ToneHz float64
	// Account is its only account.
	Account Account
	// Load is how many calls it is to carry at once; 0 = a few, and each is recorded.
	Load int
}

// Account of a baresip.
type Account struct {
	// User at Host, host:port of its registrar or of nobody.
	User, Host, Password string
	// Register at Host; otherwise it is called at its own address.
	Register bool
	// Server is where its requests go, ip:port, when Host is not; over Transport,
	// "udp", "tcp" or "tls"; "" = udp.
	Server, Transport string
	// AutoAnswer takes every call at once.
	AutoAnswer bool
	// Codecs it offers, as "PCMU/8000", by sampling rate: "G722/16000"; empty = both
	// laws.
	Codecs []string
	// Encryption of its media in its own words: srtp, srtp-mand, dtls_srtp …; "" = none.
	Encryption string
	// NAT is its way through NATs in its own words; "ice", or "" = none. It keeps its loopback addresses to
	// itself, so it takes part in ICE only where Interface names another.
	NAT string
	// Interface is the address its audio comes to; "" = 127.0.0.1.
	Interface string
}

// Program is a running baresip.
type Program struct {
	*process.Process
	dir     string
	sip     netip.AddrPort
	control net.Conn
	events  chan Event
	answers chan string
}

// Event is one of what baresip tells: CALL_ESTABLISHED, REGISTER_OK …
type Event struct {
	Type  string `json:"type"`
	Class string `json:"class"`
	Peer  string `json:"peeruri"`
	Param string `json:"param"`
}

// Start runs baresip and returns when it takes commands.
func Start(ctx context.Context, c Config) (*Program, error) {
	sip, err := process.FreePorts(2 + 2 + c.rtpPorts()) // the one after SIP's is TLS
	if err != nil {
		return nil, err
	}
	control, rtp := sip+2, sip+4
	p := &Program{
		dir: c.Dir, sip: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), sip),
		events: make(chan Event, 256), answers: make(chan string, 16),
	}
	if err := c.write(p.sip, control, rtp); err != nil {
		return nil, err
	}
	p.Process, err = process.Start(process.Config{
		Program: "baresip", Package: "baresip-core", Args: []string{"-f", c.Dir}, Dir: c.Dir, LogFile: filepath.Join(c.Dir, "log"),
	})
	if err != nil {
		return nil, err
	}
	if err := p.connect(ctx, control); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	go p.listen()
	return p, nil
}

// Address to call it at without a registrar.
func (p *Program) Address() netip.AddrPort { return p.sip }

// connect waits for the control socket.
func (p *Program) connect(ctx context.Context, port uint16) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			p.control = conn
			return nil
		}
		select {
		case <-p.Done():
			return fmt.Errorf("baresip ended:\n%s", p.Tail(2000))
		case <-ctx.Done():
			return fmt.Errorf("baresip does not listen: %w\n%s", err, p.Tail(2000))
		case <-retry.C:
		}
	}
}

// listen sorts what comes over the control socket.
func (p *Program) listen() {
	defer close(p.events)
	reader := newNetstrings(p.control)
	for {
		raw, err := reader.next()
		if err != nil {
			return
		}
		var m struct {
			Event, Response, OK bool
			Data                string
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			continue
		}
		if m.Response {
			p.answers <- m.Data
			continue
		}
		var e Event
		if json.Unmarshal(raw, &e) == nil && m.Event {
			p.events <- e
		}
	}
}

// Command runs one command of baresip's menu and gives its answer.
func (p *Program) Command(ctx context.Context, command, params string) (string, error) {
	raw, err := json.Marshal(map[string]string{"command": command, "params": params, "token": command})
	if err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(p.control, "%d:%s,", len(raw), raw); err != nil {
		return "", fmt.Errorf("baresip: %s: %w", command, err)
	}
	select {
	case answer := <-p.answers:
		return answer, nil
	case <-ctx.Done():
		return "", fmt.Errorf("baresip: %s: no answer: %w\n%s", command, ctx.Err(), p.Tail(2000))
	}
}

// Dial calls a SIP URI.
func (p *Program) Dial(ctx context.Context, uri string) error {
	_, err := p.Command(ctx, "dial", uri)
	return err
}

// Hangup ends the call.
func (p *Program) Hangup(ctx context.Context) error {
	_, err := p.Command(ctx, "hangup", "")
	return err
}

// SendDigits sends DTMF in the call, one digit after the other.
func (p *Program) SendDigits(ctx context.Context, digits string) error {
	_, err := p.Command(ctx, "sndcode", digits)
	return err
}

// Await waits for an event of that type; earlier ones of other types are passed over.
func (p *Program) Await(ctx context.Context, kind string) (Event, error) {
	var seen []string
	for {
		select {
		case e, open := <-p.events:
			if !open {
				return Event{}, fmt.Errorf("baresip ended before %s, after %v\n%s", kind, seen, p.Tail(2000))
			}
			if e.Type == kind {
				return e, nil
			}
			seen = append(seen, strings.TrimSpace(e.Type+" "+e.Param))
		case <-ctx.Done():
			return Event{}, fmt.Errorf("baresip: no %s, only %v\n%s", kind, seen, p.Tail(3000))
		}
	}
}

// Close ends baresip; its recordings are complete then.
func (p *Program) Close() error {
	_ = p.control.Close()
	return p.Stop(3 * time.Second)
}

// Quit ends baresip the way a user does: calls and registrations are ended.
func (p *Program) Quit() error { return errors.Join(p.Signal(syscall.SIGTERM), p.Close()) }

// Heard is the tone in what baresip received in its last call. Call it after the
// call has ended.
func (p *Program) Heard() (hz, share float64, err error) {
	recordings, err := filepath.Glob(filepath.Join(p.dir, "dump-*-dec.wav"))
	if err != nil {
		return 0, 0, err
	}
	if len(recordings) == 0 {
		return 0, 0, errors.New("baresip recorded nothing")
	}
	pcm, rate, err := tone.ReadWAV(recordings[len(recordings)-1])
	if err != nil {
		return 0, 0, err
	}
	return tone.Dominant(pcm, rate)
}

// ForTest starts a baresip that lives as long as the test.
func ForTest(tb process.TB, c Config) *Program {
	tb.Helper()
	if c.Dir == "" {
		c.Dir = tb.TempDir()
	}
	p, err := Start(tb.Context(), c)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	process.EndWith(tb, "baresip", p.Close, func() string { return "its log ends with:\n" + p.Tail(4000) })
	return p
}

// modules is where Debian keeps baresip's modules.
func modules() (string, error) {
	for _, pattern := range []string{"/usr/lib/baresip/modules", "/usr/lib/*/baresip/modules"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			if _, err := os.Stat(filepath.Join(found[0], "sndfile.so")); err == nil {
				return found[0], nil
			}
		}
	}
	return "", errors.New("baresip's modules are not installed (Debian package baresip-core)")
}
