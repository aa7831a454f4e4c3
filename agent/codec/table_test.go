package codec

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/softphone-operator/softphone-operator/account"
)

func TestFormatsFollowTheAccountsOrder(t *testing.T) {
	rows := map[string]struct {
		order []int
		want  []string
	}{
		"the account's order is kept":        {[]int{8, 0}, []string{"PCMA/8000", "PCMU/8000"}},
		"what is no audio codec is left out": {[]int{34, 0, 9, 3, 8, 99}, []string{"PCMU/8000", "G722/8000", "GSM/8000", "PCMA/8000"}},
		"numbers nobody knows are left out":  {[]int{34, 0}, []string{"PCMU/8000"}},
		"a repeated number counts once":      {[]int{0, 8, 0}, []string{"PCMU/8000", "PCMA/8000"}},
		"the thrifty one may stand alone":    {[]int{18}, []string{"G729/8000"}},
		"an empty order offers none":         {nil, nil},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range Formats(row.order, Options{}) {
				got = append(got, f.String())
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

func TestEveryDocumentedNumberIsKnown(t *testing.T) {
	for number, want := range map[int]string{
		0: "PCMU/8000", 3: "GSM/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000", 102: "iLBC/8000", 103: "opus/48000/2",
	} {
		spec, ok := Lookup(number)
		if !ok || spec.Format.String() != want {
			t.Errorf("number %d is %v (known: %v), want %s", number, spec.Format, ok, want)
		}
		if name := account.CodecName(number); !strings.EqualFold(name, spec.Format.Name) {
			t.Errorf("number %d is %s here, and %s in account documents", number, spec.Format.Name, name)
		}
	}
	if _, ok := Lookup(34); ok {
		t.Error("number 34 is known")
	}
}

// A codec is offered exactly when it can be encoded and decoded.
func TestOfferedMeansSpoken(t *testing.T) {
	for _, spec := range specs {
		_, encErr := NewEncoder(spec.Format)
		_, decErr := NewDecoder(spec.Format)
		if spoken := encErr == nil && decErr == nil; spoken != spec.Offered {
			t.Errorf("%s: offered %v, spoken %v", spec.Format, spec.Offered, spoken)
		}
		if !spec.Offered && !(errors.Is(encErr, ErrNotOffered) && errors.Is(decErr, ErrNotOffered)) {
			t.Errorf("%s: errors %v and %v do not say that it is not offered", spec.Format, encErr, decErr)
		}
	}
}

func TestFormatsAreFoundWhateverTheirPayloadType(t *testing.T) {
	spec, ok := Find(Format{Name: "pcma", PT: 97, Clock: 8000})
	if !ok || spec.Number != 8 {
		t.Errorf("pcma/8000 on 97 is %+v, %v", spec.Format, ok)
	}
	if _, ok := Find(Format{Name: "PCMA", PT: 8, Clock: 16000}); ok {
		t.Error("PCMA at 16 kHz passes for PCMA")
	}
	if f, ok := Static(0); !ok || f.Name != "PCMU" {
		t.Errorf("static payload type 0 is %v, %v", f, ok)
	}
	if f, ok := Static(103); ok {
		t.Errorf("dynamic payload type 103 has a static meaning: %v", f)
	}
}

func TestTicks(t *testing.T) {
	opus, _ := Lookup(103)
	if got := opus.Format.Ticks(20 * time.Millisecond); got != 960 {
		t.Errorf("20 ms of opus are %d ticks, want 960", got)
	}
}
