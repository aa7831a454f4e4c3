package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is long enough for a box nobody restarts; every up makes
// new ones.
const certificateLife = 2 * 365 * 24 * time.Hour

// authority signs the certificates of one run of the cluster.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// certificate describes one key pair: a server's when it has names or
// addresses, else a client's.
type certificate struct {
	file      string // written as file.crt and file.key
	name      string
	groups    []string
	dns       []string
	addresses []string
	config    bool // written as file.kubeconfig too
}

func certificates() []certificate {
	return []certificate{
		{file: "apiserver", name: "kube-apiserver",
			dns:       []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			addresses: []string{"127.0.0.1", apiServiceIP, nodeIP}},
		{file: "kubelet-server", name: nodeName, dns: []string{nodeName}, addresses: []string{nodeIP, "127.0.0.1"}},
		{file: "apiserver-kubelet-client", name: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
		{file: "front-proxy-client", name: "front-proxy-client"},
		{file: "admin", name: "admin", groups: []string{"system:masters"}, config: true},
		{file: "controller-manager", name: "system:kube-controller-manager", config: true},
		{file: "scheduler", name: "system:kube-scheduler", config: true},
		{file: "proxy", name: "system:kube-proxy", config: true},
		{file: "kubelet", name: "system:node:" + nodeName, groups: []string{"system:nodes"}, config: true},
	}
}

// writePKI fills dir with an authority, all certificates, the kubeconfigs of
// the components and the key that signs service account tokens.
func writePKI(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	a, err := newAuthority(dir)
	if err != nil {
		return fmt.Errorf("certificate authority: %w", err)
	}
	for _, c := range certificates() {
		if err := a.issue(c); err != nil {
			return fmt.Errorf("certificate %s: %w", c.file, err)
		}
		if !c.config {
			continue
		}
		if err := writeKubeconfig(filepath.Join(dir, c.file+".kubeconfig"), dir, c.file, apiServerInside); err != nil {
			return err
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, "service-account.pub"), "PUBLIC KEY", public); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, "service-account.key"), key)
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "development cluster"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{dir, cert, key}, writePEM(filepath.Join(dir, "ca.crt"), "CERTIFICATE", der)
}

func (a *authority) issue(c certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: c.name, Organization: c.groups},
		NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, DNSNames: c.dns,
	}
	for _, address := range c.addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	if len(c.dns)+len(c.addresses) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(a.dir, c.file+".crt"), "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(filepath.Join(a.dir, c.file+".key"), key)
}

// writeKubeconfig writes a kubeconfig for server with the certificate called
// file in pki.
func writeKubeconfig(path, pki, file, server string) error {
	values := map[string]string{"Server": server, "User": file}
	for field, name := range map[string]string{"CA": "ca.crt", "Certificate": file + ".crt", "Key": file + ".key"} {
		raw, err := os.ReadFile(filepath.Join(pki, name))
		if err != nil {
			return err
		}
		values[field] = base64.StdEncoding.EncodeToString(raw)
	}
	var text bytes.Buffer
	if err := templates.ExecuteTemplate(&text, "kubeconfig.yaml", values); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), 0o600)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
