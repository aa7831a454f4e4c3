// Package linphone runs another real softphone for tests: Debian's
// linphone-daemon, without sound hardware, steered over its socket. It sends a
// tone of its own; what it hears is judged by who talks to it.
package linphone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/process"
	"github.com/softphone-operator/softphone-operator/test/peer/tone"
)

// Config of one linphone.
type Config struct {
	// Dir holds configuration, log and tone; it must exist.
	Dir string
	// ToneHz is what Play sends.
	ToneHz float64
	// User at Host, the host:port of its registrar.
	User, Host, Password string
	// AutoAnswer takes every call at once.
	AutoAnswer bool
	// Codecs it speaks, "name/clock" or "name/clock/channels", preferred first; none: its own choice.
	Codecs []string
	// Encryption of its media in its own words: srtp, dtls …; "" = none. Suites of SRTP; "" = its own choice.
	Encryption, Suites string
}

// Program is a running linphone.
type Program struct {
	*process.Process
	dir, socket string
	sip         netip.AddrPort
	control     net.Conn
	seen        []string // events passed over
}

// configText takes: port of SIP, user, encryption, a line about suites, first and last port of RTP. Every other
// transport is off, so that instances do not meet.
const configText = `[sip]
sip_port=%d
sip_tcp_port=0
sip_tls_port=0
guess_hostname=0
contact=sip:%s@127.0.0.1
bind_address=127.0.0.1
use_ipv6=0
media_encryption=%s
%s[net]
mtu=1300
firewall_policy=0
[rtp]
audio_rtp_port=%d-%d
[sound]
echocancellation=0
`

// rtpPorts a linphone has for its calls.
const rtpPorts = 20

// toneLength is how long a tone lasts.
const toneLength = 60 * time.Second

// Start runs linphone and returns when it takes commands.
func Start(ctx context.Context, c Config) (*Program, error) {
	port, err := process.FreePorts(2 + rtpPorts)
	if err != nil {
		return nil, err
	}
	suites := ""
	if c.Suites != "" {
		suites = "srtp_crypto_suites=" + c.Suites + "\n"
	}
	rc := filepath.Join(c.Dir, "linphonerc")
	text := fmt.Appendf(nil, configText, port, c.User, cmp.Or(c.Encryption, "none"), suites, port+2, port+1+rtpPorts)
	if err := os.WriteFile(rc, append(text, codecsText(c.Codecs)...), 0o600); err != nil {
		return nil, err
	}
	if err := tone.WriteWAV(filepath.Join(c.Dir, "tone.wav"), tone.Sine(c.ToneHz, toneLength)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(c.Dir, ".local/share/linphone"), 0o700); err != nil { // its database's; without one it stands still
		return nil, err
	}
	name := fmt.Sprintf("linphone-%d-%d", os.Getpid(), port) // it puts its socket into /tmp
	p := &Program{
		dir: c.Dir, socket: filepath.Join("/tmp", name),
		sip: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port),
	}
	args := []string{"--config", rc, "--pipe", name, "--disable-stats-events", "--log", filepath.Join(c.Dir, "messages")}
	if c.AutoAnswer {
		args = append(args, "--auto-answer")
	}
	p.Process, err = process.Start(process.Config{
		Program: "linphone-daemon", Package: "linphone-cli", Args: args, Dir: c.Dir, LogFile: filepath.Join(c.Dir, "log"), Env: []string{"HOME=" + c.Dir},
	})
	if err != nil {
		return nil, err
	}
	if err := p.connect(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// codecsText has it speak these codecs. Those that its configuration does not name are off, but for Opus.
func codecsText(codecs []string) (text string) {
	if len(codecs) == 0 {
		return ""
	}
	const section = "[audio_codec_%d]\nmime=%s\nrate=%s\nchannels=%s\nenabled=%d\n"
	none := fmt.Sprintf(section, len(codecs), "opus", "48000", "2", 0)
	for i, codec := range codecs {
		name, clock, _ := strings.Cut(codec, "/")
		clock, channels, several := strings.Cut(clock, "/")
		if !several {
			channels = "1"
		}
		if text += fmt.Sprintf(section, i, name, clock, channels, 1); name == "opus" {
			none = ""
		}
	}
	return text + none
}

// Address to call it at without a registrar.
func (p *Program) Address() netip.AddrPort { return p.sip }

// connect waits for the socket.
func (p *Program) connect(ctx context.Context) error {
	return p.until(ctx, "listens", func() (bool, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", p.socket)
		p.control = conn
		return err == nil, nil
	})
}

// until looks again and again.
func (p *Program) until(ctx context.Context, says string, holds func() (bool, error)) error {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-p.Done():
			return fmt.Errorf("linphone ended before it %s:\n%s", says, p.Tail(2000))
		case <-ctx.Done():
			return fmt.Errorf("linphone never %s, only %v: %w\n%s", says, p.seen, ctx.Err(), p.messages())
		case <-retry.C:
		}
	}
}

// messages is the end of its log.
func (p *Program) messages() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "messages"))
	return string(b[max(0, len(b)-6000):])
}

// Command runs one command and gives the lines of its answer.
func (p *Program) Command(command string) (string, error) {
	_ = p.control.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintln(p.control, command); err != nil {
		return "", fmt.Errorf("linphone: %s: %w", command, err)
	}
	answer := make([]byte, 64<<10)
	n, err := p.control.Read(answer) // it writes an answer at once
	if err != nil {
		return "", fmt.Errorf("linphone: %s: %w", command, err)
	}
	said := string(answer[:n])
	if !strings.HasPrefix(said, "Status: Ok") {
		return "", fmt.Errorf("linphone: %s: %s", command, strings.TrimSpace(said))
	}
	return said, nil
}

// field is a line of an answer, "" when it has none of that name.
func field(answer, name string) string {
	for line := range strings.Lines(answer) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Register binds the user at the registrar and waits for it.
func (p *Program) Register(ctx context.Context, c Config) error {
	if _, err := p.Command(fmt.Sprintf("register sip:%s@%s sip:%s %s", c.User, c.Host, c.Host, c.Password)); err != nil {
		return err
	}
	return p.until(ctx, "registers", func() (bool, error) {
		said, err := p.Command("register-status ALL")
		return strings.Contains(said, "LinphoneRegistrationOk"), err
	})
}

// Dial calls a SIP URI and gives linphone's number of the call.
func (p *Program) Dial(uri string) (id string, err error) {
	said, err := p.Command("call " + uri)
	return field(said, "Id"), err
}

// Await waits for an event: the state of a call, as "StreamsRunning", and gives its
// number. Earlier events of other kinds are passed over.
func (p *Program) Await(ctx context.Context, state string) (id string, err error) {
	err = p.until(ctx, "says "+state, func() (bool, error) {
		said, err := p.Command("pop-event")
		what := strings.TrimPrefix(field(said, "Event"), "LinphoneCall")
		if id = field(said, "Id"); what != "" {
			p.seen = append(p.seen, what+" "+id)
		}
		return what == state, err
	})
	return id, err
}

// AwaitOther is Await for another call than one.
func (p *Program) AwaitOther(ctx context.Context, state, but string) (id string, err error) {
	for id = but; id == but && err == nil; {
		id, err = p.Await(ctx, state)
	}
	return id, err
}

// Play sends the tone in a call.
func (p *Program) Play(id string) error {
	_, err := p.Command("incall-player-start " + filepath.Join(p.dir, "tone.wav") + " " + id)
	return err
}

// Transfer sends the other side of a call to a URI, or to the other side of another call.
func (p *Program) Transfer(id, to string) error {
	_, err := p.Command("call-transfer " + id + " " + to)
	return err
}

// Answer takes a call.
func (p *Program) Answer(id string) error { return p.do("answer", id) }

// Pause holds a call.
func (p *Program) Pause(id string) error { return p.do("call-pause", id) }

// Resume takes a call up again that was held.
func (p *Program) Resume(id string) error { return p.do("call-resume", id) }

// Confer joins a call to those that hear each other. It says no while the call is being changed, which joining the first of them does.
func (p *Program) Confer(ctx context.Context, id string) error {
	return p.until(ctx, "confers", func() (bool, error) { return p.do("conference add", id) == nil, nil })
}

// Hangup ends a call.
func (p *Program) Hangup(id string) error { return p.do("terminate", id) }

func (p *Program) do(command, id string) error {
	_, err := p.Command(command + " " + id)
	return err
}

// Close ends linphone.
func (p *Program) Close() error {
	if p.control != nil {
		_ = p.control.Close()
	}
	return errors.Join(p.Stop(3*time.Second), os.RemoveAll(p.socket))
}

// ForTest starts a registered linphone that lives as long as the test.
func ForTest(tb process.TB, c Config) *Program {
	tb.Helper()
	if c.Dir == "" {
		c.Dir = tb.TempDir()
	}
	p, err := Start(tb.Context(), c)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	process.EndWith(tb, "linphone", p.Close, func() string { return "its log ends with:\n" + p.messages() })
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	if c.Host != "" {
		if err := p.Register(ctx, c); err != nil {
			tb.Fatalf("%v", err)
		}
	}
	return p
}
