// Command cluster runs a real one-node Kubernetes on this machine for
// development and tests: etcd, API server, controller manager, scheduler,
// kubelet, kube-proxy, containerd, a name service and a SIP registrar, all in
// one box of Linux namespaces (net, mount, uts, pid).
//
// The operator's promises are about kubelets, mounts and pods, so a simulated
// API server is not enough. The box makes the real thing cheap to start and
// certain to end: nothing in it can reach a network outside, its mounts are
// invisible outside, and when its process 1 ends everything in it ends.
//
// Everything it keeps is in .cluster and bin of the repository.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: cluster COMMAND

  up [--port N]        start the cluster, or check the one that runs; imports .cluster/images/*.tar
                       N: loopback port of its API on this machine (default: the last one, else a free one)
  down                 end it; nothing stays running or mounted
  status               what runs, since when, and how often it was restarted
  exec -- CMD...       run CMD inside, with its kubectl, kubeconfig, network and processes
  load TAR...          import image archives
  logs [COMPONENT]     print a component's log; without one, list them
  kubeconfig           print the path of the kubeconfig, good inside and outside
  build                build Kubernetes (bin/kube) and the bin/kubebuilder directory, nothing else
  registrar start | stop | restart | pause | resume | status | dump | contacts USER |
            passwd USER PASSWORD | forget USER | remove USER CONTACT | refuse METHOD CODE
                       the SIP registrar at registrar.test; dump and contacts print JSON; code 0 ends a refusal
`

func main() {
	// Two hidden commands are the box itself; they live by its signals.
	if len(os.Args) == 2 && os.Args[1] == initCommand {
		fail(runInit())
	}
	if len(os.Args) == 2 && os.Args[1] == daemonCommand {
		fail(runDaemon())
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	l, err := findLayout()
	if err != nil {
		fail(err)
	}
	code, err := run(l, os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// fail ends the program: with an error if there is one.
func fail(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "cluster:", err)
	os.Exit(1)
}

// errUsage is the answer to a command that does not exist.
var errUsage = errors.New("unknown command or arguments; run it without any to see them")

// run carries out one command and returns the exit code.
func run(l layout, command string, args []string) (int, error) {
	if command == "exec" { // hands its signals on instead of dying of them
		if len(args) > 0 && args[0] == "--" {
			args = args[1:]
		}
		if len(args) == 0 {
			return 2, errUsage
		}
		return l.exec(execRequest(l, args), os.Stdin, os.Stdout, os.Stderr)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	switch command {
	case "up":
		return 0, l.up(ctx, args)
	case "down":
		return 0, l.down()
	case "status":
		return l.status(ctx)
	case "load":
		return 0, l.load(args)
	case "logs":
		return 0, l.printLogs(args)
	case "kubeconfig":
		fmt.Println(l.kubeconfig())
		return 0, nil
	case "build":
		return 0, l.ensureKube(ctx)
	case "registrar":
		return 0, l.registrar(args)
	}
	return 2, errUsage
}
