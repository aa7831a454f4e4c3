package controllers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// deliverInterval is the least time between two writes of one agent's files; the
// first edit after a pause goes at once, what follows is gathered.
const deliverInterval = 500 * time.Millisecond

// deliver writes the agent's files when what they are made of changed.
func (r *agentReconciler) deliver(ctx context.Context, f *agentFacts) (time.Duration, error) {
	if f.delivered && !outdated(f) {
		return max(f.ledger.RenewAt.Sub(f.now), 0), nil
	}
	key := client.ObjectKeyFromObject(f.agent)
	if wait := r.writes.wait(key, f.now); wait > 0 {
		f.behind = true
		return wait, nil
	}
	before, err := get(ctx, r.objects.live, secretOf(f.agent), &corev1.Secret{})
	if err != nil {
		return 0, err
	}
	if before == nil {
		before = &corev1.Secret{}
	}
	secret, err := r.build(ctx, f, before)
	if err != nil {
		return 0, err
	}
	if reflect.DeepEqual(secret.Data, before.Data) && secret.Annotations[annotationLedger] == before.Annotations[annotationLedger] {
		return 0, nil
	}
	r.writes.done(key, f.now)
	if err := apply(ctx, r.Client, secret, managerDelivery); err != nil {
		return 0, err
	}
	r.written.put(key, f.secretVersion, f.ledger)
	return 0, nil
}

// outdated tells whether something else than the ledger says would be delivered now.
func outdated(f *agentFacts) bool {
	if f.ledger.Settings != f.settingsDigest() || len(f.ledger.Lines) != len(f.lines) || !f.now.Before(f.ledger.RenewAt.Time) {
		return true
	}
	for _, l := range f.lines {
		if f.ledger.Lines[l.binding.Name].Made != l.fingerprint {
			return true
		}
	}
	return false
}

// settingsDigest covers what agent.json is made of.
func (f *agentFacts) settingsDigest() string {
	rows := map[string]delivery.Line{}
	for _, l := range f.lines {
		rows[l.binding.Name] = f.row(l)
	}
	s := f.settings
	s.Pod = nil
	return digest([]any{f.agent.Name, f.fleetFound, s, rows})
}

// build makes the Secret anew: what did not change is taken from the one before,
// and so is a document that its account no longer gives.
func (r *agentReconciler) build(ctx context.Context, f *agentFacts, before *corev1.Secret) (*corev1.Secret, error) {
	was := readLedger(before.Annotations)
	now := ledger{Settings: f.settingsDigest(), Lines: map[string]ledgerLine{}}
	files := map[string][]byte{}
	for _, l := range f.lines {
		document, entry, err := r.document(ctx, l, was.Lines[l.binding.Name], before.Data)
		if err != nil {
			return nil, err
		}
		now.Lines[l.binding.Name] = entry
		if document != nil {
			files[delivery.LineFile(l.binding.Name)] = document
		}
	}
	fit(files, before.Data, now.Lines)
	hasher, err := f.addAgentFile(files, now.Lines, before.Data)
	if err != nil {
		return nil, err
	}
	now.Snapshot = hasher.Snapshot(files)
	if f.credentials, err = credentials(before.Data, f.now); err != nil {
		return nil, err
	}
	now.RenewAt = metav1.NewTime(reports.RenewAt(f.credentials)).Rfc3339Copy()
	now.Report = digest(string(f.credentials[delivery.ReportCertFile]))
	maps.Copy(files, f.credentials)
	f.ledger, f.delivered = now, true
	return filesSecret(f.agent, files, now), nil
}

// document gives a line's document and its entry in the ledger; nil when there is none.
func (r *agentReconciler) document(ctx context.Context, l boundLine, entry ledgerLine, files map[string][]byte) ([]byte, ledgerLine, error) {
	document := files[delivery.LineFile(l.binding.Name)]
	identity := digest(l.account.UID)
	if entry.Of != identity {
		document = nil // another account of that name, or the line is new here
	}
	if entry.Of == identity && entry.Made == l.fingerprint && (document != nil || entry.Kept) {
		return document, entry, nil
	}
	entry = ledgerLine{Of: identity, Made: l.fingerprint}
	line, err := r.objects.render(ctx, l.account)
	var failure *render.Failure
	switch {
	case err == nil:
		return line.Document, entry, nil
	case !errors.As(err, &failure):
		return nil, entry, err
	}
	entry.Kept = true // the account's own reconciler tells the user
	if document == nil {
		if document, err = r.documentElsewhere(ctx, l, identity); err != nil {
			return nil, entry, err
		}
	}
	return document, entry, nil
}

// documentElsewhere finds the last good document of a line that moves here while
// its account cannot be rendered.
func (r *agentReconciler) documentElsewhere(ctx context.Context, l boundLine, identity string) ([]byte, error) {
	lookup := lookups{r.Client}
	for _, a := range lookup.agents(ctx, l.account.Namespace, indexLine, l.account.Name) {
		entry, err := ledgerOf(ctx, r.Client, &a)
		if err != nil {
			return nil, err
		}
		if e := entry.Lines[l.account.Name]; e.Of != identity || e.Delivered == "" {
			continue
		}
		secret, err := get(ctx, r.objects.live, secretOf(&a), &corev1.Secret{})
		if err != nil {
			return nil, err
		}
		if secret != nil && secret.Data[delivery.LineFile(l.account.Name)] != nil {
			return secret.Data[delivery.LineFile(l.account.Name)], nil
		}
	}
	return nil, nil
}

// addAgentFile adds agent.json, and gives the hasher that its key makes. The
// hashes of the lines go into the ledger.
func (f *agentFacts) addAgentFile(files map[string][]byte, lines map[string]ledgerLine, before map[string][]byte) (delivery.Hasher, error) {
	var old delivery.Agent
	if err := json.Unmarshal(before[delivery.AgentFile], &old); err != nil || len(old.HashKey) == 0 {
		old = delivery.Agent{HashKey: make([]byte, 32)}
		if _, err := rand.Read(old.HashKey); err != nil {
			return delivery.Hasher{}, fmt.Errorf("key of hashes: %w", err)
		}
	}
	settings := f.settings
	if !f.fleetFound && old.Version > 0 { // a fleet that went away leaves its agents as they are
		settings.Network, settings.IncomingCallMode, settings.Caps = old.Network, old.IncomingCallMode, old.Caps
		settings.NoAnswerSeconds, settings.DrainSeconds = old.NoAnswerSeconds, old.DrainSeconds
	}
	hasher := delivery.NewHasher(old.HashKey)
	rows := map[string]delivery.Line{}
	for _, l := range f.lines {
		name := l.binding.Name
		if document, ok := files[delivery.LineFile(name)]; ok {
			rows[name] = f.row(l)
			entry := lines[name]
			entry.Delivered = hasher.Line(document, rows[name])
			lines[name] = entry
		}
	}
	files[delivery.AgentFile] = render.AgentFile(f.agent.Name, old.HashKey, settings, rows)
	return hasher, nil
}

// credentials of the report listener: those there are, unless it is time for new ones.
func credentials(files map[string][]byte, now time.Time) (map[string][]byte, error) {
	if !now.Before(reports.RenewAt(files)) {
		return reports.Credentials(now)
	}
	out := map[string][]byte{}
	for _, name := range []string{delivery.ReportCertFile, delivery.ReportKeyFile, delivery.ReportTokenFile} {
		out[name] = files[name]
	}
	return out, nil
}

// filesSecret is the Secret that is mounted into the agent's pod.
func filesSecret(agent *v1.SoftphoneAgent, files map[string][]byte, l ledger) *corev1.Secret {
	labels := podspec.Labels(agent.Spec.Fleet)
	labels[podspec.LabelAgent] = agent.Name
	key := secretOf(agent)
	return &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Name: key.Name, Namespace: key.Namespace, Labels: labels,
			Annotations: map[string]string{annotationLedger: l.String()}, OwnerReferences: ownedBy(agent),
		},
		Type: corev1.SecretTypeOpaque,
		Data: files,
	}
}
