package controllers

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// parcel is what an agent is given for one line. The zero parcel is nothing.
type parcel struct {
	document []byte
	// tls names the files that the line's TLS connections are made with.
	tls   delivery.TLS
	files map[string][]byte
}

// packing makes the parcels of one agent in one pass.
type packing struct {
	objects objects
	// files, settings and ledger are those before.
	files    map[string][]byte
	settings delivery.Agent
	ledger   ledger
	hasher   delivery.Hasher
	// packed remembers the material that lines share.
	packed map[*render.Material]parcel
}

func newPacking(o objects, before *corev1.Secret) (*packing, error) {
	p := &packing{objects: o.forOnePass(), files: before.Data, ledger: readLedger(before.Annotations), packed: map[*render.Material]parcel{}}
	if err := json.Unmarshal(before.Data[delivery.AgentFile], &p.settings); err != nil || len(p.settings.HashKey) == 0 {
		p.settings = delivery.Agent{HashKey: make([]byte, 32)}
		if _, err := rand.Read(p.settings.HashKey); err != nil {
			return nil, fmt.Errorf("key of hashes: %w", err)
		}
	}
	p.hasher = delivery.NewHasher(p.settings.HashKey)
	return p, nil
}

// last is the parcel that the line's agent has.
func (p *packing) last(line string) parcel {
	return unpack(p.files, p.settings, line)
}

func unpack(files map[string][]byte, settings delivery.Agent, line string) parcel {
	out := parcel{document: files[delivery.LineFile(line)], tls: settings.Lines[line].TLS, files: map[string][]byte{}}
	for _, name := range []string{out.tls.CA, out.tls.Certificate, out.tls.Key} {
		if content, ok := files[name]; ok {
			out.files[name] = content
		}
	}
	return out
}

// pack makes a parcel. Its TLS files are named for what is in them: so lines that
// trust the same share a file, and a new version of one is another file, which
// shows in the line's row. The names are keyed like all hashes.
func (p *packing) pack(document []byte, m *render.Material) parcel {
	if m == nil {
		return parcel{document: document}
	}
	out, ok := p.packed[m]
	if !ok {
		out.files = map[string][]byte{}
		out.tls = delivery.TLS{CA: p.name(out.files, m.CA, ".crt"), Certificate: p.name(out.files, m.Certificate, ".crt"), Key: p.name(out.files, m.Key, ".key")}
		p.packed[m] = out
	}
	out.document = document
	return out
}

func (p *packing) name(files map[string][]byte, content []byte, suffix string) string {
	if content == nil {
		return ""
	}
	name := "tls-" + p.hasher.Document(content) + suffix
	files[name] = content
	return name
}

// filledUp takes from another parcel the TLS material that this one lacks.
func (c parcel) filledUp(from parcel) parcel {
	t := delivery.TLS{CA: cmp.Or(c.tls.CA, from.tls.CA), Certificate: c.tls.Certificate, Key: c.tls.Key}
	if t.Certificate == "" {
		t.Certificate, t.Key = from.tls.Certificate, from.tls.Key
	}
	out := parcel{document: c.document, tls: t, files: map[string][]byte{}}
	for _, name := range []string{t.CA, t.Certificate, t.Key} {
		for _, files := range []map[string][]byte{from.files, c.files} {
			if content, ok := files[name]; ok {
				out.files[name] = content
			}
		}
	}
	return out
}

// parcel gives what is delivered for a line and its entry in the ledger; what
// did not change is taken from before, and so is what its account no longer gives.
func (r *agentReconciler) parcel(ctx context.Context, f *agentFacts, p *packing, l boundLine) (parcel, ledgerLine, error) {
	entry, identity := p.ledger.Lines[l.binding.Name], digest(l.account.UID)
	var last parcel
	if entry.Of == identity { // else another account of that name, or the line is new here
		last = p.last(l.binding.Name)
	}
	if entry.Of == identity && entry.current(l.made) && (last.document != nil || entry.Kept) {
		return last, entry, nil
	}
	entry = ledgerLine{Of: identity, Made: l.made.document, TLS: l.made.tls}
	line, err := p.objects.render(ctx, l.account, f.settings.TLS)
	var failure *render.Failure
	switch {
	case err == nil && line.TLS == nil:
		entry.TLS = ""
		return p.pack(line.Document, nil), entry, nil
	case err == nil && !f.fleetFound: // what a fleet gave stays when it goes
		return p.pack(line.Document, line.TLS).filledUp(last), entry, nil
	case err == nil:
		return p.pack(line.Document, line.TLS), entry, nil
	case !errors.As(err, &failure):
		return parcel{}, entry, err
	}
	entry.Kept = true // the account's own reconciler tells the user
	if last.document == nil {
		if last, err = r.parcelElsewhere(ctx, p, l, identity); err != nil {
			return parcel{}, entry, err
		}
	}
	return last, entry, nil
}

// parcelElsewhere finds the last good parcel of a line that moves here while its
// account cannot be rendered.
func (r *agentReconciler) parcelElsewhere(ctx context.Context, p *packing, l boundLine, identity string) (parcel, error) {
	lookup := lookups{r.Client}
	for _, a := range lookup.agents(ctx, l.account.Namespace, indexLine, l.account.Name) {
		entry, err := ledgerOf(ctx, r.Client, &a)
		if err != nil {
			return parcel{}, err
		}
		if e := entry.Lines[l.account.Name]; e.Of != identity || e.Delivered == "" {
			continue
		}
		secret, err := get(ctx, r.objects.live, secretOf(&a), &corev1.Secret{})
		if err != nil {
			return parcel{}, err
		}
		if secret == nil {
			continue
		}
		var settings delivery.Agent
		if err := json.Unmarshal(secret.Data[delivery.AgentFile], &settings); err != nil {
			continue
		}
		if found := unpack(secret.Data, settings, l.account.Name); found.document != nil {
			return p.repack(found), nil
		}
	}
	return parcel{}, nil
}

// repack names the files of another agent's parcel by this agent's key.
func (p *packing) repack(c parcel) parcel {
	return p.pack(c.document, &render.Material{CA: c.files[c.tls.CA], Certificate: c.files[c.tls.Certificate], Key: c.files[c.tls.Key]})
}
