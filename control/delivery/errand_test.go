package delivery

import (
	"io"
	"io/fs"
	"strings"
	"testing"

	"semper/pipeline"
)

func TestReports(t *testing.T) {
	t.Parallel()
	const report = `<testsuite><testcase classname="cart" name="adds"/><testcase classname="cart" name="removes">%</testcase></testsuite>`
	files := map[string]string{
		"/1/good.xml": strings.Replace(report, "%", "", 1), "/1/bad.xml": strings.Replace(report, "%", "<failure/>", 1), "/1/cut.xml": report[:60],
	}
	open := func(dir, path string) (io.ReadCloser, error) {
		if b, ok := files[dir+"/"+path]; ok {
			return io.NopCloser(strings.NewReader(b)), nil
		}
		if path == "denied" {
			return nil, fs.ErrPermission
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	d := New(nil)
	want := map[string]pipeline.Answer{
		"good.xml": {Good: true, What: "2 tests passed"},
		"bad.xml":  {What: "1 of 2 tests failed: cart.removes"},
		"cut.xml":  {What: "its report cut.xml cannot be read: line 1: it ends in the middle: was it cut off?"},
		"none.xml": {What: "the command left no none.xml in $SEMPER_SCRATCH"},
		"denied":   {What: "its report denied cannot be read: permission denied"},
	}
	for path := range want {
		d.Commands = append(d.Commands, pipeline.Read{Key: path, Dir: "/1", Path: path})
	}
	for _, e := range d.Errands(nil, open) {
		if got := e.Do(t.Context()); got != want[e.Key] {
			t.Errorf("%s: %+v, want %+v", e.Key, got, want[e.Key])
		}
		d.Answered(e.Key, want[e.Key])
	}
	if left := d.Errands(nil, open); len(left) > 0 || len(d.answers) != len(want) {
		t.Errorf("asked again: %+v", left)
	}
}
