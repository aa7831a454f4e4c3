package reports

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// maxEvent bounds one event; the snapshot of a thousand lines has under 1 MiB.
const maxEvent = 8 << 20

// follow keeps one agent's stream standing until ctx ends.
func (r *Reader) follow(ctx context.Context, agent types.NamespacedName, w *watch) {
	pause := r.opts.RetryMin
	for ctx.Err() == nil {
		heard, err := r.read(ctx, agent, w)
		if ctx.Err() != nil {
			return
		}
		if heard {
			pause = r.opts.RetryMin
		}
		r.disconnected(agent, w, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, r.opts.RetryMax)
	}
}

// read dials once and takes events until the stream breaks; heard tells whether
// there was one.
func (r *Reader) read(ctx context.Context, agent types.NamespacedName, w *watch) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(r.opts.Silence, func() { cancel(fmt.Errorf("silent for %s", r.opts.Silence)) })
	defer silence.Stop()

	client, err := r.client(w.target)
	if err != nil {
		return false, err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+w.target.Address+delivery.ReportPath+"?watch=1", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+w.target.Token)
	resp, err := client.Do(req)
	if err != nil {
		return false, errors.Join(err, context.Cause(ctx))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("the agent answered %s", resp.Status)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxEvent)
	for lines.Scan() {
		silence.Reset(r.opts.Silence)
		var e delivery.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return heard, fmt.Errorf("not an event: %w", err)
		}
		r.take(agent, w, e)
		heard = true
	}
	return heard, cmpErr(lines.Err(), context.Cause(ctx))
}

// cmpErr is the first error, or that the agent ended the stream.
func cmpErr(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return errors.New("the agent ended the stream")
}

// client trusts the one certificate, and nothing else.
func (r *Reader) client(t Target) (*http.Client, error) {
	block, _ := pem.Decode(t.Certificate)
	if block == nil {
		return nil, errors.New("the agent's certificate is no PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the agent's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &http.Client{Transport: &http.Transport{
		DialContext:           r.opts.Dial,
		DisableKeepAlives:     true,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 5 * time.Second,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS13,
			RootCAs:    roots,
			ServerName: ServerName,
			VerifyConnection: func(cs tls.ConnectionState) error {
				if !bytes.Equal(cs.PeerCertificates[0].Raw, cert.Raw) {
					return errors.New("not the certificate that was given to this agent")
				}
				return nil
			},
		},
	}}, nil
}

// take puts an event into the state and tells who must know.
func (r *Reader) take(agent types.NamespacedName, w *watch, e delivery.Event) {
	now := time.Now()
	r.mu.Lock()
	if r.agents[agent] != w {
		r.mu.Unlock()
		return // replaced or forgotten meanwhile
	}
	var changed, checks []string
	agentChanged := false
	switch e.Type {
	case delivery.EventSnapshot:
		if e.Report != nil {
			checks = append(w.replaceChecks(e.Report.Checks), rejectedNow(w.agent.Rejected, e.Report.Agent.Rejected, delivery.CheckName)...)
			changed, agentChanged = append(w.replace(*e.Report, now), w.setAgent(e.Report.Agent)...), true
		}
	case delivery.EventAgent:
		if e.Agent != nil {
			checks = rejectedNow(w.agent.Rejected, e.Agent.Rejected, delivery.CheckName)
			changed, agentChanged = w.setAgent(*e.Agent), true
		}
	case delivery.EventLine:
		if e.Line != nil && w.put(*e.Line, now) {
			changed = []string{e.Line.Name}
		}
	case delivery.EventGone:
		if _, ok := w.lines[e.Name]; ok {
			delete(w.lines, e.Name)
			changed = []string{e.Name}
		}
	case delivery.EventCheck:
		if e.Check != nil {
			w.checks[e.Check.Name] = *e.Check
			checks = []string{e.Check.Name}
		}
	case delivery.EventNoCheck:
		delete(w.checks, e.Name)
		checks = []string{e.Name}
	}
	r.mu.Unlock()
	if agentChanged {
		r.opts.AgentChanged(agent)
	}
	for _, line := range changed {
		r.opts.LineChanged(agent, line)
	}
	for _, name := range checks {
		r.opts.CheckChanged(agent, name)
	}
}

// replaceChecks takes all checks of a report over and gives those that differ.
func (w *watch) replaceChecks(all []delivery.CheckReport) []string {
	old := w.checks
	w.checks = map[string]delivery.CheckReport{}
	var changed []string
	for _, c := range all {
		if before, known := old[c.Name]; !known || !reflect.DeepEqual(before, c) {
			changed = append(changed, c.Name)
		}
		w.checks[c.Name] = c
		delete(old, c.Name)
	}
	for name := range old {
		changed = append(changed, name)
	}
	return changed
}

// replace takes a whole report over and gives the lines that differ.
func (w *watch) replace(report delivery.Report, now time.Time) []string {
	if !w.agent.Connected {
		w.agent.Connected, w.agent.Since, w.agent.Failure = true, now, ""
	}
	old := w.lines
	w.lines = map[string]Line{}
	var changed []string
	for _, l := range report.Lines {
		if before, ok := old[l.Name]; ok {
			w.lines[l.Name] = before
		}
		if w.put(l, now) {
			changed = append(changed, l.Name)
		}
		delete(old, l.Name)
	}
	for name := range old {
		changed = append(changed, name)
	}
	return changed
}

// setAgent takes the agent's own part over and gives the lines whose files are
// refused now, or were, or are for another reason.
func (w *watch) setAgent(a delivery.AgentReport) []string {
	was := w.agent.Rejected
	w.agent.AgentReport = a
	return rejectedNow(was, a.Rejected, delivery.LineName)
}

// rejectedNow gives the names of files of a kind that are refused now, or were,
// or are for another reason.
func rejectedNow(was, is []delivery.Rejected, name func(file string) (string, bool)) []string {
	var changed []string
	for _, side := range [][2][]delivery.Rejected{{was, is}, {is, was}} {
		for _, rejected := range side[0] {
			if n, ok := name(rejected.File); ok && !slices.Contains(side[1], rejected) {
				changed = append(changed, n)
			}
		}
	}
	return changed
}

// put stores a line and tells whether anything but its number of calls is new.
func (w *watch) put(l delivery.LineReport, now time.Time) bool {
	old, known := w.lines[l.Name]
	since := now
	if known && Healthy(old.State) == Healthy(l.State) {
		since = old.Since
	}
	w.lines[l.Name] = Line{LineReport: l, Since: since}
	quiet := old.LineReport
	quiet.ActiveCalls = l.ActiveCalls
	return !known || !reflect.DeepEqual(quiet, l)
}

// Healthy tells the states a line may rest in from those it should leave.
func Healthy(s delivery.State) bool {
	return s == delivery.Registered || s == delivery.Idle || s == delivery.Disabled
}

func (r *Reader) disconnected(agent types.NamespacedName, w *watch, err error) {
	r.mu.Lock()
	if r.agents[agent] != w {
		r.mu.Unlock()
		return
	}
	was := w.agent.Connected
	if was {
		w.agent.Connected, w.agent.Since = false, time.Now()
	}
	w.agent.Failure = err.Error()
	r.mu.Unlock()
	if was {
		r.opts.Log.Info("report stream ended", "agent", agent.String(), "err", err)
		r.opts.AgentChanged(agent)
	}
}
