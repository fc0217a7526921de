package sketch

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestTextIsTheEncodingForJSON(t *testing.T) {
	t.Parallel()
	type answer struct {
		C Counts `json:"c,omitzero"`
	}
	var s Sketch
	for i := range 100 {
		s.Add(time.Duration(i) * time.Millisecond)
	}
	b, err := json.Marshal(answer{s.Read()})
	if err != nil {
		t.Fatal(err)
	}
	var got answer
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.C.Count() != 100 || got.C.Quantile(.9) != s.Read().Quantile(.9) {
		t.Errorf("%d durations came out of %s", got.C.Count(), b)
	}
	if b, err := json.Marshal(answer{}); err != nil || string(b) != "{}" {
		t.Errorf("nothing is %s, %v", b, err)
	}
	for _, bad := range []string{`"###"`, `"AAAA"`, `""`} {
		var c Counts
		if err := json.Unmarshal([]byte(bad), &c); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
