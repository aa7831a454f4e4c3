package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
)

// start makes a new box. The cluster in it is not up yet when start returns.
func (l layout) start(port int) error {
	groups, err := machineCgroups()
	if err != nil {
		return err
	}
	if err := l.prepareState(); err != nil {
		return err
	}
	api, err := l.listenAPI(port)
	if err != nil {
		return err
	}
	defer api.Close()
	if err := writeKubeconfig(l.kubeconfig(), l.state("pki"), "admin", "https://"+api.Addr().String()); err != nil {
		return err
	}
	control, err := l.listenControl()
	if err != nil {
		return err
	}
	defer control.Close()
	if err := prepareMachine(l.dir("machine.json")); err != nil {
		return err
	}
	if err := groups.make(l.name()); err != nil {
		return err
	}
	return l.spawn(api, control)
}

// spawn starts process 1 of the box in namespaces of its own.
func (l layout) spawn(api *net.TCPListener, control *net.UnixListener) error {
	apiFile, err := api.File()
	if err != nil {
		return err
	}
	defer apiFile.Close()
	controlFile, err := control.File()
	if err != nil {
		return err
	}
	defer controlFile.Close()
	log, err := os.Create(l.logs("box.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", initCommand)
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.root, log, log
	cmd.ExtraFiles = []*os.File{apiFile, controlFile}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID,
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("make namespaces (root in a container lacks CAP_SYS_ADMIN for that): %w", err)
	}
	id, err := identify(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("the box ended at once: %w", err)
	}
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(l.dir("box.json"), text, 0o644), cmd.Process.Release())
}

// prepareState lays out what the components find at their start, all of it
// new. The logs of the last run are kept once.
func (l layout) prepareState() error {
	if err := os.RemoveAll(l.dir("logs.last")); err != nil {
		return err
	}
	if err := os.Rename(l.logs(), l.dir("logs.last")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, dir := range []string{l.logs("pods"), l.state("kubelet"), l.state("registrar")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := writePKI(l.state("pki")); err != nil {
		return err
	}
	if err := writeConfig(l.state("config"), l.name()); err != nil {
		return err
	}
	stamp, err := os.ReadFile(l.bin(".kube.stamp"))
	if err != nil {
		return err
	}
	return os.WriteFile(l.state("kube.stamp"), stamp, 0o644)
}

func (l layout) readIdentity() (identity, error) {
	text, err := os.ReadFile(l.dir("box.json"))
	if err != nil {
		return identity{}, err
	}
	var id identity
	return id, json.Unmarshal(text, &id)
}

// down ends the cluster.
func (l layout) down() error {
	if !exists(l.dir()) {
		return nil
	}
	if err := requireRoot(); err != nil {
		return err
	}
	unlock, err := lockFile(l.dir("lock"))
	if err != nil {
		return err
	}
	defer unlock()
	return l.stop()
}

// stop ends the box if one runs and takes away what it leaves, also after a
// crash. Logs, images and the kubeconfig stay.
func (l layout) stop() error {
	if id, err := l.readIdentity(); err == nil {
		if err := id.kill(); err != nil {
			return err
		}
	}
	groups, err := machineCgroups()
	if err != nil {
		return err
	}
	if err := groups.remove(l.name()); err != nil {
		return err
	}
	if err := restoreMachine(l.dir("machine.json")); err != nil {
		return err
	}
	for _, path := range []string{l.dir(controlSocket), l.state(), l.dir("box.json")} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}
