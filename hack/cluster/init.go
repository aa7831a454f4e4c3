package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Hidden commands: the box's process 1, and the process that runs everything
// in it.
const (
	initCommand   = "box-init"
	daemonCommand = "box-daemon"
)

// Files that both are given beside the standard three.
const (
	apiListenerFile     = 3 // listens on the machine's loopback, for the API
	controlListenerFile = 4 // listens on the control socket
)

// runInit is process 1 of the box. It takes the box's mounts apart from the
// machine's, starts the daemon, and buries what others leave to it: container
// shims, and the orphans of commands run inside. It ends with the daemon, and
// everything in the box ends with it.
func runInit() error {
	if os.Getpid() != 1 {
		return errors.New("this command is the cluster's own")
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	daemon, err := os.StartProcess("/proc/self/exe", []string{"cluster", daemonCommand}, &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr, os.NewFile(apiListenerFile, "api"), os.NewFile(controlListenerFile, "control")},
	})
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return fmt.Errorf("wait for processes: %w", err)
		case pid == daemon.Pid:
			return fmt.Errorf("the daemon ended with status %d", status.ExitStatus())
		}
	}
}
