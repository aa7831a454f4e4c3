package controllers_test

import (
	"context"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// event waits for an Event about an account or a check.
func (w *world) event(name, kind, reason, note string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	watcher, err := api.Watch(ctx, &eventsv1.EventList{}, client.InNamespace(w.namespace))
	must(w.t, err)
	defer watcher.Stop()
	var seen []string
	for e := range watcher.ResultChan() {
		event, ok := e.Object.(*eventsv1.Event)
		if !ok || event.Regarding.Name != name {
			continue
		}
		if event.Type == kind && event.Reason == reason && event.Note == note && (event.Regarding.Kind == "SoftphoneAccount" || event.Regarding.Kind == "CallCheck") {
			return
		}
		seen = append(seen, event.Type+" "+event.Reason+" "+event.Note)
	}
	w.t.Fatalf("no event %s %s %q; seen: %q", kind, reason, note, seen)
}

func codecs(all ...string) v1.CodecList {
	var list v1.CodecList
	for _, c := range all {
		list = append(list, intstr.Parse(c))
	}
	return list
}
