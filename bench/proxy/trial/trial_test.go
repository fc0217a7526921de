package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"semper"
	"semper/edge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func put(t *testing.T, h http.Handler, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/table", strings.NewReader(body)))
	return w
}

func TestItServesByTheTableItIsTold(t *testing.T) {
	t.Parallel()
	e, err := edge.New(edge.Options{ID: "trial"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	h := handler(e)
	table, err := json.Marshal(semper.Table{Epoch: 3, Pools: []semper.Pool{{Key: "a/b/c", App: "a"}}, Routes: []semper.Route{{Path: "/", Pool: "a/b/c"}}})
	if err != nil {
		t.Fatal(err)
	}
	if w := put(t, h, string(table)); w.Code != http.StatusNoContent || e.Epoch() != 3 {
		t.Errorf("%d %s: epoch %d", w.Code, w.Body, e.Epoch())
	}
	if w := put(t, h, "{"); w.Code != http.StatusBadRequest || e.Epoch() != 3 {
		t.Errorf("half a table: %d, epoch %d", w.Code, e.Epoch())
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/state", nil))
	if body, err := io.ReadAll(w.Body); err != nil || w.Code != http.StatusOK || !strings.Contains(string(body), `"epoch":3`) {
		t.Errorf("%d %s, %v", w.Code, body, err)
	}
}
