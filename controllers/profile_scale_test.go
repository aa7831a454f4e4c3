package controllers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// A profile that a thousand accounts share is edited: every account follows, with at
// most two writes each. At fifty statuses a second that takes twenty seconds, thirty
// on a machine with something else to do; the time is told, and the limit is there
// for a manager that does not get done at all. The lines are suspended, so that what
// is seen is rendering alone: the address in the status is the profile's host.
func TestAThousandAccountsFollowTheirProfile(t *testing.T) {
	const lines, limit, writesEach = 1000, 2 * time.Minute, 2
	w := newWorld(t)
	w.apply(profile("carrier", v1.AccountSettings{Host: ptr.To(v1.HostPort("before.test"))}),
		&v1.SoftphoneFleet{ObjectMeta: metav1.ObjectMeta{Name: "default"}, Spec: v1.SoftphoneFleetSpec{Suspend: ptr.To(true)}})
	ctx, cancel := context.WithTimeout(t.Context(), 3*limit)
	defer cancel()
	watcher, err := api.Watch(ctx, &v1.SoftphoneAccountList{}, client.InNamespace(w.namespace))
	must(t, err)
	defer watcher.Stop()
	for i := range lines {
		acc := &v1.SoftphoneAccount{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("line-%04d", i)}}
		acc.Spec.Account = &v1.AccountSettings{Username: ptr.To(fmt.Sprintf("u%d", i))}
		acc.Spec.Profiles = []v1.ProfileName{"carrier"}
		w.apply(acc)
	}
	// follow counts the writes until every address has the host.
	follow := func(host string) (writes map[string]int) {
		writes = map[string]int{}
		there := map[string]bool{}
		for e := range watcher.ResultChan() {
			acc, ok := e.Object.(*v1.SoftphoneAccount)
			if !ok || e.Type != watch.Modified {
				continue
			}
			writes[acc.Name]++
			if acc.Status.Address == *acc.Spec.Account.Username+"@"+host && isReady(v1.ReasonSuspended)(acc) {
				there[acc.Name] = true
			}
			if len(there) == lines {
				return writes
			}
		}
		t.Fatalf("%d of %d accounts came to %s", len(there), lines, host)
		return nil
	}
	follow("before.test")
	start := time.Now()
	edit(w, "carrier", &v1.SoftphoneProfile{}, func(p *v1.SoftphoneProfile) { p.Spec.Account.Host = ptr.To(v1.HostPort("after.test")) })
	writes := follow("after.test")
	took := time.Since(start)
	most, all := 0, 0
	for _, n := range writes {
		most, all = max(most, n), all+n
	}
	t.Logf("%d accounts followed in %s, with %d writes, at most %d each", lines, took.Round(time.Millisecond), all, most)
	if took > limit || most > writesEach {
		t.Errorf("want within %s and with at most %d writes each", limit, writesEach)
	}
}
