package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// component is a program of the box that is kept running.
type component struct {
	command
	log string

	mu       sync.Mutex
	pid      int // 0 while it does not run
	since    time.Time
	restarts int
	end      string // how it last ended
}

// componentStatus is what status shows of a component.
type componentStatus struct {
	Name     string    `json:"name"`
	PID      int       `json:"pid"`
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	End      string    `json:"end,omitempty"`
}

func (c *component) status() componentStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return componentStatus{c.name, c.pid, c.since, c.restarts, c.end}
}

// keep runs the component, again whenever it ends: at once after a long life,
// else with a second in between.
func (c *component) keep(ctx context.Context) {
	for {
		began := time.Now()
		end := c.runOnce(ctx)
		c.mu.Lock()
		c.pid, c.since, c.end = 0, time.Now(), end
		c.restarts++
		c.mu.Unlock()
		fmt.Printf("%s: %s\n", c.name, end)
		if time.Since(began) > 10*time.Second {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// runOnce runs the component once and tells how it ended.
func (c *component) runOnce(ctx context.Context) string {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err.Error()
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", log, log
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	c.mu.Lock()
	c.pid, c.since = cmd.Process.Pid, time.Now()
	c.mu.Unlock()
	_ = cmd.Wait() // the state says the same, and more
	return cmd.ProcessState.String()
}

// tail returns the last lines of a log, for error messages.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Sprintf("%s ends with:\n%s", filepath.Base(path), strings.Join(lines[max(0, len(lines)-8):], "\n"))
}
