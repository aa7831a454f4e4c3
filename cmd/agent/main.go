// Command agent is the user agent: it runs the lines of a directory of account
// files. It knows nothing of Kubernetes and runs as well by hand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/softphone-operator/softphone-operator/agent"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// version is set by the linker.
var version = "dev"

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	options, show, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil // it was asked for, and printed
	}
	if err != nil {
		return err
	}
	if show {
		fmt.Fprintln(stdout, version)
		return nil
	}
	// The first signal drains; a second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	return agent.Run(ctx, options)
}

// collectAt is the garbage, in percent of what is in use, that is collected. Most
// of an agent is what its lines keep, and nearly all its garbage is made in one
// moment, when they register: half of the usual costs little time and keeps that
// moment from deciding how large the process stays. GOGC overrides it.
const collectAt = 50

// parse reads the command line.
func parse(args []string, stderr io.Writer) (o agent.Options, showVersion bool, err error) {
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.Accounts, "accounts", "", "`directory` of account files: NAME.xml per line, agent.json (optional)")
	flags.StringVar(&o.Listen, "listen", "", "`address:port` of healthz, readyz and metrics; on loopback of statusz and calls as well")
	flags.StringVar(&o.Control, "control", "", "`address:port` of statusz and calls")
	flags.StringVar(&o.ControlTokenFile, "control-token-file", "", "`file` with the bearer token that statusz and calls ask for; needed where --control is not loopback")
	flags.StringVar(&o.Report, "report", "", "`address:port` of the report (TLS; report.crt, report.key and report.token in the accounts directory)")
	flags.StringVar(&o.TLSCA, "tls-ca", "", "PEM `file` of authorities that SIP servers' certificates may be signed by, beside the system's; ca.crt, client.crt and client.key in the accounts directory serve as well")
	flags.StringVar(&o.State, "state", "", "`directory` kept from run to run: identities, SIP port")
	flags.StringVar(&o.Prompts, "prompts", "", "`directory` of the audio files (WAV, CAF) that are played into calls")
	flags.StringVar(&o.Name, "name", "", "`name` of the agent; the SIP port follows from it (default: agent.json's, else the host's)")
	network := flags.String("network", "", "`type` of network the lines are on: wifi, cellular or none (default: agent.json's, else wifi)")
	sip := flags.String("sip", "", "`address:port` of the SIP socket; port 0 follows from the name (default 0.0.0.0:0)")
	flags.Func("resolver", "`address:port` of a name server to ask; may be given again (default: those of /etc/resolv.conf)", func(text string) error {
		server, err := netip.ParseAddrPort(text)
		o.Resolvers = append(o.Resolvers, server)
		return err
	})
	format := flags.String("log-format", "text", "text or json")
	level := flags.String("log-level", "info", "debug, info, warn or error")
	flags.BoolVar(&showVersion, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return o, false, err
	}
	if showVersion {
		return o, true, nil
	}
	if flags.NArg() > 0 {
		return o, false, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *sip != "" {
		if o.SIP, err = netip.ParseAddrPort(*sip); err != nil {
			return o, false, fmt.Errorf("--sip: %w", err)
		}
	}
	o.Network, o.Version = delivery.NetworkType(*network), version
	o.Log, err = logger(stderr, *format, *level)
	return o, false, err
}

func logger(w io.Writer, format, level string) (*slog.Logger, error) {
	var options slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %q is not one of debug, info, warn, error", level)
	}
	options.Level = l
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, &options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, &options)), nil
	}
	return nil, fmt.Errorf("--log-format: %q is not one of text, json", format)
}
