package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// identity names one process for ever: its id alone is used again after it
// has ended, or after a reboot.
type identity struct {
	PID     int
	Started string // in clock ticks since boot
	Boot    string // the kernel's id of this boot
}

// identify returns the identity of a running process.
func identify(pid int) (identity, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, err
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return identity{}, err
	}
	// The second field is a name in parentheses that may hold anything.
	_, rest, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return identity{}, fmt.Errorf("/proc/%d/stat is not understood", pid)
	}
	if fields[0] == "Z" {
		return identity{}, fmt.Errorf("process %d has ended", pid)
	}
	return identity{pid, fields[19], strings.TrimSpace(string(boot))}, nil
}

// running tells whether that very process still runs.
func (i identity) running() bool {
	now, err := identify(i.PID)
	return err == nil && now == i
}

// kill ends that very process and returns when it is gone.
func (i identity) kill() error {
	fd, err := unix.PidfdOpen(i.PID, 0)
	if err != nil || !i.running() {
		return nil // gone
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		return fmt.Errorf("kill process %d: %w", i.PID, err)
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
		if n > 0 {
			return nil
		}
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for the end of process %d: %w", i.PID, err)
		}
	}
	return fmt.Errorf("process %d does not end", i.PID)
}
