package message

import (
	"net/http"
	"testing"
)

func TestStamp(t *testing.T) {
	t.Parallel()
	h := http.Header{Release: {"r9"}}
	Stamp(h, "", "7")
	if _, ok := h[Release]; ok || h.Get(RequestID) != "7" {
		t.Errorf("an edge without releases says %v", h)
	}
	Stamp(h, "r1", "7")
	if h.Get(Release) != "r1" {
		t.Errorf("%v", h)
	}
}
