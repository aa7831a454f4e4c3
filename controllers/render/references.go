package render

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// Kind of object that a reference points at.
type Kind string

// The kinds.
const (
	Secret    Kind = "Secret"
	ConfigMap Kind = "ConfigMap"
)

// Reference is a key of a Secret or ConfigMap.
type Reference struct {
	Kind Kind
	Name string
	Key  string
}

// String is how a reference is called in messages.
func (r Reference) String() string { return fmt.Sprintf("key %s of %s %s", r.Key, r.Kind, r.Name) }

// References lists what the layer refers to.
func References(l *v1.AccountLayer) []Reference {
	refs := Passwords(l)
	for _, name := range slices.Sorted(maps.Keys(l.ExtraFrom)) {
		ref := l.ExtraFrom[name].SecretKeyRef
		refs = append(refs, secret(&ref))
	}
	if ref, ok := xmlReference(l.XMLFrom); ok {
		refs = append(refs, ref)
	}
	return refs
}

// Passwords are the references to the values of single nodes: any text would do in their place.
func Passwords(l *v1.AccountLayer) []Reference {
	var refs []Reference
	for _, f := range mirrored() {
		if l.Account == nil || f.Type != reflect.TypeFor[*v1.SecretValue]() {
			continue
		}
		if value := f.Get(l.Account).Interface().(*v1.SecretValue); value != nil && value.SecretKeyRef != nil {
			refs = append(refs, secret(value.SecretKeyRef))
		}
	}
	return refs
}

func secret(ref *v1.KeyRef) Reference { return Reference{Secret, ref.Name, ref.Key} }

func xmlReference(from *v1.XMLSource) (Reference, bool) {
	switch {
	case from == nil:
		return Reference{}, false
	case from.SecretKeyRef != nil:
		return secret(from.SecretKeyRef), true
	case from.ConfigMapKeyRef != nil:
		return Reference{ConfigMap, from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key}, true
	}
	return Reference{}, false
}

// Values are the contents of the objects that references point at; an object
// that does not exist has none.
type Values map[Object]map[string][]byte

// Object names a Secret or ConfigMap.
type Object struct {
	Kind Kind
	Name string
}

// Object that the reference points into.
func (r Reference) Object() Object { return Object{r.Kind, r.Name} }

// get gives the value, or says what is missing and what to do about it.
func (v Values) get(r Reference, what string) ([]byte, error) {
	data, ok := v[r.Object()]
	if !ok {
		reason := v1.ReasonSecretNotFound
		if r.Kind == ConfigMap {
			reason = v1.ReasonConfigMapNotFound
		}
		return nil, fail(reason, "%s %s does not exist: create it with %s under key %s", r.Kind, r.Name, what, r.Key)
	}
	value, ok := data[r.Key]
	if !ok {
		reason := v1.ReasonSecretKeyMissing
		if r.Kind == ConfigMap {
			reason = v1.ReasonConfigMapKeyMissing
		}
		return nil, fail(reason, "%s %s has no key %s: add it with %s", r.Kind, r.Name, r.Key, what)
	}
	return value, nil
}

// secretText gives the value of a password reference as a node's text.
func (v Values) secretText(r Reference, node string) (string, error) {
	value, err := v.get(r, "the "+node)
	if err != nil {
		return "", err
	}
	text := string(value)
	switch {
	case text == "":
		return "", fail(v1.ReasonInvalidSecretValue, "the %s in %s is empty", node, r)
	case strings.HasSuffix(text, "\n"):
		return "", fail(v1.ReasonInvalidSecretValue, "the %s in %s ends in a line break: store it without one (printf instead of echo)", node, r)
	case strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\uFFFD' }):
		return "", fail(v1.ReasonInvalidSecretValue, "the %s in %s contains characters that no %s can have (control characters, or bytes that are not UTF-8)", node, r, node)
	}
	return text, nil
}

// extraText gives the value of a reference of extraFrom: a text of any number of
// lines, or an element. Reading and validation judge the rest.
func (v Values) extraText(r Reference, node string) (string, error) {
	value, err := v.get(r, "the "+node)
	if err != nil {
		return "", err
	}
	text := string(value)
	switch {
	case !utf8.ValidString(text):
		return "", fail(v1.ReasonInvalidSecretValue, "the %s in %s contains bytes that are not UTF-8", node, r)
	case isElement(node, text):
		return text, nil
	case strings.HasSuffix(text, "\n"):
		return "", fail(v1.ReasonInvalidSecretValue, "the %s in %s ends in a line break: store it without one (printf instead of echo)", node, r)
	}
	return text, nil
}

// PasswordSource says where the password of the layer comes from, to tell the
// user where to look.
func PasswordSource(l *v1.AccountLayer) string {
	if l.Account != nil && l.Account.Password != nil {
		if ref := l.Account.Password.SecretKeyRef; ref != nil {
			return secret(ref).String()
		}
		return "spec.account.password.value"
	}
	if _, ok := l.Extra["password"]; ok {
		return "spec.extra.password"
	}
	if from, ok := l.ExtraFrom["password"]; ok {
		return secret(&from.SecretKeyRef).String()
	}
	if ref, ok := xmlReference(l.XMLFrom); ok {
		return "the XML in " + ref.String()
	}
	return ""
}
