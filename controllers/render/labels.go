package render

import (
	"slices"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/delivery"
)

// metricLabels are the labels that metrics carry, by the keys of objects' labels.
// Of two keys that Prometheus would know by one name the first counts.
func metricLabels(keys []v1.MetricLabel) []string {
	var kept, names []string
	for _, k := range keys {
		if name := delivery.MetricLabel(string(k)); !slices.Contains(names, name) {
			kept, names = append(kept, string(k)), append(names, name)
		}
	}
	return kept
}

// LabelNames are the settings' metric labels as Prometheus names them.
func (s Settings) LabelNames() []string {
	var names []string
	for _, key := range s.MetricLabels {
		names = append(names, delivery.MetricLabel(key))
	}
	return names
}

// Labels are the values an object has of them; nil when it has none.
func (s Settings) Labels(object map[string]string) map[string]string {
	var values map[string]string
	for _, key := range s.MetricLabels {
		if v, ok := object[key]; ok {
			if values == nil {
				values = map[string]string{}
			}
			values[delivery.MetricLabel(key)] = v
		}
	}
	return values
}
