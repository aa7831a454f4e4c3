package kamailio

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// registerScenario registers the users of a list with instance ids and a reg-id.
const registerScenario = `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="register">
<send retrans="500"><![CDATA[
REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: <sip:[field0]@[remote_ip]>;tag=[call_number]
To: <sip:[field0]@[remote_ip]>
Call-ID: [call_id]
CSeq: 1 REGISTER
Contact: <sip:[field0]@[local_ip]:%[1]d;rinstance=0123456789abcdef>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>";reg-id=%[2]d
Max-Forwards: 70
Expires: 600
Content-Length: 0

]]></send>
<recv response="401" auth="true"/>
<send retrans="500"><![CDATA[
REGISTER sip:[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
From: <sip:[field0]@[remote_ip]>;tag=[call_number]
To: <sip:[field0]@[remote_ip]>
Call-ID: [call_id]
CSeq: 2 REGISTER
Contact: <sip:[field0]@[local_ip]:%[1]d;rinstance=0123456789abcdef>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000a95a0e128>";reg-id=%[2]d
Max-Forwards: 70
Expires: 600
[field1]
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
`

// registerMany registers n users at once, each with the contact port and
// reg-id given.
func registerMany(t *testing.T, r *Registrar, n, port, regID int) {
	t.Helper()
	scenario := filepath.Join(t.TempDir(), "register.xml")
	if err := os.WriteFile(scenario, fmt.Appendf(nil, registerScenario, port, regID), 0o600); err != nil {
		t.Fatal(err)
	}
	users := "SEQUENTIAL\n"
	for i := range n {
		users += fmt.Sprintf("user%[1]d;[authentication username=user%[1]d password=secret]\n", i+1)
	}
	list := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(list, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sipp", r.Addr().String(), "-sf", scenario, "-inf", list, "-i", "127.0.0.1",
		"-m", fmt.Sprint(n), "-r", "400", "-l", "400", "-nostdin", "-timeout", "30", "-max_retrans", "5")
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sipp: %v\n%s", err, out)
	}
}

func TestATableOfThousandsIsReadBackWhole(t *testing.T) {
	const n = 1500
	users := map[string]string{}
	for i := range n {
		users[fmt.Sprintf("user%d", i+1)] = "secret"
	}
	r := ForTest(t, Config{Subscribers: users})
	registerMany(t, r, n, 5999, 1)
	all, err := r.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != n {
		t.Fatalf("%d bindings of %d", len(all), n)
	}
	for _, b := range all {
		if want := fmt.Sprintf("sip:%s@127.0.0.1:5999;rinstance=0123456789abcdef", b.AOR); b.Contact != want ||
			b.Instance != "urn:uuid:00000000-0000-1000-8000-000a95a0e128" || b.RegID != 1 {
			t.Fatalf("%+v, want contact %s with the instance and reg-id 1", b, want)
		}
	}
}

func TestWhatKeysABinding(t *testing.T) {
	for name, c := range map[string]struct {
		byContact bool
		regID     int
		want      int
	}{
		"by reg-id, a second address in the same slot replaces the first": {false, 1, 1},
		"by reg-id, a second slot adds a binding":                         {false, 2, 2},
		"by contact, a second address adds a binding":                     {true, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := ForTest(t, Config{Subscribers: map[string]string{"user1": "secret"}, ByContact: c.byContact})
			registerMany(t, r, 1, 5991, 1)
			registerMany(t, r, 1, 5992, c.regID)
			if got := contacts(t, r, "user1"); len(got) != c.want {
				t.Errorf("%d bindings, want %d: %v", len(got), c.want, got)
			}
		})
	}
}
