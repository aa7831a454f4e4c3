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
func (r *accountReconciler) render(ctx context.Context, acc *v1.SoftphoneAccount, fleet *v1.TLS) (rendering, error) {
	key := client.ObjectKeyFromObject(acc)
	now, err := r.objects.made(ctx, acc, fleet)
	if err != nil {
		return rendering{}, err
	}
	last := r.memo.get(key)
	if last.made.document == now.document && (last.made.tls == now.tls || !last.secure) {
		return last, nil
	}
	out := rendering{made: now, secure: true}
	line, err := r.objects.render(ctx, acc, fleet)
	var failure *render.Failure
	switch {
	case errors.As(err, &failure):
		out.reason, out.message = failure.Reason, failure.Message
	case err != nil:
		return rendering{}, err
	default:
		out.address, out.inline, out.warnings, out.secure = line.Address, line.Inline, line.Warnings, line.TLS != nil
	}
	r.memo.put(key, out)
	return out, nil
}
