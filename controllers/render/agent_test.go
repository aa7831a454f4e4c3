package render_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"k8s.io/utils/ptr"

	v1 "github.com/softphone-operator/softphone-operator/api/v1"
	"github.com/softphone-operator/softphone-operator/controllers/render"
	"github.com/softphone-operator/softphone-operator/delivery"
)

func TestFleetThatSaysNothingHasTheBuiltInSettings(t *testing.T) {
	got := render.FleetSettings(v1.SoftphoneFleetSpec{})
	want := render.Settings{
		LinesPerAgent: 200, Network: delivery.Network{Type: delivery.WiFi}, IncomingCallMode: "keepAwake", NoAnswerSeconds: 60, DrainSeconds: 30,
		Caps: delivery.Caps{ConcurrentCalls: 20, NewCallsPerSecond: 10, MaxCallSeconds: 3600},
	}
	if got != want {
		t.Errorf("got %+v", got)
	}
	none := render.FleetSettings(v1.SoftphoneFleetSpec{Caps: &v1.Caps{ConcurrentCalls: ptr.To(int32(0))}})
	if none.Caps.ConcurrentCalls != 0 || none.Caps.NewCallsPerSecond != 10 {
		t.Errorf("a cap of 0 is no cap: %+v", none.Caps)
	}
}

func TestAgentFileOfTheMostLinesFits(t *testing.T) {
	rows := map[string]delivery.Line{}
	for i := range 500 {
		rows[fmt.Sprintf("a-line-with-a-name-as-long-as-a-name-of-a-line-may-well-be-%04d", i)] =
			render.Row("01234567-89ab-cdef-0123-456789abcdef", v1.LineBinding{Slot: 2, State: v1.BindingDraining}, true)
	}
	file := render.AgentFile("default-0", make([]byte, 32), render.FleetSettings(v1.SoftphoneFleetSpec{}), rows)
	if len(file) > 99_000 {
		t.Errorf("%d bytes", len(file))
	}
	var read delivery.Agent
	if err := json.Unmarshal(file, &read); err != nil {
		t.Fatal(err)
	}
	if err := read.Validate(); err != nil {
		t.Error(err)
	}
	for name, row := range rows {
		if read.Line(name) != row {
			t.Errorf("%s: got %+v", name, read.Line(name))
		}
	}
}
