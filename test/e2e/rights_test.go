package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// auditLog is what the operator asked of the API server since the cluster came up.
const auditLog = ".cluster/logs/audit.log"

// invisible are rights that are needed and never show as a request of their own.
var invisible = map[string]string{
	"update softphoneagents/finalizers": "asked for by the admission of owner references that block deletion",
	"patch events":                      "counts an event that comes again and again; no test waits for that",
}

// unusedRights compares what the operator's role grants with what it asked for
// while all tests ran: a right that nothing used is one too many.
func unusedRights(ctx context.Context) ([]string, error) {
	used, err := usedRights()
	if err != nil {
		return nil, err
	}
	var role rbacv1.ClusterRole
	if err := cluster.Get(ctx, client.ObjectKey{Name: "softphone-manager-role"}, &role); err != nil {
		return nil, err
	}
	var unused []string
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				if right := verb + " " + resource; !used[right] && invisible[right] == "" {
					unused = append(unused, right)
				}
			}
		}
	}
	slices.Sort(unused)
	fmt.Printf("the operator used %d rights: %s\n", len(used), strings.Join(slices.Sorted(maps.Keys(used)), ", "))
	return unused, nil
}

// usedRights reads them from the audit log, as "verb resource[/subresource]".
func usedRights() (map[string]bool, error) {
	f, err := os.Open(auditLog)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	used := map[string]bool{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb           string
			ObjectRef      struct{ Resource, Subresource string }
			ResponseStatus struct{ Code int }
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("%s: %w", auditLog, err)
		}
		resource := event.ObjectRef.Resource
		if resource == "" {
			continue // discovery and health, not rights of the role
		}
		if event.ObjectRef.Subresource != "" {
			resource += "/" + event.ObjectRef.Subresource
		}
		used[event.Verb+" "+resource] = true
		if event.Verb == "watch" { // an API server that cannot stream the first list is asked for it
			used["list "+resource] = true
		}
		if event.Verb == "patch" && event.ResponseStatus.Code == 201 { // server-side apply that made the object
			used["create "+resource] = true
		}
	}
	return used, lines.Err()
}
