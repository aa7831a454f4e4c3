package render_test

import (
	"encoding/json"
	"fmt"
	"reflect"
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
		Caps:      delivery.Caps{ConcurrentCalls: 20, NewCallsPerSecond: 10, MaxCallSeconds: 3600},
		Registrar: delivery.Registrar{}.Defaults(),

		SourceRequestsPerSecond: 50,
	}
	if !reflect.DeepEqual(got, want) {
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
		acc := &v1.SoftphoneAccount{Spec: v1.SoftphoneAccountSpec{Trunk: ptr.To(true)}}
		acc.UID = "01234567-89ab-cdef-0123-456789abcdef"
		row := render.Row(acc, v1.LineBinding{Slot: 2, State: v1.BindingDraining}, true)
		row.TLS = delivery.TLS{CA: "tls-0123456789abcdef.crt", Certificate: "tls-0123456789abcdef.crt", Key: "tls-0123456789abcdef.key"}
		rows[fmt.Sprintf("a-line-with-a-name-as-long-as-a-name-of-a-line-may-well-be-%04d", i)] = row
	}
	file := render.AgentFile("default-0", make([]byte, 32), render.FleetSettings(v1.SoftphoneFleetSpec{}), rows, nil)
	if len(file) > 165_000 {
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

func TestAgentsShareWhatAFleetMayAsk(t *testing.T) {
	for name, c := range map[string]struct {
		agents, requests, inFlight int
	}{
		"alone":                    {1, 200, 50},
		"before there is any":      {0, 200, 50},
		"two halves":               {2, 100, 25},
		"a third":                  {3, 66, 16},
		"five have what six would": {5, 33, 8},
		"so that the sixth changes nothing for others": {6, 33, 8},
		"seven have what eight would":                  {7, 25, 6},
		"one at least":                                 {1000, 1, 1},
	} {
		got := render.FleetSettings(v1.SoftphoneFleetSpec{}).Among(c.agents).Registrar
		if got.RequestsPerSecond != c.requests || got.InFlight != c.inFlight || got.RefusedPerMinute != 20 || *got.QualifySeconds != 60 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	for agents := 1; agents <= 50; agents++ {
		if got := render.FleetSettings(v1.SoftphoneFleetSpec{}).Among(agents).Registrar; agents*got.RequestsPerSecond > 200 || agents*got.InFlight > 50 {
			t.Errorf("%d agents ask more than the fleet may: %+v each", agents, got)
		}
	}
	quiet := v1.SoftphoneFleetSpec{Registrar: &v1.Registrar{QualifySeconds: ptr.To(int32(0)), RequestsPerSecond: ptr.To(int32(7))}}
	if got := render.FleetSettings(quiet).Registrar; *got.QualifySeconds != 0 || got.RequestsPerSecond != 7 || got.InFlight != 50 {
		t.Errorf("got %+v", got)
	}
}
