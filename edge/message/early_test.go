package message

import (
	"net/http/httptest"
	"net/textproto"
	"testing"
)

func TestEarly(t *testing.T) {
	t.Parallel()
	var e Early
	pass := func(code int) (passed bool, err error) {
		w := httptest.NewRecorder()
		err = e.Pass(w, code, textproto.MIMEHeader{"Link": {"</a.css>"}})
		return w.Code == code, err
	}
	if passed, err := pass(100); passed || err != nil || e.Any() {
		t.Errorf("100 is passed on: %v, %v", passed, err)
	}
	e.Bar(true)
	if passed, err := pass(103); passed || err != nil || e.Any() {
		t.Errorf("103 behind the final response: %v, %v", passed, err)
	}
	e.Bar(false)
	for range MaxEarly {
		if passed, err := pass(103); !passed || err != nil || !e.Any() {
			t.Fatalf("103: %v, %v", passed, err)
		}
	}
	if passed, err := pass(103); passed || err == nil {
		t.Errorf("one too many: %v, %v", passed, err)
	}
}
