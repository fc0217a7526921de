package design_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"semper/experiment/design"
)

// TestVariationsOfAService: of what an environment holds, a pool gets what runs or is promoted, and is its service's.
func TestVariationsOfAService(t *testing.T) {
	t.Parallel()
	halves := []design.Variant{{Name: "control", Share: .5}, {Name: "green", Share: .5}}
	x := func(name, service string, state design.State) design.Experiment {
		return design.Experiment{Plan: design.Plan{Name: name, Service: service, By: "client", Variants: halves}, Run: name, State: state, Winner: "green", Key: []byte{1}, StartedAt: time.Unix(1, 0).UTC()}
	}
	list := []design.Experiment{
		x("all", "", design.Running), x("decided", "web", design.Decided), x("draft", "", design.Draft), x("other", "api", design.Running),
		x("promoted", "", design.Promoted), x("stopped", "", design.Stopped),
	}
	written := design.Write(list)
	if read, err := design.Read(written); err != nil || !reflect.DeepEqual(read, list) {
		t.Errorf("%+v %v", read, err)
	}
	var all []design.Variation
	if err := json.Unmarshal(design.Variations(written, "web"), &all); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range all {
		names = append(names, v.Experiment)
	}
	if want := []string{"all", "decided", "promoted"}; !reflect.DeepEqual(names, want) {
		t.Errorf("%q, not %q", names, want)
	}
	if v := all[len(all)-1]; !v.Quiet || len(v.Variants) != 1 || v.Variants[0].Name != "green" {
		t.Errorf("promoted: %+v", v)
	}
}

// TestWhatIsNotThere: none is nil, so that environments and pools without experiments have no key for them.
func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	if list, err := design.Read(nil); list != nil || err != nil || design.Write(nil) != nil || design.Variations(nil, "web") != nil {
		t.Error(list, err)
	}
	broken := json.RawMessage(`{"a":1}`)
	if _, err := design.Read(broken); err == nil || design.Variations(broken, "web") != nil {
		t.Error("an object was taken for a list", err)
	}
}
