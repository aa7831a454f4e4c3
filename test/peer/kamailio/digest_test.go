package kamailio

import (
	"bufio"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"testing"
	"time"
)

// exchange sends one REGISTER of alice with extra header lines over TCP and
// returns the status line and the headers of the answer.
func exchange(t *testing.T, r *Registrar, cseq int, extra string) (string, textproto.MIMEHeader) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", r.Addr().String(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "REGISTER sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/TCP %[2]s;branch=z9hG4bK%[3]d\r\nMax-Forwards: 70\r\n"+
		"From: <sip:alice@%[1]s>;tag=1\r\nTo: <sip:alice@%[1]s>\r\nCall-ID: digest\r\nCSeq: %[3]d REGISTER\r\n"+
		"Contact: <sip:alice@%[2]s;transport=tcp>\r\n%[4]sContent-Length: 0\r\n\r\n", r.Addr(), conn.LocalAddr(), cseq, extra)
	reader := textproto.NewReader(bufio.NewReader(conn))
	status, err := reader.ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	header, err := reader.ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	return status, header
}

var challenge = regexp.MustCompile(`^Digest realm="([^"]*)", nonce="([^"]*)", qop="auth"(?:, algorithm=(\S+))?$`)

func TestTheDigestAlgorithmIsTheOneWanted(t *testing.T) {
	for name, c := range map[string]struct {
		algorithm string
		hash      func(string) string
	}{
		"none named": {"", func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }},
		"MD5":        {"MD5", func(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }},
		"SHA-256":    {"SHA-256", func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := ForTest(t, Config{Subscribers: map[string]string{"alice": "secret-alice"}, Algorithm: c.algorithm})
			_, header := exchange(t, r, 1, "")
			m := challenge.FindStringSubmatch(header.Get("WWW-Authenticate"))
			if m == nil || m[3] != c.algorithm {
				t.Fatalf("challenge %q", header.Get("WWW-Authenticate"))
			}
			uri := "sip:" + r.Addr().String()
			response := c.hash(c.hash("alice:"+m[1]+":secret-alice") + ":" + m[2] + ":00000001:abc:auth:" + c.hash("REGISTER:"+uri))
			status, _ := exchange(t, r, 2, fmt.Sprintf("Authorization: Digest username=\"alice\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", "+
				"response=\"%s\", algorithm=%s, qop=auth, nc=00000001, cnonce=\"abc\"\r\n", m[1], m[2], uri, response, max(c.algorithm, "MD5")))
			if status != "SIP/2.0 200 OK" {
				t.Errorf("answered %s", status)
			}
		})
	}
}
