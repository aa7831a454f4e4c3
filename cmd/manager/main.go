// Command manager is the operator: it turns SoftphoneAccounts into lines that
// run on agents, and tells what became of them. It speaks no SIP itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/softphone-operator/softphone-operator/controllers"
)

// version is set by the linker.
var version = "unknown"

// leaseName is what managers of one installation elect their leader by.
const leaseName = "manager.voip.softphone.dev"

func main() {
	switch err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Getenv, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(1)
	}
}

// settings of the program, from its flags and its environment.
type settings struct {
	metrics, probes   string
	leaderElect       bool
	leaderNamespace   string
	namespaces        []string
	agentImage        string
	podNamespace      string
	qps               float64
	burst             int
	logLevel          slog.Level
	logJSON, showOnly bool
}

func parse(args []string, getenv func(string) string, out io.Writer) (settings, error) {
	s := settings{podNamespace: getenv("POD_NAMESPACE")}
	var namespaces string
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.StringVar(&s.metrics, "metrics-bind-address", ":8080", "address of /metrics; 0 = none")
	flags.StringVar(&s.probes, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0 = none")
	flags.BoolVar(&s.leaderElect, "leader-elect", false, "run as one of several, of which one works at a time")
	flags.StringVar(&s.leaderNamespace, "leader-election-namespace", s.podNamespace, "namespace of the lease; default: $POD_NAMESPACE")
	flags.StringVar(&namespaces, "namespaces", "", "namespaces to work in, comma-separated; default: all")
	flags.StringVar(&s.agentImage, "agent-image", getenv("AGENT_IMAGE"), "image of agents whose fleet names none; default: $AGENT_IMAGE")
	flags.Float64Var(&s.qps, "kube-api-qps", 100, "requests a second to the API server")
	flags.IntVar(&s.burst, "kube-api-burst", 200, "requests at once to the API server")
	flags.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	flags.BoolVar(&s.logJSON, "log-json", false, "log as JSON")
	flags.BoolVar(&s.showOnly, "version", false, "print the version and end")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for _, n := range strings.Split(namespaces, ",") {
		if n = strings.TrimSpace(n); n != "" {
			s.namespaces = append(s.namespaces, n)
		}
	}
	if s.agentImage == "" && !s.showOnly {
		return s, errors.New("say which image agents run: --agent-image or $AGENT_IMAGE")
	}
	return s, nil
}

func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	s, err := parse(args, getenv, out)
	if err != nil {
		return err
	}
	if s.showOnly {
		_, err := fmt.Println(version)
		return err
	}
	log := logger(s, out)
	ctrl.SetLogger(logr.FromSlogHandler(log.Handler()))
	klog.SetSlogLogger(log)

	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	mgr, err := newManager(config, s)
	if err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, controllers.Options{AgentImage: s.agentImage, ManagerNamespace: s.podNamespace, Log: log}); err != nil {
		return err
	}
	log.Info("manager starts", "version", version, "agentImage", s.agentImage, "namespaces", s.namespaces)
	return mgr.Start(ctx)
}

func logger(s settings, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.logJSON {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

func newManager(config *rest.Config, s settings) (ctrl.Manager, error) {
	scheme, err := controllers.Scheme()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = float32(s.qps), s.burst
	config.UserAgent = "softphone-operator/" + version
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   controllers.CacheOptions(s.namespaces),
		Metrics:                 metricsserver.Options{BindAddress: s.metrics},
		HealthProbeBindAddress:  s.probes,
		LeaderElection:          s.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: s.leaderNamespace,
		// The next manager need not wait for the lease to run out: nothing is written once Start returns.
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("healthz: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("readyz: %w", err)
	}
	return mgr, nil
}
