package render_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/softphone-operator/softphone-operator/account"
	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

const secret = "s3cr3t-Pa55"

// layer is a minimal account with its password in Secret alice.
func layer() v1.AccountLayer {
	return v1.AccountLayer{Account: &v1.AccountSettings{
		Username: ptr.To("alice"), Host: ptr.To(v1.HostPort("registrar.test")),
		Password: &v1.SecretValue{SecretKeyRef: &v1.KeyRef{Name: "alice", Key: "password"}},
	}}
}

func values() render.Values {
	return render.Values{{Kind: render.Secret, Name: "alice"}: {"password": []byte(secret)}}
}

func rendered(t *testing.T, l v1.AccountLayer, v render.Values) (*render.Line, *account.Document) {
	t.Helper()
	line, err := render.Render(render.Input{Name: "alice", Layer: l, Below: render.BuiltIn(), Values: v})
	if err != nil {
		t.Fatal(err)
	}
	docs, problems, err := account.Read(strings.NewReader(string(line.Document)), account.ReadOptions{})
	if err != nil || len(account.Errors(problems)) > 0 || len(docs) != 1 {
		t.Fatalf("what was rendered cannot be read: %v %v\n%s", err, problems, line.Document)
	}
	return line, docs[0]
}

func node(t *testing.T, d *account.Document, name string) account.Node {
	t.Helper()
	n, ok := d.Get(name)
	if !ok {
		t.Fatalf("node %s is missing", name)
	}
	return *n
}

func TestMinimalAccount(t *testing.T) {
	line, doc := rendered(t, layer(), values())
	for name, want := range map[string]struct {
		value, source string
		priority      int
	}{
		"username":  {"alice", "gui", 40},
		"host":      {"registrar.test", "gui", 40},
		"password":  {secret, "gui", 40},
		"title":     {"alice", "default", 0},
		"keepAlive": {"1", "provisioning", 10},
	} {
		n := node(t, doc, name)
		if n.Value() != want.value || n.Source != want.source || n.Priority != want.priority {
			t.Errorf("%s = %q from %s at %d, want %+v", name, n.Value(), n.Source, n.Priority, want)
		}
	}
	if _, ok := doc.Get("expires"); ok {
		t.Error("a default nobody asked for is delivered")
	}
	if line.Address != "alice@registrar.test" || len(line.Inline) != 0 {
		t.Errorf("got %+v", line)
	}
	again, _ := rendered(t, layer(), values())
	if string(again.Document) != string(line.Document) {
		t.Error("the same account renders differently")
	}
}

func TestExtraMergeAndXML(t *testing.T) {
	l := layer()
	l.Extra = map[string]v1.ExtraValue{
		"doNotDisturb": `<doNotDisturb gmtOffsetInMinutes="120"><dndEntry><from>22:00</from><to>23:59</to><weekdays>31</weekdays><contacts/></dndEntry></doNotDisturb>`,
		"blf":          `<blf><uri>2001</uri></blf>`,
		"myOwnNode":    "kept",
	}
	l.Merge = []v1.NodeMerge{
		{Node: "blf", Operation: ptr.To(v1.SubnodeUnion), Priority: ptr.To(int32(50)), Source: ptr.To("site")},
		{Node: "voiceMailNumber", Empty: ptr.To(true)},
	}
	l.XMLFrom = &v1.XMLSource{ConfigMapKeyRef: &v1.KeyRef{Name: "old", Key: "xml"}}
	v := values()
	v[render.Object{Kind: render.ConfigMap, Name: "old"}] = map[string][]byte{"xml": []byte(
		`<account><title>Old</title><username>shadowed</username><expires priority="90">120</expires><voiceMailNumber>*97</voiceMailNumber><blf><uri>1</uri></blf></account>`)}
	_, doc := rendered(t, l, v)
	for name, want := range map[string]string{"title": "Old", "username": "alice", "expires": "120", "voiceMailNumber": "", "myOwnNode": "kept"} {
		if got := node(t, doc, name); got.Value() != want {
			t.Errorf("%s = %q, want %q", name, got.Value(), want)
		}
	}
	if blf := node(t, doc, "blf"); len(blf.Children) != 2 || blf.Priority != 50 || blf.Source != "site" {
		t.Errorf("blf is not the union of both layers: %+v", blf)
	}
	if dnd := node(t, doc, "doNotDisturb"); len(dnd.Attrs) != 1 || len(dnd.Children) != 1 {
		t.Errorf("the attribute of an element is lost: %+v", dnd)
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	xml := func(content string) func(*v1.AccountLayer, render.Values) {
		return func(l *v1.AccountLayer, v render.Values) {
			l.XMLFrom = &v1.XMLSource{SecretKeyRef: &v1.KeyRef{Name: "old", Key: "account.xml"}}
			v[render.Object{Kind: render.Secret, Name: "old"}] = map[string][]byte{"account.xml": []byte(content)}
		}
	}
	password := func(value string) func(*v1.AccountLayer, render.Values) {
		return func(_ *v1.AccountLayer, v render.Values) {
			v[render.Object{Kind: render.Secret, Name: "alice"}]["password"] = []byte(value)
		}
	}
	for name, c := range map[string]struct {
		spoil           func(*v1.AccountLayer, render.Values)
		reason, message string
	}{
		"no Secret": {func(_ *v1.AccountLayer, v render.Values) { clear(v) },
			v1.ReasonSecretNotFound, "Secret alice does not exist: create it with the password under key password"},
		"no key": {func(_ *v1.AccountLayer, v render.Values) { v[render.Object{Kind: render.Secret, Name: "alice"}] = nil },
			v1.ReasonSecretKeyMissing, "Secret alice has no key password: add it with the password"},
		"an empty password": {password(""), v1.ReasonInvalidSecretValue, "the password in key password of Secret alice is empty"},
		"a password with a line break": {password(secret + "\n"), v1.ReasonInvalidSecretValue,
			"the password in key password of Secret alice ends in a line break: store it without one (printf instead of echo)"},
		"a password of bytes": {password("\x00" + secret), v1.ReasonInvalidSecretValue,
			"the password in key password of Secret alice contains characters that no password can have (control characters, or bytes that are not UTF-8)"},
		"no ConfigMap": {func(l *v1.AccountLayer, _ render.Values) {
			l.XMLFrom = &v1.XMLSource{ConfigMapKeyRef: &v1.KeyRef{Name: "old", Key: "xml"}}
		}, v1.ReasonConfigMapNotFound, "ConfigMap old does not exist: create it with the account XML under key xml"},
		"two accounts": {xml("<accounts><account/><account/></accounts>"), v1.ReasonInvalidXML,
			"key account.xml of Secret old: has 2 accounts, must have exactly one"},
		"an extra node twice": {func(l *v1.AccountLayer, _ render.Values) { l.Extra = map[string]v1.ExtraValue{"host": "other.test"} }, v1.ReasonInvalidAccount,
			"spec.extra.host: the node is given twice, here and in spec.account or under another of its names: remove one"},
		"two elements in one extra": {func(l *v1.AccountLayer, _ render.Values) {
			l.Extra = map[string]v1.ExtraValue{"blf": "<blf/><host>evil.test</host>"}
		}, v1.ReasonInvalidXML, "spec.extra.blf: has 2 elements, must be the one element <blf>"},
		"a merge rule for nothing": {func(l *v1.AccountLayer, _ render.Values) { l.Merge = []v1.NodeMerge{{Node: "blf"}} }, v1.ReasonInvalidAccount,
			"spec.merge[blf]: neither spec.account nor spec.extra gives this node: give it, or say empty: true"},
		"a merge rule that empties a value": {func(l *v1.AccountLayer, _ render.Values) {
			l.Merge = []v1.NodeMerge{{Node: "username", Empty: ptr.To(true)}}
		}, v1.ReasonInvalidAccount, "spec.merge[username]: empty is true, but spec.account or spec.extra gives the node a value: remove one"},
		"a document too long": {func(l *v1.AccountLayer, _ render.Values) {
			l.Extra = map[string]v1.ExtraValue{}
			for _, n := range []string{"a", "b", "c", "d"} {
				l.Extra[n] = v1.ExtraValue(strings.Repeat("x", 65000))
			}
		}, v1.ReasonTooLarge, "and a line may have 200000: shorten it"},
	} {
		l, v := layer(), values()
		c.spoil(&l, v)
		_, err := render.Render(render.Input{Name: "alice", Layer: l, Values: v})
		var f *render.Failure
		if !errors.As(err, &f) || f.Reason != c.reason || !strings.HasSuffix(f.Message, c.message) {
			t.Errorf("%s:\n got %v\nwant %s: %s", name, err, c.reason, c.message)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the message shows the password", name)
		}
	}
}

func TestMalformedXMLTellsThePlace(t *testing.T) {
	l, v := layer(), values()
	l.XMLFrom = &v1.XMLSource{SecretKeyRef: &v1.KeyRef{Name: "old", Key: "account.xml"}}
	v[render.Object{Kind: render.Secret, Name: "old"}] = map[string][]byte{"account.xml": []byte("<account>\n<password>" + secret + "</pasword></account>")}
	_, err := render.Render(render.Input{Name: "alice", Layer: l, Values: v})
	var f *render.Failure
	if !errors.As(err, &f) || f.Reason != v1.ReasonInvalidXML || !strings.HasPrefix(f.Message, "key account.xml of Secret old:2:") || strings.Contains(f.Message, secret) {
		t.Errorf("got %v", err)
	}
}

func TestInlineSecretsAreSeen(t *testing.T) {
	l := layer()
	l.Account.Password = &v1.SecretValue{Value: ptr.To(secret)}
	l.Extra = map[string]v1.ExtraValue{"cloud_password": secret, "myToken": secret, "harmless": "x"}
	l.XMLFrom = &v1.XMLSource{ConfigMapKeyRef: &v1.KeyRef{Name: "old", Key: "xml"}}
	v := values()
	v[render.Object{Kind: render.ConfigMap, Name: "old"}] = map[string][]byte{"xml": []byte("<account><STUNPassword>" + secret + "</STUNPassword></account>")}
	line, _ := rendered(t, l, v)
	want := []string{"spec.account.password", "spec.extra.cloud_password", "spec.extra.myToken", "STUNPassword in ConfigMap old"}
	if !reflect.DeepEqual(line.Inline, want) {
		t.Errorf("got %v, want %v", line.Inline, want)
	}
}

func TestPasswordSourceTellsWhereToLook(t *testing.T) {
	xml := &v1.XMLSource{SecretKeyRef: &v1.KeyRef{Name: "old", Key: "xml"}}
	for want, l := range map[string]v1.AccountLayer{
		"key password of Secret alice":     layer(),
		"spec.account.password.value":      {Account: &v1.AccountSettings{Password: &v1.SecretValue{Value: ptr.To("x")}}},
		"spec.extra.password":              {Extra: map[string]v1.ExtraValue{"password": "x"}},
		"the XML in key xml of Secret old": {XMLFrom: xml},
		"":                                 {},
	} {
		if got := render.PasswordSource(&l); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAddressesCompareAsRegistrarsDo(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"alice", "Registrar.TEST"}:      "alice@registrar.test",
		{"Alice", "registrar.test:5060"}: "Alice@registrar.test",
		{"alice", "registrar.test:5070"}: "alice@registrar.test:5070",
		{"alice", ""}:                    "",
	} {
		if got := render.Address(in[0], in[1]); got != want {
			t.Errorf("%v: got %q, want %q", in, got, want)
		}
	}
}
