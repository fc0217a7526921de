package record

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/queue"
)

// fill gives every field of v a value that is not its zero one, and no other field has; but those that say where the record stands.
func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1_800_000_000+int64(*n), int64(*n)).UTC()))
		return
	case http.Header:
		v.Set(reflect.ValueOf(http.Header{"X-A": {"one", "", "two"}, "X-B": {"\x00three"}}))
		return
	case []byte: // follows the record
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.String:
		v.SetString(strings.Repeat("x", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(-int64(*n))
	case reflect.Bool: // Packed is of where the record stands
	default:
		t.Fatalf("a field of type %s: say how it is written, and read", v.Type())
	}
}

// TestAJobsRecordForgetsNothing that a job has, or is going to have: a new field that is not written is found here.
func TestAJobsRecordForgetsNothing(t *testing.T) {
	t.Parallel()
	var m Meta
	var r Request
	n := 0
	fill(t, reflect.ValueOf(&m).Elem(), &n)
	fill(t, reflect.ValueOf(&r).Elem(), &n)
	m.Schema = Schema
	record := append(AppendJob(nil, &m, &r), "the body"...)
	gotM, gotR, body, err := OpenJob("job", record)
	if err != nil || string(body) != "the body" {
		t.Fatalf("%q, %v", body, err)
	}
	for _, at := range []*time.Time{&gotM.Accepted, &gotM.NotBefore, &gotM.Expires} {
		*at = at.UTC()
	}
	if !reflect.DeepEqual(gotM, m) || !reflect.DeepEqual(gotR, r) {
		t.Errorf("%+v %+v\nwant %+v %+v", gotM, gotR, m, r)
	}
	for cut := range len(record) - len("the body") {
		if _, _, _, err := OpenJob("job", record[:cut]); semper.CodeOf(err) != semper.Tampered {
			t.Fatalf("of %d bytes: %v", cut, err)
		}
	}
	newer := append([]byte{compactMark, Schema + 1}, record[2:]...)
	if _, _, _, err := OpenJob("job", newer); err == nil || !strings.Contains(err.Error(), "schema 3") {
		t.Errorf("of a newer semper: %v", err)
	}
}

// TestAJobsRecordOfASemperBefore was JSON.
func TestAJobsRecordOfASemperBefore(t *testing.T) {
	t.Parallel()
	m := Meta{Schema: 1, Key: "k", Accepted: time.Unix(1_800_000_000, 0).UTC(), Size: 4}
	r := Request{DedupKey: "d", Request: queue.Request{Method: "POST", Target: "/", Header: http.Header{"X-A": {"b"}}}}
	record, err := Pack([]byte("body"), m, r)
	if err != nil {
		t.Fatal(err)
	}
	gotM, gotR, body, err := OpenJob("job", record)
	if err != nil || string(body) != "body" || !reflect.DeepEqual(gotM, m) || !reflect.DeepEqual(gotR, r) {
		t.Errorf("%+v %+v %q %v", gotM, gotR, body, err)
	}
}

// FuzzOpenJob has nothing that semper did not write make it panic.
func FuzzOpenJob(f *testing.F) {
	m, r := Meta{Accepted: time.Unix(1, 0)}, Request{Request: queue.Request{Method: "GET", Target: "/", Header: http.Header{"A": {"b"}}}}
	f.Add(AppendJob(nil, &m, &r))
	f.Add([]byte{compactMark, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(_ *testing.T, record []byte) { _, _, _, _ = OpenJob("job", record) })
}
