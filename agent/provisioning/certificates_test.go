package provisioning

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/delivery"
)

// selfSigned gives a certificate and its key, as PEM.
func selfSigned(t *testing.T, name string, ends time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: ends,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", raw)
}

func tlsAccount(user string) string {
	return strings.Replace(accountXML(user, "p"), "</host>", "</host>\n  <transport>tls</transport>", 1)
}

// materials says what the lines of a snapshot have: line=roots,client.
func materials(s Snapshot) string {
	var all []string
	for _, l := range s.Lines {
		roots, client := "system", "none"
		if l.Certificates.Roots != nil {
			roots = "given"
		}
		if l.Certificates.Client != nil {
			client = l.Certificates.Shown.Subject
		}
		all = append(all, l.Name+"="+roots+","+client)
	}
	return strings.Join(all, " ")
}

// TestCertificateFiles has a row for what may be wrong with a line's files: what
// is said of it, and by it of no key. An account over TLS is not run without what
// it names; what it had before stays in force.
func TestCertificateFiles(t *testing.T) {
	ca, _ := selfSigned(t, "CN of an authority", time.Now().Add(time.Hour))
	second, _ := selfSigned(t, "another authority", time.Now().Add(time.Hour))
	cert, key := selfSigned(t, "phone", time.Now().Add(time.Hour))
	_, strange := selfSigned(t, "stranger", time.Now().Add(time.Hour))
	old, oldKey := selfSigned(t, "aged", time.Now().Add(-time.Hour))
	block, _ := pem.Decode([]byte(key))
	legacy := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}, Bytes: block.Bytes}))
	for says, row := range map[string]struct {
		ca, cert, key string // "" = the file is missing
		want          string // of the rejection; "" = taken
		has           string
	}{
		"all is well":                   {ca, cert, key, "", "alice=given,CN=phone"},
		"a bundle of two, with remarks": {"# ours\n" + ca + "\n# theirs\n" + second + "\n", cert, key, "", "alice=given,CN=phone"},
		"a key after EC PARAMETERS":     {ca, cert, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + key, "", "alice=given,CN=phone"},
		"a chain":                       {ca, cert + second, key, "", "alice=given,CN=phone"},
		"an authority that is missing":  {"", cert, key, "the.ca: agent.json names it, but it is not there", ""},
		"a certificate that is missing": {ca, "", key, "the.crt: agent.json names it, but it is not there", ""},
		"a key that is missing":         {ca, cert, "", "the.key: agent.json names it, but it is not there", ""},
		"an authority that is garbage":  {"garbage", cert, key, "the.ca: no PEM certificate in it", ""},
		"a bundle that is cut off":      {ca + second[:200], cert, key, "the.ca: what follows certificate 1 is cut off, or no PEM", ""},
		"a bundle with garbage in it":   {ca + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", cert, key, "the.ca: certificate 2 in it cannot be read", ""},
		"a bundle with a key in it":     {ca + key, cert, key, `the.ca: there is a "PRIVATE KEY" in it`, ""},
		"a certificate that is garbage": {ca, "garbage", key, "the.crt: no PEM certificate in it", ""},
		"a key that is garbage":         {ca, cert, "garbage", "the.key: no PEM private key in it", ""},
		"a key of garbage":              {ca, cert, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "the.key: the private key cannot be read", ""},
		"a key of another":              {ca, cert, strange, "the.key: it is not the key of the certificate in the.crt", ""},
		"an encrypted key":              {ca, cert, strings.ReplaceAll(key, "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), "the.key: the private key is encrypted", ""},
		"a key encrypted the old way":   {ca, cert, legacy, "the.key: the private key is encrypted", ""},
		"an authority that is huge":     {strings.Repeat("#", maxFileBytes) + ca, cert, key, "the.ca: larger than 1048576 bytes", ""},
		"a certificate whose time is over is no mistake of the file": {ca, old, oldKey, "", "alice=given,CN=aged"},
	} {
		t.Run(says, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "alice.xml", tlsAccount("alice"))
			write(t, dir, "agent.json", `{"lines":{"alice":{"tls":{"ca":"the.ca","certificate":"the.crt","key":"the.key"}}}}`)
			put := func(name, content string) {
				if content != "" {
					write(t, dir, name, content)
				} else if err := os.Remove(filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			give := func(a, b, c string) { put("the.ca", a); put("the.crt", b); put("the.key", c) }
			give(row.ca, row.cert, row.key)
			s := source(t, dir)
			snap, _, err := s.Read()
			if err != nil {
				t.Fatal(err)
			}
			said := fmt.Sprint(snap.Rejected)
			if row.want == "" && said != "[]" || row.want != "" && (len(snap.Rejected) != 1 || snap.Rejected[0].File != "alice.xml" || !strings.Contains(said, row.want)) {
				t.Errorf("rejected %s, want %q of alice.xml", said, row.want)
			}
			if got := materials(snap); got != row.has {
				t.Errorf("in force is %q, want %q", got, row.has)
			}
			for line := range strings.Lines(row.key) {
				if line = strings.TrimSpace(line); len(line) > 20 && !strings.Contains(line, "---") && strings.Contains(said, line) {
					t.Errorf("the rejection shows a key: %s", said)
				}
			}
			give(second, cert, key)
			if snap, _, _ = s.Read(); len(snap.Rejected) != 0 {
				t.Fatalf("mended, and rejected: %v", snap.Rejected)
			}
			good := snap.Lines[0]
			give(row.ca, row.cert, row.key)
			snap, _, _ = s.Read()
			if len(snap.Lines) != 1 {
				t.Fatalf("the line is gone: %+v", snap)
			}
			if kept := snap.Lines[0].Certificates == good.Certificates; kept != (row.want != "") {
				t.Errorf("the good ones before are kept: %t", kept)
			}
		})
	}
}

// TestLinesShareCertificates: a bundle that many lines name is parsed and kept once,
// and a change of it concerns those lines alone.
func TestLinesShareCertificates(t *testing.T) {
	one, oneKey := selfSigned(t, "one", time.Now().Add(time.Hour))
	two, _ := selfSigned(t, "two", time.Now().Add(time.Hour))
	dir := t.TempDir()
	for _, user := range []string{"alice", "bob", "carol", "dave"} {
		write(t, dir, user+".xml", tlsAccount(user))
	}
	const rows = `{"lines":{"alice":{"tls":{"ca":"a.pem"}},"bob":{"tls":{"ca":"b.pem"}},"carol":{"tls":{"certificate":"c.crt","key":"c.key"}}}}`
	write(t, dir, "agent.json", rows)
	write(t, dir, "a.pem", one)
	write(t, dir, "b.pem", one)
	write(t, dir, "c.crt", one)
	write(t, dir, "c.key", oneKey)
	write(t, dir, "ca.crt", two)
	s := source(t, dir)
	read := func() (alice, bob, carol, dave *Certificates) {
		t.Helper()
		snap, _, err := s.Read()
		if err != nil || len(snap.Lines) != 4 {
			t.Fatalf("%v %+v", err, snap)
		}
		return snap.Lines[0].Certificates, snap.Lines[1].Certificates, snap.Lines[2].Certificates, snap.Lines[3].Certificates
	}
	alice, bob, carol, dave := read()
	if alice != bob || alice == dave || !carol.Roots.Equal(dave.Roots) || carol.Client == nil || alice.Client != nil || alice.Roots.Equal(dave.Roots) {
		t.Errorf("alice %+v, bob %+v, carol %+v, dave %+v", alice, bob, carol, dave)
	}
	write(t, dir, "b.pem", "# another remark\n"+one)
	if a, b, c, d := read(); a != alice || b != bob || c != carol || d != dave {
		t.Error("a remark in a bundle concerns lines")
	}
	write(t, dir, "b.pem", two)
	if a, b, c, d := read(); a != alice || b == bob || c != carol || d != dave || b != d {
		t.Error("bob's bundle concerns others, or is not shared with dave, who has the same")
	}
	write(t, dir, "ca.crt", one)
	if a, b, c, d := read(); a != alice || b.Roots.Equal(d.Roots) || c == carol || d != alice {
		t.Error("the agent's bundle concerns those that name none, and they share with who has the same")
	}
	write(t, dir, "ca.crt", "garbage")
	if _, _, _, d := read(); d != alice {
		t.Error("the agent's last good bundle does not stay in force")
	}
	if len(s.rejected) != 1 || s.rejected[0] != (delivery.Rejected{File: "ca.crt", Reason: "ca.crt: no PEM certificate in it"}) {
		t.Errorf("rejected: %v", s.rejected)
	}
}

// TestCertificatesInHashes: the operator sees from the hashes what is in force.
func TestCertificatesInHashes(t *testing.T) {
	one, _ := selfSigned(t, "one", time.Now().Add(time.Hour))
	dir := t.TempDir()
	write(t, dir, "alice.xml", tlsAccount("alice"))
	rows := func(file string) string { return `{"lines":{"alice":{"tls":{"ca":"` + file + `"}}}}` }
	write(t, dir, "agent.json", rows("one.pem"))
	write(t, dir, "one.pem", one)
	s := source(t, dir)
	snap, _, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"alice.xml": []byte(tlsAccount("alice")), "agent.json": []byte(rows("one.pem")), "one.pem": []byte(one)}
	if want := delivery.NewHasher(nil).Snapshot(files); snap.Hash != want {
		t.Errorf("the snapshot's hash is %s, of all files delivered %s", snap.Hash, want)
	}
	before := snap.Lines[0]
	write(t, dir, "agent.json", rows("two.pem"))
	if snap, _, _ = s.Read(); snap.Lines[0].ConfigHash != before.ConfigHash || snap.Lines[0].Row.TLS.CA != "one.pem" {
		t.Errorf("while two.pem is missing %+v is in force", snap.Lines[0].Row)
	}
	write(t, dir, "two.pem", one)
	if snap, _, _ = s.Read(); snap.Lines[0].ConfigHash == before.ConfigHash || snap.Lines[0].Certificates != before.Certificates {
		t.Error("the same authority under another name is another row with the same certificates")
	}
}

// TestBrokenCertificatesStopNoOtherTransport: a fleet's bundle is no reason to stop
// its lines over UDP.
func TestBrokenCertificatesStopNoOtherTransport(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "alice.xml", accountXML("alice", "p"))
	write(t, dir, "agent.json", `{"lines":{"alice":{"tls":{"ca":"one.pem"}}}}`)
	write(t, dir, "one.pem", "garbage")
	if snap, _, err := source(t, dir).Read(); err != nil || len(snap.Rejected) != 0 || materials(snap) != "alice=system,none" {
		t.Errorf("%v %+v", err, snap)
	}
}

// FuzzCertificates: whatever a file holds, it is refused or good for TLS.
func FuzzCertificates(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		chain, err := parseCertificates(cert)
		if (err == nil) != (len(chain) > 0) {
			t.Fatalf("%d certificates and %v", len(chain), err)
		}
		private, err := parseKey(key)
		if err != nil || len(chain) == 0 || !belongs(private, chain[0]) {
			return
		}
		if _, err := tls.X509KeyPair(cert, key); err != nil {
			t.Errorf("taken, but %v", err)
		}
	})
}
