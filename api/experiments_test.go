package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"semper/api"
	"semper/api/apitest"
	"semper/experiment/design"
)

// TestAnAppsTokenPushesValues, and is good for nothing else.
func TestAnAppsTokenPushesValues(t *testing.T) {
	t.Parallel()
	s := apitest.New()
	t.Cleanup(s.Close)
	s.Experiment(api.ExperimentInfo{App: "bar", Plan: design.Plan{Name: "checkout", Variants: []design.Variant{{Name: "control"}, {Name: "green"}}}})
	const secret = "the server's token"
	h := api.NewServer(s, api.ServerOptions{Token: func() string { return secret }})
	do := func(method, path, token, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d has it, whatever the body is
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := do(http.MethodGet, "/v1/experiments/token?app=bar", secret, "")
	_, rest, _ := strings.Cut(w.Body.String(), `"token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	if w.Code != http.StatusOK || !strings.HasPrefix(token, "semper-metrics.bar.") || strings.Contains(token, secret) {
		t.Fatal(w.Code, w.Body)
	}
	const batch = `{"values":[{"id":"1","metric":"revenue","value":3,"targeting_key":"ann"}]}`
	for name, tc := range map[string]struct {
		method, path, token, body string
		want                      int
		says                      string
	}{
		"its own":             {"POST", "/v1/experiments/metrics", token, batch, 200, `"taken":1`},
		"with its name":       {"POST", "/v1/experiments/metrics", token, `{"app":"bar",` + batch[1:], 200, `"taken":1`},
		"another's":           {"POST", "/v1/experiments/metrics", token, `{"app":"foo",` + batch[1:], 401, "not of foo"},
		"forged":              {"POST", "/v1/experiments/metrics", "semper-metrics.foo." + token[len(token)-64:], batch, 401, "not this server's"},
		"none":                {"POST", "/v1/experiments/metrics", "", batch, 401, "no token"},
		"the server's":        {"POST", "/v1/experiments/metrics", secret, batch, 200, `"taken":1`},
		"for anything else":   {"GET", "/v1/experiments", token, "", 401, "not this server's"},
		"for a deploy":        {"POST", "/v1/deploy", token, "{}", 401, "not this server's"},
		"nothing":             {"POST", "/v1/experiments/metrics", token, `{"values":[]}`, 400, "0 values"},
		"too much":            {"POST", "/v1/experiments/metrics", token, `{"values":[` + strings.Repeat(`{"id":"1"},`, api.MaxValues) + `{"id":"1"}]}`, 400, "1001 values"},
		"no JSON":             {"POST", "/v1/experiments/metrics", token, `{"values":NaN}`, 400, "invalid"},
		"a flag":              {"POST", "/ofrep/v1/evaluate/flags/checkout", token, `{"context":{"targetingKey":"ann","more":1}}`, 200, `"variant":"control"`},
		"a flag without user": {"POST", "/ofrep/v1/evaluate/flags/checkout", token, `{"context":{}}`, 400, "TARGETING_KEY_MISSING"},
		"no such flag":        {"POST", "/ofrep/v1/evaluate/flags/none", token, `{"context":{"targetingKey":"ann"}}`, 404, "FLAG_NOT_FOUND"},
		"all flags":           {"POST", "/ofrep/v1/evaluate/flags", token, `{"context":{"targetingKey":"ann","device":{"os":"x"}}}`, 200, `{"flags":[{"key":"checkout","value":"control"`},
		"all without a user":  {"POST", "/ofrep/v1/evaluate/flags", token, `{"context":{}}`, 400, `{"errorCode":"TARGETING_KEY_MISSING"`},
		"all with nothing":    {"POST", "/ofrep/v1/evaluate/flags", "", `{"context":{"targetingKey":"ann"}}`, 401, "no token"},
		"a broken context":    {"POST", "/ofrep/v1/evaluate/flags/none", token, `{`, 400, "PARSE_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if w := do(tc.method, tc.path, tc.token, tc.body); w.Code != tc.want || !strings.Contains(w.Body.String(), tc.says) {
				t.Errorf("%d %s, not %d with %s", w.Code, w.Body, tc.want, tc.says)
			}
		})
	}
}
