package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"
)

// boxStatus is the answer to "status".
type boxStatus struct {
	Since      time.Time         `json:"since"`
	Booted     bool              `json:"booted"`
	Failure    string            `json:"failure,omitempty"`
	Components []componentStatus `json:"components"`
}

// status is the daemon's answer to "status".
func (d *daemon) status() (answer, problem string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := boxStatus{Since: d.began, Booted: d.over && d.failure == nil, Failure: text(d.failure)}
	for _, c := range d.components {
		s.Components = append(s.Components, c.status())
	}
	if d.registrar != nil {
		s.Components = append(s.Components, d.registrarStatus())
	}
	out, err := json.Marshal(s)
	return string(out), text(err)
}

// boxStatus asks the box for its status.
func (l layout) boxStatus() (boxStatus, error) {
	c, err := l.call(request{Op: "status"})
	if err != nil {
		return boxStatus{}, err
	}
	var answer string
	if _, err := c.finish(func(text string) { answer = text }); err != nil {
		return boxStatus{}, err
	}
	var s boxStatus
	return s, json.Unmarshal([]byte(answer), &s)
}

// status prints what runs. The exit code is 0 when the cluster can be used.
func (l layout) status(ctx context.Context) (int, error) {
	s, err := l.boxStatus()
	if err != nil {
		return 1, err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "COMPONENT\tPID IN BOX\tFOR\tRESTARTS\tLAST END")
	for _, k := range s.Components {
		pid := "-"
		if k.PID != 0 {
			pid = strconv.Itoa(k.PID)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", k.Name, pid, time.Since(k.Since).Round(time.Second), k.Restarts, k.End)
	}
	if err := table.Flush(); err != nil {
		return 1, err
	}
	client, err := newAPIClient(l.state("pki"), l.apiServerOutside())
	if err == nil {
		err = client.healthy(ctx)
	}
	switch {
	case s.Failure != "":
		err = errors.New(s.Failure)
	case !s.Booted:
		err = errors.Join(errors.New("still coming up"), err)
	}
	if err != nil {
		return 1, err
	}
	fmt.Printf("healthy: %s, kubeconfig %s\n", l.apiServerOutside(), l.kubeconfig())
	return 0, nil
}
