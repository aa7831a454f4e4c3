package controllers

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// objects reads what accounts refer to: metadata from the cache, contents from
// the API server, so that no cache ever holds them.
type objects struct {
	cached client.Reader
	live   client.Reader
	// pass remembers what one pass over many lines has read; nil = nothing.
	pass *pass
}

// pass is what many lines that are rendered at once share: a bundle of
// authorities is read and judged once. It is dropped when they are done.
type pass struct {
	contents  map[types.NamespacedName]map[render.Kind]map[string][]byte
	materials map[string]materialRead
}

type materialRead struct {
	material *render.Material
	warnings []string
	err      error
}

// forOnePass reads every object once.
func (o objects) forOnePass() objects {
	o.pass = &pass{contents: map[types.NamespacedName]map[render.Kind]map[string][]byte{}, materials: map[string]materialRead{}}
	return o
}

func metadataOf(kind render.Kind) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(string(kind)))
	return m
}

// versions tells which version of each object referred to exists now; an object
// that does not exist has none.
func (o objects) versions(ctx context.Context, namespace string, refs []render.Reference) (map[render.Object]string, error) {
	out := map[render.Object]string{}
	for _, ref := range refs {
		if _, done := out[ref.Object()]; done {
			continue
		}
		m := metadataOf(ref.Kind)
		switch err := o.cached.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, m); {
		case apierrors.IsNotFound(err):
			out[ref.Object()] = ""
		case err != nil:
			return nil, fmt.Errorf("metadata of %s: %w", ref, err)
		default:
			out[ref.Object()] = string(m.UID) + "/" + m.ResourceVersion
		}
	}
	return out, nil
}

// values reads the contents of every object referred to.
func (o objects) values(ctx context.Context, namespace string, refs []render.Reference) (render.Values, error) {
	out := render.Values{}
	for _, ref := range refs {
		if _, done := out[ref.Object()]; done {
			continue
		}
		data, err := o.contents(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, ref.Kind)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", ref, err)
		}
		out[ref.Object()] = data
	}
	return out, nil
}

// contents of one object.
func (o objects) contents(ctx context.Context, key types.NamespacedName, kind render.Kind) (map[string][]byte, error) {
	if o.pass == nil {
		return o.read(ctx, key, kind)
	}
	if data, ok := o.pass.contents[key][kind]; ok {
		return data, nil
	}
	data, err := o.read(ctx, key, kind)
	if err != nil {
		return nil, err
	}
	if o.pass.contents[key] == nil {
		o.pass.contents[key] = map[render.Kind]map[string][]byte{}
	}
	o.pass.contents[key][kind] = data
	return data, nil
}

func (o objects) read(ctx context.Context, key types.NamespacedName, kind render.Kind) (map[string][]byte, error) {
	if kind == render.Secret {
		s := &corev1.Secret{}
		err := o.live.Get(ctx, key, s)
		return s.Data, err
	}
	m := &corev1.ConfigMap{}
	if err := o.live.Get(ctx, key, m); err != nil {
		return nil, err
	}
	out := maps.Clone(m.BinaryData)
	if out == nil {
		out = map[string][]byte{}
	}
	for k, v := range m.Data {
		out[k] = []byte(v)
	}
	return out, nil
}

// render makes the line of an account as it is now, in a fleet with this TLS.
func (o objects) render(ctx context.Context, acc *v1.SoftphoneAccount, fleet *v1.TLS) (*render.Line, error) {
	l, err := o.layers(ctx, acc)
	if err != nil {
		return nil, err
	}
	if err := l.failure(); err != nil {
		return nil, err
	}
	values, err := o.values(ctx, acc.Namespace, l.references())
	if err != nil {
		return nil, err
	}
	return render.Render(render.Input{
		Name: acc.Name, Layer: acc.Spec.AccountLayer, Below: render.BuiltIn(), Profiles: l.rendered(), Values: values, OwnTLS: acc.Spec.TLS != nil,
		Material: func() (*render.Material, []string, error) {
			return o.material(ctx, acc.Namespace, render.TLSOf(acc.Spec.TLS, fleet))
		},
	})
}

// material reads what TLS refers to.
func (o objects) material(ctx context.Context, namespace string, t v1.TLS) (*render.Material, []string, error) {
	key := digest([]any{namespace, t})
	if o.pass != nil {
		if m, ok := o.pass.materials[key]; ok {
			return m.material, m.warnings, m.err
		}
	}
	values, err := o.values(ctx, namespace, render.TLSReferences(t))
	if err != nil {
		return nil, nil, err
	}
	var m materialRead
	m.material, m.warnings, m.err = render.ReadMaterial(t, values, time.Now())
	if o.pass != nil {
		o.pass.materials[key] = m
	}
	return m.material, m.warnings, m.err
}

// made tells two inputs of a rendering apart without reading a secret.
type made struct {
	// document is about the account, its profiles and what they refer to.
	document string
	// tls is about what TLS connections are made with; it concerns lines that have some.
	tls string
}

// made of what the account, in a fleet with this TLS, would be now.
func (o objects) made(ctx context.Context, acc *v1.SoftphoneAccount, fleet *v1.TLS) (made, error) {
	l, err := o.layers(ctx, acc)
	if err != nil {
		return made{}, err
	}
	versions, err := o.versions(ctx, acc.Namespace, l.references())
	if err != nil {
		return made{}, err
	}
	t := render.TLSOf(acc.Spec.TLS, fleet)
	of, err := o.versions(ctx, acc.Namespace, render.TLSReferences(t))
	if err != nil {
		return made{}, err
	}
	return made{
		document: digest(append(append([]any{render.Version}, l.identity()...), listed(versions)...)),
		tls:      digest(append([]any{t}, listed(of)...)),
	}, nil
}

// listed gives versions in one order.
func listed(versions map[render.Object]string) []any {
	refs := slices.SortedFunc(maps.Keys(versions), func(a, b render.Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	var in []any
	for _, ref := range refs {
		in = append(in, ref.Kind, ref.Name, versions[ref])
	}
	return in
}

// digest is a short hash of something that is no secret.
func digest(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and structs of them always encode
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:8])
}
