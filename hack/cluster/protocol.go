package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// The box is steered over one Unix socket: a request, perhaps with the files
// of a command to run, then messages until the one that says Done. All JSON,
// one value after another. While a command runs its caller may send signals,
// and ends it by hanging up.

// request asks the box for one thing.
type request struct {
	Op   string   `json:"op"` // "wait", "status", "exec" or "registrar"
	Args []string `json:"args,omitempty"`
	Dir  string   `json:"dir,omitempty"` // exec: working directory
	Env  []string `json:"env,omitempty"` // exec: environment
}

// message is progress, or with Done the end of an answer.
type message struct {
	Text  string `json:"text,omitempty"`
	Done  bool   `json:"done,omitempty"`
	Exit  int    `json:"exit,omitempty"`
	Error string `json:"error,omitempty"`
}

// signalMessage is a signal for the command that runs.
type signalMessage struct {
	Signal syscall.Signal `json:"signal"`
}

const controlSocket = "control.sock"

// controlPath returns the control socket's address in .cluster by way of an
// open directory: a socket's path may have 107 bytes only, a checkout's more.
func (l layout) controlPath() (path string, done func(), err error) {
	dir, err := os.Open(l.dir())
	if err != nil {
		return "", nil, err
	}
	return filepath.Join(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), controlSocket), func() { dir.Close() }, nil
}

func (l layout) listenControl() (*net.UnixListener, error) {
	path, done, err := l.controlPath()
	if err != nil {
		return nil, err
	}
	defer done()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	return listener, os.Chmod(path, 0o600)
}

// caller is an outside process's end of one exchange with the box.
type caller struct {
	conn    *net.UnixConn
	answers *json.Decoder
}

// call sends a request with up to three files.
func (l layout) call(r request, files ...*os.File) (*caller, error) {
	path, done, err := l.controlPath()
	if err != nil {
		return nil, errNotUp
	}
	defer done()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, errNotUp
	}
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	// One byte first, to which the files are tied.
	if _, _, err = conn.WriteMsgUnix([]byte{'\n'}, syscall.UnixRights(fds...), nil); err == nil {
		err = json.NewEncoder(conn).Encode(r)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("ask the box: %w", err)
	}
	return &caller{conn, json.NewDecoder(conn)}, nil
}

var errNotUp = errors.New("the cluster is not up (start it with `cluster up`)")

// finish reads messages until the last one, giving the text of each to show.
func (c *caller) finish(show func(string)) (message, error) {
	defer c.conn.Close()
	for {
		var m message
		if err := c.answers.Decode(&m); err != nil {
			return message{}, fmt.Errorf("the box has ended (see .cluster/logs/box.log): %w", err)
		}
		if m.Text != "" {
			show(m.Text)
		}
		if m.Done {
			if m.Error != "" {
				return m, errors.New(m.Error)
			}
			return m, nil
		}
	}
}

// receive reads one request and its files from a new connection. What follows
// is to be read from the decoder.
func receive(conn *net.UnixConn) (request, []*os.File, *json.Decoder, error) {
	first, oob := make([]byte, 1), make([]byte, syscall.CmsgSpace(4*8))
	_, n, _, _, err := conn.ReadMsgUnix(first, oob)
	if err != nil {
		return request{}, nil, nil, err
	}
	var files []*os.File
	controls, err := syscall.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return request{}, nil, nil, err
	}
	for i := range controls {
		fds, err := syscall.ParseUnixRights(&controls[i])
		if err != nil {
			return request{}, nil, nil, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	var r request
	decoder := json.NewDecoder(bufio.NewReader(conn))
	if err := decoder.Decode(&r); err != nil && !errors.Is(err, io.EOF) {
		return request{}, files, nil, err
	}
	return r, files, decoder, nil
}
