// Package webservice asks the web services that an account names by its nodes: one
// with prefix P has PUrl, PPostData, PContentType, PMethod, PAuthUsername,
// PAuthPassword, PCustomHeaders and PTimeout. It exists so that all of them are asked
// in one way, and none of them is told a password where others can read it.
package webservice

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/softphone-operator/softphone-operator/account"
)

// Prefixes of services.
const (
	VPNStartup = "vpnStartup"
)

// Bounds of a request.
const (
	usualTimeout  = 10 * time.Second
	mostTimeout   = time.Minute
	mostAnswer    = 64 << 10
	mostRedirects = 3
)

// Service is a web service of an account, with what its document said of it.
type Service struct {
	url, body, contentType, method string
	user, password                 string
	headers                        string
	timeout                        time.Duration
	node                           func(name string) string
}

// New reads a service off a document. One without a URL is none.
func New(doc *account.Document, prefix string) (s Service, ok bool) {
	node := func(name string) string { return valueOf(doc, name) }
	s = Service{
		url: node(prefix + "Url"), body: node(prefix + "PostData"), contentType: node(prefix + "ContentType"),
		method: strings.ToUpper(node(prefix + "Method")), user: node(prefix + "AuthUsername"), password: node(prefix + "AuthPassword"),
		headers: node(prefix + "CustomHeaders"), timeout: usualTimeout, node: node,
	}
	if n, err := strconv.Atoi(node(prefix + "Timeout")); err == nil && n > 0 {
		s.timeout = min(time.Duration(n)*time.Second, mostTimeout)
	}
	if s.user == "" {
		s.user, s.password = node("cloud_username"), node("cloud_password")
	}
	if s.method == "" {
		if s.method = http.MethodGet; s.body != "" {
			s.method = http.MethodPost
		}
	}
	return s, s.url != ""
}

// valueOf is a node's value, or its default.
func valueOf(doc *account.Document, name string) string {
	if n, ok := doc.Get(name); ok {
		return n.Value()
	}
	row, _ := account.Lookup(name)
	return row.Default
}

// Answer of a service.
type Answer struct {
	Code int
	// Body is the beginning of what it said, at most 64 KiB.
	Body []byte
}

// Do asks the service; values are what %name% stands for. The error says why there is
// no answer, or that it is none of success; it names no more of the URL than its host.
func (s Service) Do(ctx context.Context, values map[string]string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := s.request(ctx, values)
	if err != nil {
		return Answer{}, err
	}
	res, err := client.Do(req)
	if err != nil {
		if inner := new(url.Error); errors.As(err, &inner) {
			err = inner.Err // the rest has the whole URL
		}
		return Answer{}, fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	defer func() { _ = res.Body.Close() }()
	a := Answer{Code: res.StatusCode}
	if a.Body, err = io.ReadAll(io.LimitReader(res.Body, mostAnswer)); err != nil {
		return a, fmt.Errorf("%s: %w", req.URL.Host, err)
	}
	if a.Code < 200 || a.Code > 299 {
		return a, fmt.Errorf("%s: %s", req.URL.Host, res.Status)
	}
	return a, nil
}

// request fills the templates.
func (s Service) request(ctx context.Context, values map[string]string) (*http.Request, error) {
	safe := strings.HasPrefix(strings.ToLower(s.url), "https://")
	known := lookup{values: values, node: s.node, safe: safe}
	body := s.body
	if strings.HasPrefix(s.contentType, "application/x-www-form-urlencoded") {
		body = expand(body, known, escaped)
	} else {
		body = expand(body, known, asIs)
	}
	var content io.Reader
	if s.method != http.MethodGet && s.method != http.MethodHead && body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, s.method, expand(s.url, known, escaped), content)
	if err != nil {
		return nil, errors.New("its URL or method cannot be used")
	}
	if content != nil && s.contentType != "" {
		req.Header.Set("Content-Type", s.contentType)
	}
	for line := range strings.Lines(s.headers) {
		name, value, ok := strings.Cut(line, ":")
		if ok {
			req.Header.Set(strings.TrimSpace(name), strings.TrimSpace(expand(value, known, oneLine)))
		}
	}
	// A password goes to nobody whom others can listen to.
	if s.user != "" && safe {
		req.SetBasicAuth(s.user, s.password)
	}
	return req, nil
}

// client of all services. It follows few redirections, and none away from TLS.
var client = &http.Client{
	Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, MaxResponseHeaderBytes: mostAnswer,
	},
	CheckRedirect: func(next *http.Request, via []*http.Request) error {
		switch {
		case len(via) > mostRedirects:
			return errors.New("too many redirections")
		case via[0].URL.Scheme == "https" && next.URL.Scheme != "https":
			return errors.New("a redirection away from TLS")
		}
		return nil
	},
}
