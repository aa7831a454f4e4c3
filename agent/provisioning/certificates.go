package provisioning

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"

	"github.com/softphone-operator/softphone-operator/account"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// Certificates are what a line's TLS connections are made with. Lines with the
// same ones share them.
type Certificates struct {
	// Roots: the system's and those delivered; nil = the system's alone.
	Roots *x509.CertPool
	// Client certificate for servers that ask for one; nil = none.
	Client *tls.Certificate
	// Shown describes Client, for reports.
	Shown delivery.Certificate
	// Name tells them apart within this process, and stands for the same content
	// for good. It covers a private key: it is not to be shown to anybody.
	Name string
}

// authorities are Roots and where they are from.
type authorities struct {
	pool  *x509.CertPool
	sum   string
	files map[string][]byte
}

// clientCertificate is a Client and where it is from.
type clientCertificate struct {
	pair  *tls.Certificate
	shown delivery.Certificate
	sum   string
	files map[string][]byte
}

// material is what is in force for one line.
type material struct {
	named        delivery.TLS // as its row said
	certificates *Certificates
	files        map[string][]byte
}

// certificateFiles of the directory that are an agent's rather than a line's.
var certificateFiles = []string{delivery.CAFile, delivery.ClientCertFile, delivery.ClientKeyFile}

// namedFiles are the files with certificates that lines' rows name.
func namedFiles(a delivery.Agent) map[string]bool {
	names := map[string]bool{}
	for _, row := range a.Lines {
		for _, name := range []string{row.TLS.CA, row.TLS.Certificate, row.TLS.Key} {
			if name != "" {
				names[name] = true
			}
		}
	}
	return names
}

// takeCertificates gives every line the certificates its row names, or else the
// agent's. Broken ones leave the last good in force.
func (s *Source) takeCertificates(raw rawFiles) {
	read := &reading{raw: raw, roots: map[string]readResult[authorities]{}, clients: map[[2]string]readResult[clientCertificate]{}, materials: map[delivery.TLS]readResult[*material]{}}
	if roots, err := read.authorities(delivery.CAFile); err != nil {
		s.reject(delivery.CAFile, err)
	} else {
		s.roots = roots
	}
	if client, err := read.client(delivery.ClientCertFile, delivery.ClientKeyFile); err != nil {
		s.reject(delivery.ClientCertFile, err)
	} else {
		s.client = client
	}
	before, known := s.materials, map[string]*Certificates{}
	for _, m := range before {
		known[m.certificates.Name] = m.certificates
	}
	s.materials = make(map[string]*material, len(before))
	for file, f := range s.files {
		for _, p := range f.value {
			m, err := s.material(read, s.agent.Line(p.name).TLS, known)
			if err != nil && secured(p.account) {
				s.reject(file, err)
				if m = before[p.name]; m == nil {
					continue // there is none to go on with
				}
			}
			s.materials[p.name] = m
		}
	}
}

// material of a line whose row names these files; lines that name the same share
// it. With an error it is the agent's.
func (s *Source) material(read *reading, named delivery.TLS, known map[string]*Certificates) (*material, error) {
	if made, done := read.materials[named]; done {
		return made.value, made.err
	}
	m, err := s.newMaterial(read, named, known)
	read.materials[named] = readResult[*material]{m, err}
	return m, err
}

func (s *Source) newMaterial(read *reading, named delivery.TLS, known map[string]*Certificates) (*material, error) {
	roots, client, rootsErr, clientErr := s.roots, s.client, error(nil), error(nil)
	if named.CA != "" {
		if roots, rootsErr = read.named(named.CA); rootsErr != nil {
			roots = s.roots
		}
	}
	if named.Certificate != "" {
		if client, clientErr = read.client(named.Certificate, named.Key); clientErr != nil {
			client = s.client
		}
	}
	m := &material{named: named}
	if len(roots.files)+len(client.files) > 0 {
		m.files = map[string][]byte{}
		maps.Copy(m.files, roots.files)
		maps.Copy(m.files, client.files)
	}
	name := ""
	if roots.sum+client.sum != "" {
		name = roots.sum + "." + client.sum
	}
	if m.certificates = known[name]; m.certificates == nil {
		m.certificates = &Certificates{Roots: roots.pool, Client: client.pair, Shown: client.shown, Name: name}
		known[name] = m.certificates
	}
	return m, cmp.Or(rootsErr, clientErr)
}

// secured tells whether an account asks for TLS. Others need no certificates, and
// broken ones are no reason to stop them.
func secured(a *account.Account) bool {
	_, _, _, transport := a.Server()
	return transport == account.TLS || transport == account.TLSSIP
}

// reading of the certificates in one reading of the directory: each file once,
// however many lines name it.
type reading struct {
	raw     rawFiles
	roots   map[string]readResult[authorities]
	clients map[[2]string]readResult[clientCertificate]
	// materials by what rows name.
	materials map[delivery.TLS]readResult[*material]
}

type readResult[T any] struct {
	value T
	err   error
}

// named are the authorities of a file that has to be there.
func (r *reading) named(file string) (authorities, error) {
	if err := r.missing(file); err != nil {
		return authorities{}, err
	}
	return r.authorities(file)
}

// missing tells why a file that a row names cannot be used.
func (r *reading) missing(file string) error {
	if err := r.raw.failed[file]; err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if _, there := r.raw.content[file]; !there {
		return fmt.Errorf("%s: agent.json names it, but it is not there", file)
	}
	return nil
}

// authorities adds a file's, and those from outside the directory, to the
// system's; none, if there are no such files.
func (r *reading) authorities(file string) (authorities, error) {
	if done, ok := r.roots[file]; ok {
		return done.value, done.err
	}
	a, err := r.readAuthorities(file)
	r.roots[file] = readResult[authorities]{a, err}
	return a, err
}

func (r *reading) readAuthorities(file string) (authorities, error) {
	a := authorities{files: map[string][]byte{}}
	h := sha256.New()
	for _, name := range []string{bundle, file} {
		if err := r.raw.failed[name]; err != nil {
			return authorities{}, fmt.Errorf("%s: %w", shownName(name), err)
		}
		content, there := r.raw.content[name]
		if !there {
			continue
		}
		certificates, err := parseCertificates(content)
		if err != nil {
			return authorities{}, fmt.Errorf("%s: %w", shownName(name), err)
		}
		if a.pool == nil {
			if a.pool, err = x509.SystemCertPool(); err != nil {
				a.pool = x509.NewCertPool()
			}
		}
		for _, c := range certificates {
			a.pool.AddCert(c)
			h.Write(c.Raw)
		}
		if name != bundle {
			a.files[name] = content
		}
	}
	if a.pool != nil {
		a.sum = hex.EncodeToString(h.Sum(nil)[:16])
	}
	return a, nil
}

// client pairs certificate and key; none, if there is neither file.
func (r *reading) client(certFile, keyFile string) (clientCertificate, error) {
	files := [2]string{certFile, keyFile}
	if done, ok := r.clients[files]; ok {
		return done.value, done.err
	}
	c, err := r.readClient(certFile, keyFile)
	r.clients[files] = readResult[clientCertificate]{c, err}
	return c, err
}

func (r *reading) readClient(certFile, keyFile string) (clientCertificate, error) {
	_, hasCert := r.raw.content[certFile]
	_, hasKey := r.raw.content[keyFile]
	if agents := certFile == delivery.ClientCertFile && keyFile == delivery.ClientKeyFile; agents && r.raw.failed[certFile] == nil && r.raw.failed[keyFile] == nil {
		switch {
		case !hasCert && !hasKey:
			return clientCertificate{}, nil
		case !hasCert || !hasKey:
			return clientCertificate{}, fmt.Errorf("%s and %s belong together, one is missing", certFile, keyFile)
		}
	}
	if err := cmp.Or(r.missing(certFile), r.missing(keyFile)); err != nil {
		return clientCertificate{}, err
	}
	cert, key := r.raw.content[certFile], r.raw.content[keyFile]
	chain, err := parseCertificates(cert)
	if err != nil {
		return clientCertificate{}, fmt.Errorf("%s: %w", certFile, err)
	}
	private, err := parseKey(key)
	if err != nil {
		return clientCertificate{}, fmt.Errorf("%s: %w", keyFile, err)
	}
	if !belongs(private, chain[0]) {
		return clientCertificate{}, fmt.Errorf("%s: it is not the key of the certificate in %s", keyFile, certFile)
	}
	h := sha256.New()
	pair := &tls.Certificate{PrivateKey: private, Leaf: chain[0]}
	shown := delivery.Certificate{Role: delivery.ClientCertificate, Subject: fmt.Sprintf("%.200s", chain[0].Subject), NotAfter: chain[0].NotAfter}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
		h.Write(c.Raw)
		if c.NotAfter.Before(shown.NotAfter) {
			shown.NotAfter = c.NotAfter
		}
	}
	h.Write(key)
	return clientCertificate{
		pair: pair, shown: shown, sum: hex.EncodeToString(h.Sum(nil)[:16]), files: map[string][]byte{certFile: cert, keyFile: key},
	}, nil
}

// bundle is the name of the CA bundle from outside the directory (Options.CAFile);
// no file in it can have it.
const bundle = "/ca"

func shownName(name string) string {
	if name == bundle {
		return "CA bundle"
	}
	return name
}

var errNoCertificate = errors.New("no PEM certificate in it")
