package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestCertificatesServeTheirPurpose(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	if err := writePKI(dir); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("ca.crt holds no certificate")
	}
	for _, c := range certificates() {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, c.file+".crt"), filepath.Join(dir, c.file+".key"))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		usage := x509.ExtKeyUsageClientAuth
		if len(c.dns)+len(c.addresses) > 0 {
			usage = x509.ExtKeyUsageServerAuth
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			t.Errorf("%s: %v", c.file, err)
		}
		for _, name := range append(c.dns, c.addresses...) {
			if err := pair.Leaf.VerifyHostname(name); err != nil {
				t.Errorf("%s: %v", c.file, err)
			}
		}
		if pair.Leaf.Subject.CommonName != c.name || !slices.Equal(pair.Leaf.Subject.Organization, c.groups) {
			t.Errorf("%s is %s", c.file, pair.Leaf.Subject)
		}
	}
}

func TestAKubeconfigHoldsAllItNeeds(t *testing.T) {
	dir := t.TempDir()
	if err := writePKI(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "outside")
	if err := writeKubeconfig(path, dir, "admin", "https://127.0.0.1:4711"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server string
				CA     string `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert string `json:"client-certificate-data"`
				Key  string `json:"client-key-data"`
			}
		}
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	decode := func(s string) []byte {
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	user := config.Users[0].User
	if _, err := tls.X509KeyPair(decode(user.Cert), decode(user.Key)); err != nil {
		t.Error(err)
	}
	cluster := config.Clusters[0].Cluster
	if cluster.Server != "https://127.0.0.1:4711" || !x509.NewCertPool().AppendCertsFromPEM(decode(cluster.CA)) {
		t.Errorf("cluster: %+v", cluster)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a kubeconfig is a key, but is open as %v (%v)", info.Mode(), err)
	}
}
