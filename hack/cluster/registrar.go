package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// subscribers are who may register at the box's registrar, as the README and
// the samples know them.
func subscribers() map[string]string {
	all := map[string]string{}
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		all[name] = "secret-" + name
	}
	for number := 1000; number < 1200; number++ {
		all[strconv.Itoa(number)] = fmt.Sprintf("pw%d", number)
	}
	return all
}

// registrar sends a registrar command to the box and prints the answer.
func (l layout) registrar(args []string) error {
	c, err := l.call(request{Op: "registrar", Args: args})
	if err != nil {
		return err
	}
	_, err = c.finish(func(text string) { fmt.Fprintln(os.Stdout, text) })
	return err
}

// steerRegistrar carries out a registrar command in the box and returns what
// it has to say.
func (d *daemon) steerRegistrar(ctx context.Context, args []string) (string, error) {
	d.mu.Lock()
	r := d.registrar
	d.mu.Unlock()
	if r == nil {
		return "", errors.New("the registrar has not been started yet")
	}
	if len(args) == 0 {
		return "", errUsage
	}
	switch verb, args := args[0], args[1:]; {
	case verb == "start" && len(args) == 0:
		if r.Running() {
			return "", nil
		}
		return "", r.Restart(ctx)
	case verb == "stop" && len(args) == 0:
		return "", r.Stop()
	case verb == "restart" && len(args) == 0:
		return "", r.Restart(ctx)
	case verb == "pause" && len(args) == 0:
		return "", r.Pause()
	case verb == "resume" && len(args) == 0:
		return "", r.Resume()
	case verb == "status" && len(args) == 0:
		if r.Running() {
			return "running at " + r.Addr().String(), nil
		}
		return "stopped", nil
	case verb == "dump" && len(args) == 0:
		return asJSON(r.Dump(ctx))
	case verb == "contacts" && len(args) == 1:
		return asJSON(r.Contacts(ctx, args[0]))
	case verb == "passwd" && len(args) == 2:
		return "", r.SetPassword(ctx, args[0], args[1])
	case verb == "forget" && len(args) == 1:
		return "", r.RemoveUser(ctx, args[0])
	case verb == "remove" && len(args) == 2:
		return "", r.RemoveContact(ctx, args[0], args[1])
	case verb == "refuse" && len(args) == 2:
		code, err := strconv.Atoi(args[1])
		if err != nil {
			return "", fmt.Errorf("%q is no response code", args[1])
		}
		return "", r.Refuse(ctx, args[0], code)
	}
	return "", errUsage
}

// asJSON prints a list, an empty one as such.
func asJSON[T any](list []T, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if list == nil {
		list = []T{}
	}
	out, err := json.MarshalIndent(list, "", "  ")
	return string(out), err
}

// registrarStatus is the registrar's row among the components.
func (d *daemon) registrarStatus() componentStatus {
	s := componentStatus{Name: "kamailio", PID: d.registrar.PID(), Since: d.began}
	if s.PID == 0 {
		s.End = "stopped"
	}
	return s
}
