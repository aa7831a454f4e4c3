package controllers

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
)

// renderings remember how rendering ended, so that an account whose input did
// not change costs no reading of its Secret. They hold no document.
type renderings struct {
	mu   sync.Mutex
	last map[types.NamespacedName]rendering
}

func newRenderings() *renderings { return &renderings{last: map[types.NamespacedName]rendering{}} }

func (m *renderings) get(key types.NamespacedName) rendering {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last[key]
}

func (m *renderings) put(key types.NamespacedName, r rendering) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last[key] = r
}

func (m *renderings) forget(key types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.last, key)
}

// render renders the account to see how it ends; the document itself is made
// again where it is delivered.
func (r *accountReconciler) render(ctx context.Context, acc *v1.SoftphoneAccount) (rendering, error) {
	key := client.ObjectKeyFromObject(acc)
	versions, err := r.objects.versions(ctx, acc)
	if err != nil {
		return rendering{}, err
	}
	out := rendering{fingerprint: fingerprint(acc, versions)}
	if last := r.memo.get(key); last.fingerprint == out.fingerprint {
		return last, nil
	}
	line, err := r.objects.render(ctx, acc)
	var failure *render.Failure
	switch {
	case errors.As(err, &failure):
		out.reason, out.message = failure.Reason, failure.Message
	case err != nil:
		return rendering{}, err
	default:
		out.address, out.inline, out.warnings = line.Address, line.Inline, line.Warnings
	}
	r.memo.put(key, out)
	return out, nil
}
