package controllers

import (
	"context"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/softphone-operator/softphone-operator/controllers/podspec"
	"github.com/softphone-operator/softphone-operator/controllers/reports"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// follow reads the report of the agent's pod as long as there is one.
func (r *agentReconciler) follow(ctx context.Context, f *agentFacts) (time.Duration, error) {
	key := client.ObjectKeyFromObject(f.agent)
	if f.pod == nil {
		r.reader.Forget(key)
		f.report = nil
		return 0, nil
	}
	if f.pod.Status.PodIP == "" || f.pod.Status.Phase != corev1.PodRunning || !f.delivered {
		return 0, nil
	}
	address := net.JoinHostPort(f.pod.Status.PodIP, strconv.Itoa(podspec.PortReport))
	if at, version := r.reader.Current(key); at == address && version == f.ledger.Report {
		return r.reportDue(f), nil
	}
	if f.credentials == nil {
		secret, err := get(ctx, r.objects.live, secretOf(f.agent), &corev1.Secret{})
		if err != nil || secret == nil {
			return 0, err
		}
		f.credentials = secret.Data
	}
	r.reader.Watch(key, reports.Target{
		Address: address, Version: f.ledger.Report,
		Certificate: f.credentials[delivery.ReportCertFile], Token: string(f.credentials[delivery.ReportTokenFile]),
	})
	return settleTime, nil
}

// reportDue is when a report that is missing becomes worth telling.
func (r *agentReconciler) reportDue(f *agentFacts) time.Duration {
	if f.report == nil || f.report.Connected {
		return 0
	}
	return max(f.report.Since.Add(settleTime).Sub(f.now), 0)
}
