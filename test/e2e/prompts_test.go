package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	voipv1 "github.com/softphone-operator/softphone-operator/api/v1"
)

// TestAClaimOfPromptsThatIsMissingIsToldAndMended: the line's pod waits for the claim, the fleet says so, and both go on when the claim is there.
func TestAClaimOfPromptsThatIsMissingIsToldAndMended(t *testing.T) {
	ns := newNamespace(t)
	apply(t, ns, `
apiVersion: voip.softphone.dev/v1
kind: SoftphoneFleet
metadata: {name: default}
spec: {prompts: {persistentVolumeClaim: sounds}}
`)
	apply(t, ns, line("unprompted", "secret-unprompted"))
	awaitPrompts(t, ns, metav1.ConditionFalse, voipv1.ReasonPersistentVolumeClaimNotFound)
	kubectl(t, "wait", "-n", ns, "--for=condition=Stalled", "sfleet/default", "--timeout=60s")
	t.Logf("kubectl get of a fleet and an agent whose claim is missing:\n%s%s", kubectl(t, "get", "-n", ns, "sfleet,sagent", "-o", "wide"),
		kubectl(t, "get", "-n", ns, "sagent", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].message}`))

	claimOf(t, ns, t.TempDir())
	awaitAccount(t, ns, "unprompted", "registered", registered)
	awaitPrompts(t, ns, metav1.ConditionTrue, voipv1.ReasonPromptsFound)
}

// TestAVolumeThatCannotBeMountedIsToldAndLeft: the claim is bound, and its directory is not there; other prompts free the line.
func TestAVolumeThatCannotBeMountedIsToldAndLeft(t *testing.T) {
	ns := newNamespace(t)
	fleet := `
apiVersion: voip.softphone.dev/v1
kind: SoftphoneFleet
metadata: {name: default}
spec: {prompts: {%s: sounds}}
`
	claimOf(t, ns, filepath.Join(t.TempDir(), "missing"))
	apply(t, ns, fmt.Sprintf(fleet, "persistentVolumeClaim"))
	apply(t, ns, line("unmounted", "secret-unmounted"))
	awaitPrompts(t, ns, metav1.ConditionFalse, voipv1.ReasonVolumesNotMounted)
	apply(t, ns, fmt.Sprintf(fleet, "configMap"))
	awaitAccount(t, ns, "unmounted", "registered", registered)
	awaitPrompts(t, ns, metav1.ConditionFalse, voipv1.ReasonConfigMapNotFound)
}

// claimOf makes the claim sounds, bound to a directory of the node.
func claimOf(t *testing.T, namespace, directory string) {
	t.Helper()
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(cluster.Delete(context.Background(), volume)); err != nil {
			t.Error(err)
		}
	})
	apply(t, "", fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s}
spec:
  capacity: {storage: 1Mi}
  accessModes: [ReadOnlyMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  claimRef: {namespace: %[1]s, name: sounds}
  hostPath: {path: %[2]q, type: Directory}
`, namespace, directory))
	apply(t, namespace, fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: sounds}
spec: {accessModes: [ReadOnlyMany], storageClassName: "", volumeName: %s, resources: {requests: {storage: 1Mi}}}
`, namespace))
}

// awaitPrompts waits for what the fleet default says of its prompts.
func awaitPrompts(t *testing.T, namespace string, status metav1.ConditionStatus, reason string) {
	t.Helper()
	until(t, "the fleet tells of its prompts: "+reason, func() (bool, string) {
		var f voipv1.SoftphoneFleet
		if err := cluster.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: voipv1.DefaultFleet}, &f); err != nil {
			return false, err.Error()
		}
		c := meta.FindStatusCondition(f.Status.Conditions, voipv1.ConditionPromptsReady)
		if c == nil || c.Status != status || c.Reason != reason {
			return false, fmt.Sprint(c)
		}
		t.Logf("%s %s, %s: %s", c.Type, c.Status, c.Reason, c.Message)
		return true, ""
	})
}
