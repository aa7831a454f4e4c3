package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// links makes a pair of virtual interfaces stand for a network card, with a
// default route that leads nowhere: kubelet and API server want one, and
// nothing can leave this network.
const links = `link set lo up
link add eth0 type veth peer name eth0p
addr add ` + nodeIP + `/24 dev eth0
link set eth0p up
link set eth0 up
route add default via 10.77.0.254 dev eth0
`

// setUpNetwork fills the box's new network namespace.
func setUpNetwork(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(links)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("network: ip: %w: %s (does this kernel have veth interfaces?)", err, strings.TrimSpace(string(out)))
	}
	for _, name := range []string{"ipv4/ip_forward", "ipv4/conf/all/route_localnet", "bridge/bridge-nf-call-iptables"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", name), []byte("1"), 0); err != nil {
			return fmt.Errorf("network: %w (Services need the kernel's br_netfilter)", err)
		}
	}
	return nil
}

// setUpMounts gives the box its own /run and its own everything at the paths
// that are compiled into the components. Nothing of it is seen outside.
func setUpMounts(l layout) error {
	cluster := l.dir()
	resolvConf, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		resolvConf = "/etc/resolv.conf"
	}
	for _, dir := range []string{"/run", "/var/lib/cni", "/var/log/containers"} {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount tmpfs at %s: %w", dir, err)
		}
	}
	if err := errors.Join(os.MkdirAll(inBox, 0o755), os.MkdirAll("/run/lock", 0o755), touch(resolvConf)); err != nil {
		return err
	}
	for _, m := range [][2]string{
		{cluster, inBox},
		{l.state("kubelet"), "/var/lib/kubelet"},
		{l.state("config", "resolv.conf"), resolvConf},
	} {
		if err := syscall.Mount(m[0], m[1], "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s at %s: %w", m[0], m[1], err)
		}
	}
	// Pods' volumes must be seen by the kubelet and the other way round.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make mounts shared: %w", err)
	}
	return nil
}

// touch makes sure that a file to mount over exists: one that lived in the
// machine's /run is hidden by now.
func touch(path string) error {
	if exists(path) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o644)
}
