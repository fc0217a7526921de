package jsonwords

import (
	"strings"
	"testing"
)

type inner struct {
	Method string `json:"method"`
	Base64 string `json:"body_base64"`
}

type record struct {
	ID      string              `json:"id"`
	Status  int8                `json:"status"`
	Header  map[string][]string `json:"header"`
	Request *inner              `json:"request"`
	Next    *record             `json:"next"`
	On      bool                `json:"on"`
	Hidden  string              `json:"-"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"id":"1","status":2,"request":{"method":"GET"}}`: "", " {} \n": "",
		``: "it is cut off", `{"id":"1"`: "it is cut off", `{"id":"1`: "it is cut off", `{} {}`: "something stands behind the value", `{}x`: "something stands behind the value",
		`{"id":{}}`: "id is an object where text belongs", `{"status":"x"}`: "status is text where a number belongs", `{"status":1000}`: "status is number 1000, which is out of range",
		`{"request":{"method":[]}}`: "request.method is a list where text belongs", `{"on":1}`: "on is a number where true or false belongs", `{"header":{"a":"b"}}`: "is text where a list belongs",
		`[]`: "it is a list where an object belongs", `{"sttus":1}`: `unknown key "sttus": did you mean "status"?`, `{"request":{"metod":1}}`: `unknown key "metod": did you mean "method"?`,
		`{"hidden":1}`: `unknown key "hidden"`, `{"a"}`: "invalid character",
	} {
		_, err := Decode([]byte(text), new(record))
		if (err == nil) != (want == "") || err != nil && (!strings.HasPrefix(strings.TrimPrefix(err.Error(), "header."), want) && !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%s: %v, and not %q", text, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "Go ") || strings.Contains(err.Error(), "json:")) {
			t.Errorf("%s: %v speaks of the program", text, err)
		}
	}
	for text, want := range map[string]int{
		"[{\"id\":\"1\"},\n{\"di\":\"2\"}]": 2, "\n\n[{\"id\":2}]": 3, "[\n{\"id\";2}]": 2, "[]\nx": 2, "[\n\n": 3,
	} {
		if line, err := Decode([]byte(text), new([]record)); line != want || err == nil {
			t.Errorf("%q: line %d and not %d, %v", text, line, want, err)
		}
	}
	if _, err := Decode([]byte(`[{"di":"2"}]`), new([]record)); err == nil || !strings.Contains(err.Error(), `did you mean "id"`) {
		t.Error(err)
	}
}
