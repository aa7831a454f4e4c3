package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// Addresses and names in the box. They mean nothing outside, so they never
// collide with another checkout's.
const (
	nodeName        = "n1"
	nodeIP          = "10.77.0.1"
	podCIDR         = "10.244.0.0/24"
	serviceCIDR     = "10.96.0.0/16"
	apiServiceIP    = "10.96.0.1"
	apiServerInside = "https://127.0.0.1:6443"
	containerdSock  = "/run/containerd/containerd.sock"
)

// inBox is where .cluster is seen inside, so that configurations and sockets
// have short and fixed paths wherever the checkout is.
const inBox = "/run/cluster"

// registrarNames are the names the registrar answers for.
var registrarNames = []string{"registrar.test", "kamailio.test"}

//go:embed config/*
var configFiles embed.FS

var templates = template.Must(template.ParseFS(configFiles, "config/*"))

// configTargets says where each configuration goes, below state/config.
var configTargets = map[string]string{
	"audit.yaml":      "audit.yaml",
	"containerd.toml": "containerd.toml",
	"kubelet.yaml":    "kubelet.yaml",
	"podnet.conflist": "cni/10-podnet.conflist",
	"dnsmasq.conf":    "dnsmasq.conf",
	"resolv.conf":     "resolv.conf",
}

// writeConfig renders the components' configurations into dir.
func writeConfig(dir, cgroupRoot string) error {
	values := map[string]any{
		"State": inBox + "/state", "Logs": inBox + "/logs", "Containerd": containerdSock, "PauseImage": pauseImage,
		"CgroupRoot": cgroupRoot, "NodeIP": nodeIP, "PodCIDR": podCIDR, "Names": append([]string{nodeName}, registrarNames...),
	}
	for name, target := range configTargets {
		path := filepath.Join(dir, target)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		err = templates.ExecuteTemplate(f, name, values)
		if closing := f.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return fmt.Errorf("configuration %s: %w", name, err)
		}
	}
	return nil
}
