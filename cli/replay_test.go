package cli_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// shop answers with a price, a secret, and an identifier that is new each time.
func shop(t *testing.T, price int) string {
	t.Helper()
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"price":%d,"id":%d,"token":"t%d-hunter2","host":%q}`, price, n.Add(1), price, r.Host) //nolint:errcheck // the client tells
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// recordingFile is a HAR file of n requests that were answered with price 1, and one POST.
func recordingFile(t *testing.T, n int) string {
	t.Helper()
	entry := func(method string) string {
		return fmt.Sprintf(`{"request":{"method":%q,"url":"https://shop.example/cart/17?key=hunter2","headers":[]},"response":{"status":200,"headers":[{"name":"Content-Type","value":"application/json"}],"content":{"size":9,"text":"{\"price\":1,\"id\":0,\"token\":\"t1-hunter2\",\"host\":\"shop.example\"}"}}}`, method)
	}
	path := filepath.Join(t.TempDir(), "shop.har")
	text := `{"log":{"entries":[` + strings.Repeat(entry("GET")+",", n) + entry("POST") + `]}}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReplay(t *testing.T) {
	t.Parallel()
	same, other, third := shop(t, 1), shop(t, 2), shop(t, 1)
	file := recordingFile(t, 60)
	for name, tc := range map[string]struct {
		args  []string
		code  int
		wants []string
	}{
		"worse": {[]string{"--against", other, "--baseline", same}, 3, []string{
			"worse  the candidate's responses differ, most of all GET /cart/* at body.", "60 requests of " + file, "1 left out: unsafe method", "body.price", "1 → 2", "(masked, 10 characters)", "noise ", "slower in",
		}},
		"as good":  {[]string{"--against", third, "--baseline", same, "--min-requests", "60"}, 0, []string{"better-or-equal  in 60 pairs nothing differs more"}},
		"recorded": {[]string{"--against", other, "--ignore", "body.id"}, 0, []string{"undecided (no-data)", "--baseline asks the release", "compared with the recorded responses", "unknown "}},
		"any difference": {[]string{"--against", other, "--exit-code", "--limit", "3"}, 2, []string{
			"3 requests of",
		}},
		"all methods": {[]string{"--against", other, "--baseline", same, "--methods", "all"}, 3, []string{"61 requests of"}},
		"names":       {[]string{"--against", other, "--baseline", same, "-o", "name"}, 3, []string{"worse\n"}},
		"lines":       {[]string{"--against", other, "--ignore", "body.id", "-o", "jsonl"}, 0, []string{`"endpoint":"GET /cart/*","found":{"differences":[{"path":["body","price"],"kind":"changed"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r run
			code := r.main(t.Context(), append([]string{"verify", "replay", file}, tc.args...)...)
			if code != tc.code {
				t.Errorf("exit code %d, and not %d: %s", code, tc.code, r.err.String())
			}
			for _, want := range tc.wants {
				if !strings.Contains(r.out.String(), want) {
					t.Errorf("there is no %q in\n%s", want, r.out.String())
				}
			}
			if all := r.out.String() + r.err.String(); strings.Contains(all, "hunter2") {
				t.Errorf("a secret is shown:\n%s", all)
			}
		})
	}
}

func TestReplayAsJSON(t *testing.T) {
	t.Parallel()
	var r run
	r.main(t.Context(), "verify", "replay", recordingFile(t, 60), "--against", shop(t, 2), "--baseline", shop(t, 1), "-o", "json")
	var got struct {
		Against  string
		Sent     int64
		Left     map[string]int64 `json:"left_out"`
		Statuses []string
		Board    struct{ Places []struct{ Seen int64 } }
		Verdict  struct{ Outcome string }
	}
	if err := json.Unmarshal([]byte(r.out.String()), &got); err != nil {
		t.Fatal(err, r.out.String())
	}
	if got.Sent != 60 || got.Left["unsafe method"] != 1 || len(got.Board.Places) == 0 || len(got.Statuses) != len(got.Board.Places) || got.Verdict.Outcome != "worse" || !strings.HasPrefix(got.Against, "http://127.0.0.1:") {
		t.Errorf("%+v", got)
	}
}

func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	file, to := recordingFile(t, 1), shop(t, 1)
	broken := filepath.Join(t.TempDir(), "broken.har")
	if err := os.WriteFile(broken, []byte("{\"log\":{\"entries\":[\n{\"request\":{\"method\":1}}]}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	here := filepath.Join(t.TempDir(), "here.jsonl")
	if err := os.WriteFile(here, fmt.Appendf(nil, `{"request":{"url":"%s/cart"}}`, to), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, tc := range map[string]struct {
		args []string
		code int
	}{
		"--against URL says where":               {[]string{file}, 64},
		"/shop is no address":                    {[]string{file, "--against", "/shop"}, 64},
		"a copy of the baseline and no baseline": {[]string{file, "--against", to, "--copy", to}, 64},
		`--speed "fast": write`:                  {[]string{file, "--against", to, "--speed", "fast"}, 64},
		"one of both says how fast":              {[]string{file, "--against", to, "--speed", "2x", "--rate", "5"}, 64},
		`--methods "some": safe or all`:          {[]string{file, "--against", to, "--methods", "some"}, 64},
		"--concurrency and --timeout":            {[]string{file, "--against", to, "--concurrency", "0"}, 64},
		"--header: write it as":                  {[]string{file, "--against", to, "--header", "hunter2"}, 64},
		"no such file":                           {[]string{"gone.har", "--against", to}, 1},
		"broken.har:2: entry 1: request.method is a number where text belongs": {[]string{broken, "--against", to}, 1},
		"nothing can be asked at http://127.0.0.1:1: dial tcp":                 {[]string{file, "--against", "http://127.0.0.1:1"}, 1},
		"hint: --recorded-host allows it":                                      {[]string{here, "--against", to}, 1},
		"there is no step behind a dot":                                        {[]string{file, "--against", to, "--ignore", "body..n"}, 1},
	} {
		var r run
		code := r.main(t.Context(), append([]string{"verify", "replay"}, tc.args...)...)
		if code != tc.code || !strings.Contains(r.err.String(), want) || strings.Contains(r.err.String(), "hunter2") {
			t.Errorf("%q: exit code %d, and not %d: %s", want, code, tc.code, r.err.String())
		}
	}
}
