package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// up starts the cluster, or makes sure that the one that runs is healthy and
// current, and imports the image archives.
func (l layout) up(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	port := flags.Int("port", 0, "loopback port of the API on this machine")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := time.Now()
	if err := requireRoot(); err != nil {
		return err
	}
	if err := os.MkdirAll(l.images(), 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(l.dir("lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := l.preflight(ctx); err != nil {
		return err
	}
	if err := l.ensureKube(ctx); err != nil {
		return err
	}
	if err := l.buildPause(ctx); err != nil {
		return err
	}
	reason := l.whyStart(ctx, *port)
	if err := ctx.Err(); err != nil {
		return err
	}
	if reason != "" {
		fmt.Println("starting the cluster:", reason)
		if err := l.startAfresh(ctx, *port); err != nil {
			return err
		}
	}
	if err := l.importImages(); err != nil {
		return err
	}
	fmt.Printf("the cluster is up (%.1fs): export KUBECONFIG=%s PATH=%s:$PATH\n", time.Since(began).Seconds(), l.kubeconfig(), l.bin(""))
	return nil
}

// startAfresh ends what is left of the last cluster and starts a new one.
func (l layout) startAfresh(ctx context.Context, port int) error {
	if err := l.stop(); err != nil {
		return err
	}
	err := l.start(port)
	if err == nil {
		err = l.awaitBoot(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%w\nlogs are in %s", err, l.logs()), l.stop())
	}
	return nil
}

// whyStart tells why the cluster must be started, in words; nothing when the
// one that runs will do.
func (l layout) whyStart(ctx context.Context, port int) string {
	id, err := l.readIdentity()
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "none runs"
	case err != nil || !id.running():
		return "the last one ended without a down"
	case port != 0 && port != l.lastPort():
		return "another port is wanted"
	}
	if running, err := os.ReadFile(l.state("kube.stamp")); err == nil {
		if built, err := os.ReadFile(l.bin(".kube.stamp")); err == nil && string(built) != string(running) {
			return "the one that runs is of an older bin/kube"
		}
	}
	s, err := l.boxStatus()
	switch {
	case err != nil:
		return "the one that runs does not answer: " + err.Error()
	case s.Failure != "":
		return "the one that runs never came up: " + s.Failure
	}
	client, err := newAPIClient(l.state("pki"), l.apiServerOutside())
	if err == nil {
		err = until(ctx, 10*time.Second, client.healthy)
	}
	if err != nil {
		return "the one that runs is not healthy: " + err.Error()
	}
	return ""
}

// awaitBoot shows the boot's progress and returns how it ended.
func (l layout) awaitBoot(ctx context.Context) error {
	c, err := l.call(request{Op: "wait"})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	_, err = c.finish(func(text string) { fmt.Println(text) })
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}
