package recorded

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"semper/verify/replay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	t.Parallel()
	whole := func() Replay {
		return Replay{Against: "http://a:1/base", Methods: "safe", Options: replay.Options{Concurrency: 1, Timeout: time.Second}}
	}
	r := whole()
	r.Speed, r.Methods, r.Baseline, r.Header = "1.5x", "all", "https://b", []string{"x-a: 1", "X-A:2", "Cookie:"}
	if err := r.Parse(); err != nil {
		t.Fatal(err)
	}
	o := r.Options
	if o.Pace.Speed != 1.5 || !o.Unsafe || o.Candidate.Path != "/base" || o.Baseline.Host != "b" || len(o.Header["X-A"]) != 2 || o.Header["Cookie"][0] != "" {
		t.Errorf("%+v", o)
	}
	for want, change := range map[string]func(*Replay){
		"--against URL says where": func(r *Replay) { r.Against = "" }, "--baseline: it is a URL": func(r *Replay) { r.Baseline = "http://a:hunter2" },
		`--speed "0x"`: func(r *Replay) { r.Speed = "0x" }, "--header: write": func(r *Replay) { r.Header = []string{"hunter2"} }, "--limit": func(r *Replay) { r.Options.Limit = -1 },
		`--methods ""`: func(r *Replay) { r.Methods = "" }, "a rate of -1": func(r *Replay) { r.Options.Pace.Rate = -1 },
	} {
		r := whole()
		change(&r)
		if err := r.Parse(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, and not %q", err, want)
		}
	}
}

func TestComparer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rules.json")
	for text, want := range map[string]string{
		`[{"path":"body.a"}]`: "", "[\n{\"paht\":\"body.a\"}]": `rules.json:2: a list of rules: unknown key "paht": did you mean "path"?`, `[{"path":"body..a"}]`: "rule 2: ",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := Comparison{RulesFile: path, Ignore: []string{"body.b"}}
		if _, err := c.Comparer(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	item, shop := &descriptorpb.DescriptorProto{Name: proto.String("Item")}, "shop.proto"
	set, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{Name: &shop, Package: proto.String("shop"), MessageType: []*descriptorpb.DescriptorProto{item}}}})
	if err != nil {
		t.Fatal(err)
	}
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	for path, b := range map[string][]byte{good: set, bad: []byte("syntax = \"proto3\";")} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for want, c := range map[string]Comparison{
		"":                              {Descriptors: good, Messages: []string{"GET /item=shop.Item"}},
		bad + ": this is no descriptor": {Descriptors: bad},
		`"shop.Itme" of GET /item`:      {Descriptors: good, Messages: []string{"GET /item=shop.Itme"}},
		"write it as ENDPOINT=MESSAGE":  {Descriptors: good, Messages: []string{"GET /item"}},
		"--descriptors FILE":            {Messages: []string{"GET /item=shop.Item"}},
	} {
		if _, err := c.Comparer(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, and not %q", c, err, want)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	for _, live := range []bool{false, true} {
		var b bytes.Buffer
		now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		var o replay.Options
		leave := Progress{W: &b, Live: live, Size: func() (int, int) { return 80, 24 }, Now: func() time.Time { return now }}.Show(&o)
		for i := range 25 {
			now = now.Add(time.Second)
			o.Progress(&replay.Report{Sent: int64(i)})
		}
		leave()
		want := map[bool]int{false: 2, true: 25}[live]
		if got := strings.Count(b.String(), "sent"); got != want || live != strings.HasSuffix(b.String(), "\x1b[J") {
			t.Errorf("live %t: %d times: %q", live, got, b.String())
		}
	}
}
