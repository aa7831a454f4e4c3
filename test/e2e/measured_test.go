package e2e

import (
	"testing"

	"github.com/softphone-operator/softphone-operator/test/drill"
)

// page is where the figures of a run go, besides the log.
var page = drill.Page{
	File: "cluster.md", Title: "On the development cluster",
	Intro: "One node: etcd, API server, controller manager, scheduler, kubelet, registrar and agents share the machine.",
	Notes: `
Edits in a row keep to a rhythm of one second: the kubelet looks at a pod again only after its next relist of containers, which is once a second.
One edit after a pause takes 0.2 s from apply to the reported hash.
`,
}

// measured keeps a figure for the table and logs it.
func measured(t *testing.T, what, format string, args ...any) {
	t.Helper()
	page.Measured(t, what, format, args...)
}
