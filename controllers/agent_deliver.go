package controllers

import (
	"context"
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
		if !f.ledger.Lines[l.binding.Name].current(l.made) {
			return true
		}
	}
	return false
}

// settingsDigest covers what agent.json and the checks' files are made of.
func (f *agentFacts) settingsDigest() string {
	rows := map[string]delivery.Line{}
	for _, l := range f.lines {
		rows[l.binding.Name] = f.row(l)
	}
	s := f.settings
	s.Pod, s.Prompts, s.TLS = nil, nil, nil // of no concern to agent.json, or to the lines' fingerprints
	return digest([]any{f.agent.Name, f.fleetFound, s, rows, f.labels(), f.checks})
}

// build makes the Secret anew.
func (r *agentReconciler) build(ctx context.Context, f *agentFacts, before *corev1.Secret) (*corev1.Secret, error) {
	p, err := newPacking(r.objects, before)
	if err != nil {
		return nil, err
	}
	now := ledger{Settings: f.settingsDigest(), Lines: map[string]ledgerLine{}}
	parcels, last := map[string]parcel{}, map[string]parcel{}
	for _, l := range f.lines {
		name := l.binding.Name
		if parcels[name], now.Lines[name], err = r.parcel(ctx, f, p, l); err != nil {
			return nil, err
		}
		if p.ledger.Lines[name].Of == now.Lines[name].Of {
			last[name] = p.last(name)
		}
	}
	fit(parcels, last, now.Lines)
	files := f.files(p, parcels, now.Lines)
	now.Checks = f.addChecks(files, p.hasher)
	now.Snapshot = p.hasher.Snapshot(files)
	if f.credentials, err = credentials(before.Data, f.now); err != nil {
		return nil, err
	}
	now.RenewAt = metav1.NewTime(reports.RenewAt(f.credentials)).Rfc3339Copy()
	now.Report = digest(string(f.credentials[delivery.ReportCertFile]))
	maps.Copy(files, f.credentials)
	f.ledger, f.delivered = now, true
	return filesSecret(f.agent, files, now), nil
}

// files are what the agent loads: documents, what their lines' rows name, and
// agent.json. The hashes of the lines go into the ledger.
func (f *agentFacts) files(p *packing, parcels map[string]parcel, lines map[string]ledgerLine) map[string][]byte {
	settings := f.settings
	if old := p.settings; !f.fleetFound && old.Version > 0 { // a fleet that went away leaves its agents as they are
		settings.Network, settings.IncomingCallMode, settings.Caps, settings.Registrar = old.Network, old.IncomingCallMode, old.Caps, old.Registrar
		settings.Destinations, settings.Transfers, settings.HEP = old.Destinations, old.Transfers, old.HEP
		settings.NoAnswerSeconds, settings.DrainSeconds = old.NoAnswerSeconds, old.DrainSeconds
	}
	files, rows := map[string][]byte{}, map[string]delivery.Line{}
	for _, l := range f.lines {
		name := l.binding.Name
		c := parcels[name]
		if c.document == nil {
			continue
		}
		row := f.row(l)
		row.TLS = c.tls
		files[delivery.LineFile(name)], rows[name] = c.document, row
		maps.Copy(files, c.files)
		entry := lines[name]
		entry.Delivered = p.hasher.Line(c.document, row)
		lines[name] = entry
	}
	files[delivery.AgentFile] = render.AgentFile(f.agent.Name, p.settings.HashKey, settings, rows, f.labels())
	return files
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
