package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// controlPort of an agent's pod, on the pod's loopback: whoever may
// port-forward to the pod may place calls, nobody else.
const controlPort = 8081

// link is a port-forward to the control listener of one agent.
type link struct {
	base string
	stop chan struct{}
}

// open forwards a local port to the control listener of pod.
func open(ctx context.Context, config *rest.Config, namespace, pod string) (*link, error) {
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s/%s: %w", namespace, pod, err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s/%s: %w", namespace, pod, err)
	}
	url := base.JoinPath("api", "v1", "namespaces", namespace, "pods", pod, "portforward")
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)

	var problems bytes.Buffer
	stop, ready, failed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", controlPort)}, stop, ready, io.Discard, &problems)
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s/%s: %w", namespace, pod, err)
	}
	go func() { failed <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-failed:
		return nil, fmt.Errorf("port-forward to pod %s/%s: %w", namespace, pod, err)
	case <-ctx.Done():
		close(stop)
		return nil, ctx.Err()
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		close(stop)
		return nil, fmt.Errorf("port-forward to pod %s/%s: %w", namespace, pod, err)
	}
	return &link{base: fmt.Sprintf("http://127.0.0.1:%d", ports[0].Local), stop: stop}, nil
}

// byHand is a link to the control listener of an agent that runs outside of the cluster.
func byHand(agent string) *link {
	return &link{base: strings.TrimRight(agent, "/"), stop: make(chan struct{})}
}

func (l *link) close() { close(l.stop) }

// send gives the agent's answer to a request, whose body is to be closed. The agent's own words are the error of a refusal.
func (l *link) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, l.base+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("agent: %s: %w", res.Status, err)
	}
	return nil, refusal(res.Status, answer)
}

// download writes what the agent has at a path to a file.
func (l *link) download(ctx context.Context, path string, to io.Writer) error {
	res, err := l.send(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(to, res.Body); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}

// do sends a request to the agent and decodes its JSON answer into out (nil =
// ignored).
func (l *link) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(encoded)
	}
	res, err := l.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 32<<20))
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("agent: answer of %s %s: %w", method, path, err)
	}
	return nil
}

// refusal turns an agent's error answer into an error.
func refusal(status string, answer []byte) error {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(answer, &said) == nil && said.Error != "" {
		return errors.New("agent: " + said.Error)
	}
	return fmt.Errorf("agent: %s: %s", status, strings.TrimSpace(string(answer)))
}
