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
}

func metadataOf(kind render.Kind) *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(string(kind)))
	return m
}

// versions tells which version of each object the account refers to exists now;
// an object that does not exist has none.
func (o objects) versions(ctx context.Context, acc *v1.SoftphoneAccount) (map[render.Object]string, error) {
	out := map[render.Object]string{}
	for _, ref := range render.References(&acc.Spec.AccountLayer) {
		m := metadataOf(ref.Kind)
		switch err := o.cached.Get(ctx, types.NamespacedName{Namespace: acc.Namespace, Name: ref.Name}, m); {
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

// values reads the contents of every object that the account refers to.
func (o objects) values(ctx context.Context, acc *v1.SoftphoneAccount) (render.Values, error) {
	out := render.Values{}
	for _, ref := range render.References(&acc.Spec.AccountLayer) {
		if _, done := out[ref.Object()]; done {
			continue
		}
		data, err := o.contents(ctx, types.NamespacedName{Namespace: acc.Namespace, Name: ref.Name}, ref.Kind)
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

func (o objects) contents(ctx context.Context, key types.NamespacedName, kind render.Kind) (map[string][]byte, error) {
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

// render makes the line of an account as it is now.
func (o objects) render(ctx context.Context, acc *v1.SoftphoneAccount) (*render.Line, error) {
	values, err := o.values(ctx, acc)
	if err != nil {
		return nil, err
	}
	return render.Render(render.Input{Name: acc.Name, Layer: acc.Spec.AccountLayer, Below: render.BuiltIn(), Values: values})
}

// fingerprint tells two inputs of a rendering apart without reading a secret.
func fingerprint(acc *v1.SoftphoneAccount, versions map[render.Object]string) string {
	refs := slices.SortedFunc(maps.Keys(versions), func(a, b render.Object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	in := []any{render.Version, acc.UID, acc.Generation}
	for _, ref := range refs {
		in = append(in, ref.Kind, ref.Name, versions[ref])
	}
	return digest(in)
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
