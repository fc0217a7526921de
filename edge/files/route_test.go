package files

import (
	"testing"

	"semper/edge/route"
)

// The action of a route is made into options by a conversion, which does not compile when they differ.
func TestARouteBecomesOptions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h, err := New(Options(route.Files{Dir: dir, Fallback: "a.html"}))
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if h.options.Dir != dir || h.options.Fallback != "a.html" {
		t.Errorf("%+v", h.options)
	}
}
