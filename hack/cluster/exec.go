package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// execRequest asks for args to be run in the box as if they ran here: same
// directory, same environment but for the way to the cluster.
func execRequest(l layout, args []string) request {
	dir, err := os.Getwd()
	if err != nil {
		dir = l.root
	}
	return request{Op: "exec", Args: args, Dir: dir, Env: insideEnv(l, os.Environ())}
}

// insideEnv points an environment at the cluster.
func insideEnv(l layout, env []string) []string {
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	var all []string
	for _, v := range env {
		switch name, value, _ := strings.Cut(v, "="); name {
		case "PATH":
			path = value
		case "KUBECONFIG":
		default:
			all = append(all, v)
		}
	}
	return append(all, "PATH="+l.bin("")+":"+path, "KUBECONFIG="+l.kubeconfig())
}

// exec runs a command in the box on the files given, hands on the signals
// that this process gets, and returns the command's exit code.
func (l layout) exec(r request, stdin, stdout, stderr *os.File) (int, error) {
	c, err := l.call(r, stdin, stdout, stderr)
	if err != nil {
		return 1, err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	go func() {
		encoder := json.NewEncoder(c.conn)
		for s := range signals {
			if encoder.Encode(signalMessage{s.(syscall.Signal)}) != nil {
				return
			}
		}
	}()
	m, err := c.finish(func(string) {})
	if err != nil && m.Exit == 0 {
		m.Exit = 1
	}
	return m.Exit, err
}

// serveExec is the box's side of exec: the command runs in a process group of
// its own, on the caller's files.
func serveExec(conn *net.UnixConn, r request, files []*os.File, signals *json.Decoder) message {
	if len(files) != 3 || len(r.Args) == 0 {
		return message{Exit: 2, Error: "exec needs a command and three files"}
	}
	program, err := lookPath(r.Args[0], r.Dir, r.Env)
	if err != nil {
		return message{Exit: 127, Error: err.Error()}
	}
	cmd := &exec.Cmd{
		Path: program, Args: r.Args, Dir: r.Dir, Env: r.Env, Stdin: files[0], Stdout: files[1], Stderr: files[2],
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if err := cmd.Start(); err != nil {
		return message{Exit: 126, Error: err.Error()}
	}
	for _, f := range files {
		f.Close()
	}
	ended := make(chan struct{})
	go func() {
		for {
			var s signalMessage
			if signals.Decode(&s) != nil {
				break
			}
			_ = syscall.Kill(-cmd.Process.Pid, s.Signal)
		}
		endGroup(cmd.Process.Pid, ended) // nobody waits for it any more
	}()
	err = cmd.Wait()
	close(ended)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return message{}
	case !errors.As(err, &exit):
		return message{Exit: 1, Error: err.Error()}
	}
	if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
		return message{Exit: 128 + int(status.Signal())}
	}
	return message{Exit: exit.ExitCode()}
}

// endGroup ends a process group, by force after five seconds.
func endGroup(group int, ended <-chan struct{}) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-ended:
			return
		default:
		}
		_ = syscall.Kill(-group, s)
		select {
		case <-ended:
			return
		case <-time.After(5 * time.Second):
		}
	}
}

// lookPath finds a program as a shell in dir with env would.
func lookPath(name, dir string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, nil
	}
	for _, v := range env {
		path, ok := strings.CutPrefix(v, "PATH=")
		if !ok {
			continue
		}
		for _, d := range filepath.SplitList(path) {
			candidate := filepath.Join(d, name)
			if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return candidate, nil
			}
		}
	}
	return "", fmt.Errorf("%s: command not found", name)
}
