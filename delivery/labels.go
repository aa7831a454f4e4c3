package delivery

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MaxMetricLabels is how many labels of accounts metrics may carry.
const MaxMetricLabels = 8

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// takenLabels are those that metrics, or whoever scrapes them, use themselves.
var takenLabels = []string{"account", "check", "verdict", "code", "state", "direction", "outcome", "name", "version", "namespace", "pod", "instance", "job", "container", "le", "quantile"}

// MetricLabel gives the name under which Prometheus knows an object's label: what
// stands behind the slash, with an underscore for what no label of a metric may have.
func MetricLabel(key string) string {
	if i := strings.LastIndexByte(key, '/'); i >= 0 {
		key = key[i+1:]
	}
	name := strings.Map(func(c rune) rune {
		if c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '_'
	}, key)
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return name
}

func validateMetricLabels(names []string) error {
	if len(names) > MaxMetricLabels {
		return fmt.Errorf("metricLabels: %d, %d allowed", len(names), MaxMetricLabels)
	}
	for i, n := range names {
		switch {
		case !labelName.MatchString(n) || strings.HasPrefix(n, "__"):
			return fmt.Errorf("metricLabels[%d]: %q is no name of a label", i, n)
		case slices.Contains(takenLabels, n):
			return fmt.Errorf("metricLabels[%d]: metrics have a label %s already", i, n)
		case slices.Contains(names[:i], n):
			return fmt.Errorf("metricLabels[%d]: %s is there twice", i, n)
		}
	}
	return nil
}
