package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/softphone-operator/softphone-operator/test/peer/kamailio"
)

// daemon runs everything in the box but process 1.
type daemon struct {
	layout
	began time.Time

	mu         sync.Mutex
	changed    chan struct{} // closed, and replaced, when something below changes
	progress   []string
	over       bool  // boot has ended
	failure    error // why it failed
	components []*component
	registrar  *kamailio.Registrar
}

// runDaemon boots the cluster and serves the control socket for as long as
// the box lives.
func runDaemon() error {
	l, err := findLayout()
	if err != nil {
		return err
	}
	api, err := net.FileListener(takeFile(apiListenerFile))
	if err != nil {
		return fmt.Errorf("API listener: %w", err)
	}
	control, err := net.FileListener(takeFile(controlListenerFile))
	if err != nil {
		return fmt.Errorf("control listener: %w", err)
	}
	d := &daemon{layout: l, began: time.Now(), changed: make(chan struct{})}
	go func() {
		err := d.boot(context.Background(), api)
		d.update(func() { d.over, d.failure = true, err })
	}()
	for {
		conn, err := control.Accept()
		if err != nil {
			return fmt.Errorf("control socket: %w", err)
		}
		go d.serve(conn.(*net.UnixConn))
	}
}

// takeFile takes an inherited file, which the box's programs must not inherit
// in turn.
func takeFile(fd int) *os.File {
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "inherited")
}

// boot brings the cluster up, step by step.
func (d *daemon) boot(ctx context.Context, api net.Listener) error {
	if err := setUpMounts(d.layout); err != nil {
		return err
	}
	if err := errors.Join(syscall.Sethostname([]byte(nodeName)), setUpNetwork(ctx)); err != nil {
		return err
	}
	client, err := newAPIClient(d.state("pki"), apiServerInside)
	if err != nil {
		return err
	}
	go relay(api, "127.0.0.1:6443")
	// The same address inside, so that one kubeconfig serves both.
	if inside, err := net.Listen("tcp", api.Addr().String()); err == nil {
		go relay(inside, "127.0.0.1:6443")
	}
	kube := d.bin("kube")
	d.start(ctx, infrastructure(kube))
	if err := d.startRegistrar(ctx); err != nil {
		return err
	}
	d.say("the registrar answers")
	for _, step := range []struct {
		component string // whose log tells why it failed
		done      string
		start     []command
		check     func(context.Context) error
	}{
		{"containerd", "containerd answers", nil, containerdAnswers},
		{"kube-apiserver", "the API server is ready", nil, client.serving},
		{"kubelet", "the node is ready", workers(kube), client.nodeReady},
		{"kube-controller-manager", "pods are accepted", nil, client.podsAccepted},
	} {
		d.start(ctx, step.start)
		if err := until(ctx, 2*time.Minute, step.check); err != nil {
			return fmt.Errorf("%s failed: %w\n%s", step.component, err, tail(d.logs(step.component+".log")))
		}
		d.say(step.done)
	}
	return nil
}

func (d *daemon) start(ctx context.Context, commands []command) {
	for _, c := range commands {
		kept := &component{command: c, log: d.logs(c.name + ".log")}
		go kept.keep(ctx)
		d.update(func() { d.components = append(d.components, kept) })
	}
}

func containerdAnswers(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", containerdSock)
	if err != nil {
		return err
	}
	return conn.Close()
}

// startRegistrar starts the SIP registrar that lines in the cluster register
// with.
func (d *daemon) startRegistrar(ctx context.Context) error {
	r, err := kamailio.Start(ctx, kamailio.Config{
		Dir: d.state("registrar"), LogFile: d.logs("kamailio.log"),
		Listen: netip.MustParseAddrPort(nodeIP + ":5060"), Domains: registrarNames, Subscribers: subscribers(),
	})
	if err != nil {
		return err
	}
	d.update(func() { d.registrar = r })
	return nil
}

// update changes the daemon's state and wakes those who wait for it.
func (d *daemon) update(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	close(d.changed)
	d.changed = make(chan struct{})
}

// say adds to what up shows while the cluster comes up.
func (d *daemon) say(what string) {
	line := fmt.Sprintf("%5.1fs %s", time.Since(d.began).Seconds(), what)
	fmt.Println(line)
	d.update(func() { d.progress = append(d.progress, line) })
}

// serve answers one request.
func (d *daemon) serve(conn *net.UnixConn) {
	defer conn.Close()
	r, files, rest, err := receive(conn)
	answers := json.NewEncoder(conn)
	var last message
	switch {
	case err != nil:
		last.Error = err.Error()
	case r.Op == "wait":
		last.Error = text(d.wait(answers))
	case r.Op == "status":
		last.Text, last.Error = d.status()
	case r.Op == "registrar":
		var out string
		out, err = d.steerRegistrar(context.Background(), r.Args)
		last.Text, last.Error = out, text(err)
	case r.Op == "exec":
		last = serveExec(conn, r, files, rest)
	default:
		last.Error = fmt.Sprintf("the box does not know %q; it may be older than this program: down and up again", r.Op)
	}
	for _, f := range files {
		f.Close() // closing again what exec closed is harmless
	}
	last.Done = true
	_ = answers.Encode(last) // a caller who has hung up needs no answer
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// wait shows the progress of the boot and returns how it ended.
func (d *daemon) wait(answers *json.Encoder) error {
	for shown := 0; ; {
		d.mu.Lock()
		progress, over, failure, changed := d.progress, d.over, d.failure, d.changed
		d.mu.Unlock()
		for ; shown < len(progress); shown++ {
			if err := answers.Encode(message{Text: progress[shown]}); err != nil {
				return err
			}
		}
		if over {
			return failure
		}
		<-changed
	}
}
