package metrics

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/types/known/timestamppb"

	"semper"
	"semper/edge/trace"
)

// exposed is what a registry shows, in the order of its families, as the official parser reads it.
func exposed(t *testing.T, r *Registry) []*dto.MetricFamily {
	t.Helper()
	b := r.expose(false)
	p := expfmt.NewTextParser(model.LegacyValidation)
	byName, err := p.TextToMetricFamilies(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("the official parser refuses: %v\n%s", err, b)
	}
	var all []*dto.MetricFamily
	for line := range strings.SplitSeq(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			if byName[name] == nil {
				t.Fatalf("family %s is there twice, or not at all", name)
			}
			all = append(all, byName[name])
			delete(byName, name)
		}
	}
	if len(byName) > 0 {
		t.Fatalf("families without a type: %v", slices.Collect(maps.Keys(byName)))
	}
	return all
}

// usedRequests is how many requests used has.
const usedRequests = 120

// used is a registry in which much has happened, by chance but always the same.
func used(t *testing.T) *Registry {
	t.Helper()
	r := New(Options{Shards: 3, MaxSeries: 3, Target: []Label{{"service.name", "semper-edge"}, {"service.instance.id", `host "a"` + "\n\\"}}})
	rnd := rand.New(rand.NewPCG(4, 1))
	for i := range usedRequests {
		k := Key{App: "shop", Release: "r" + strconv.Itoa(i%5), Arm: "stable", Pool: "shop/production/web", Route: `shop.example/a"b\c` + "\n"}
		c := r.Series(k).Shard(i)
		c.Begin()
		c.Count(Event(rnd.IntN(int(upstreamOpened))))
		c.Held(time.Duration(rnd.Int64N(1 << 34)))
		c.Try(&Attempt{Method: Method(rnd.IntN(methods)), Status: rnd.IntN(600), Failure: Failure(rnd.IntN(failures)), Took: time.Duration(rnd.Int64N(1 << 34)), Reused: i%2 == 0})
		c.Done(&Outcome{
			Method: Method(rnd.IntN(methods)), Protocol: Protocol(rnd.IntN(protocols)), TLS: i%2 == 0, Status: rnd.IntN(600),
			Took: time.Duration(rnd.Int64N(1 << 34)), RequestBody: rnd.Int64N(1 << 20), ResponseBody: rnd.Int64N(1<<33) - 1<<31,
		})
		r.Shard(i).Count(EdgeEvent(rnd.IntN(edgeEvents)))
	}
	err := r.Register(
		Family{Name: "semper_edge_idle", Help: "Nothing to\nsay \\ \"now\".", Kind: Gauge, Collect: func(func(float64, ...Label)) {}},
		Family{Name: "semper_edge_odd", Help: "Odd\nvalues \\ \"here\".", Kind: Gauge, Collect: func(yield func(float64, ...Label)) {
			for i, v := range []float64{0, 1, -1, .1, 1e21, 12345678, math.Inf(1), math.Inf(-1), math.NaN()} {
				yield(v, Label{"n", strconv.Itoa(i)}, Label{"0.odd-name", "\xff"})
			}
		}},
		AccessLogFamily(func() (uint64, uint64, uint64) { return 1 << 40, 2, 3 }),
		LedgerFamily(func(yield func(string, semper.ReleaseName, semper.Ledger)) {
			yield("shop", "r1", semper.Ledger{Accepted: 9, Served: 8, Gone: 1})
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTheWholeIsWhatTheOfficialEncoderWrites reads our text with the official parser, and compares what the official encoders
// make of that with ours, byte for byte, in both formats.
func TestTheWholeIsWhatTheOfficialEncoderWrites(t *testing.T) {
	t.Parallel()
	r := used(t)
	families := exposed(t, r)
	var plain, open bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&plain, f); err != nil {
			t.Fatal(err)
		}
		if _, err := expfmt.MetricFamilyToOpenMetrics(&open, f); err != nil {
			t.Fatal(err)
		}
	}
	open.WriteString("# EOF\n")
	if d := cmp.Diff(strings.Split(plain.String(), "\n"), strings.Split(string(r.expose(false)), "\n")); d != "" {
		t.Errorf("text, official less ours:\n%s", d)
	}
	if d := cmp.Diff(strings.Split(open.String(), "\n"), strings.Split(string(r.expose(true)), "\n")); d != "" {
		t.Errorf("OpenMetrics, official less ours:\n%s", d)
	}
}

func TestHistogramsAreConsistent(t *testing.T) {
	t.Parallel()
	var requests, bodies uint64
	for _, f := range exposed(t, used(t)) {
		if f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		for _, m := range f.Metric {
			h, last := m.Histogram, uint64(0)
			for _, b := range h.Bucket {
				if b.GetCumulativeCount() < last {
					t.Errorf("%s falls at %g", f.GetName(), b.GetUpperBound())
				}
				last = b.GetCumulativeCount()
			}
			if last != h.GetSampleCount() || !math.IsInf(h.Bucket[len(h.Bucket)-1].GetUpperBound(), 1) {
				t.Errorf("%s: %d in the last bucket of %d", f.GetName(), last, h.GetSampleCount())
			}
			switch f.GetName() {
			case nameServerDuration:
				requests += h.GetSampleCount()
			case nameRequestBody, nameResponseBody:
				bodies += h.GetSampleCount()
			}
		}
	}
	if requests != usedRequests || bodies != 2*usedRequests {
		t.Errorf("%d requests with %d bodies", requests, bodies)
	}
}

// TestDurationsWithExamples compares with a family that is made by hand of the same requests.
func TestDurationsWithExamples(t *testing.T) {
	t.Parallel()
	const ended = int64(1_795_246_245_678_000_000)
	r := New(Options{Shards: 2})
	s := r.Series(Key{App: "shop", Release: "r7"})
	id, span := trace.ID{0xab, 15: 1}, trace.SpanID{0xcd, 7: 2}
	for i, o := range []Outcome{
		{Took: 3 * time.Millisecond, Sampled: true, Trace: id, Span: span, Ended: ended},
		{Took: 5 * time.Millisecond, Sampled: true, Trace: trace.ID{1}, Span: span, Ended: ended - 1}, // older, in another shard
		{Took: 42 * time.Second},
	} {
		o.Method, o.Status, o.Protocol, o.TLS = MethodGet, 200, HTTP2, true
		s.Shard(i).Begin()
		s.Shard(i).Done(&o)
	}
	label := func(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }
	h := &dto.Histogram{SampleCount: new(uint64(3)), SampleSum: new(42.008)}
	for _, le := range []float64{.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10} {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &le, CumulativeCount: new(uint64(2))})
	}
	h.Bucket[0].Exemplar = &dto.Exemplar{
		Label: []*dto.LabelPair{label("trace_id", id.String()), label("span_id", span.String())},
		Value: new(.003), Timestamp: timestamppb.New(time.Unix(0, ended)),
	}
	want := &dto.MetricFamily{
		Name: new(nameServerDuration), Help: new("Duration of requests, as their clients saw it."), Type: dto.MetricType_HISTOGRAM.Enum(),
		Metric: []*dto.Metric{{Histogram: h, Label: []*dto.LabelPair{
			label("semper_app", "shop"), label("semper_release", "r7"), label("http_request_method", "GET"), label("http_response_status_code", "200"),
			label("network_protocol_name", "http"), label("network_protocol_version", "2"), label("url_scheme", "https"),
		}}},
	}
	var b bytes.Buffer
	if _, err := expfmt.MetricFamilyToOpenMetrics(&b, want); err != nil {
		t.Fatal(err)
	}
	if got := string(r.expose(true)); !strings.HasPrefix(got, b.String()) {
		t.Errorf("want\n%sgot\n%s", b.String(), got)
	}
	if got := string(r.expose(false)); strings.Contains(got, "trace_id") {
		t.Errorf("examples in a format that has none:\n%s", got)
	}
}

func value(t *testing.T, r *Registry, sample string) float64 {
	t.Helper()
	for line := range strings.SplitSeq(string(r.expose(false)), "\n") {
		if rest, ok := strings.CutPrefix(line, sample+" "); ok {
			v, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no sample %s", sample)
	return 0
}

func TestWhatFollowsFromOtherCounts(t *testing.T) {
	t.Parallel()
	r := New(Options{})
	c := r.Series(Key{App: "a"}).Shard(0)
	for range 5 {
		c.Begin()
	}
	c.Leave()
	c.Done(&Outcome{Method: MethodGet, Status: 200, ResponseBody: 100})
	c.Try(&Attempt{Method: MethodGet, Status: 200, Reused: true})
	c.Try(&Attempt{Method: MethodGet, Status: 200, Reused: true})
	c.Try(&Attempt{Method: MethodGet, Failure: FailConnect})
	r.Shard(0).Count(ConnAccepted)
	r.Shard(0).Count(ConnAccepted)
	r.Shard(0).Count(ConnClosed)
	for sample, want := range map[string]float64{
		`http_server_active_requests{semper_app="a"}`:                                                               3,
		`semper_edge_upstream_tries_total{semper_app="a",connection="reused"}`:                                      2,
		`semper_edge_upstream_tries_total{semper_app="a",connection="opened"}`:                                      1,
		`http_server_request_body_size_bytes_bucket{semper_app="a",le="0"}`:                                         1,
		`http_server_response_body_size_bytes_bucket{semper_app="a",le="0"}`:                                        0,
		`http_client_request_duration_seconds_count{semper_app="a",http_request_method="GET",error_type="connect"}`: 1,
		`http_server_response_body_size_bytes_sum{semper_app="a"}`:                                                  100,
		`semper_edge_connections`: 1,
		`http_client_request_duration_seconds_count{semper_app="a",http_request_method="GET",http_response_status_code="200"}`: 2,
	} {
		if got := value(t, r, sample); got != want {
			t.Errorf("%s %g, want %g", sample, got, want)
		}
	}
}

func TestEveryEventIsShown(t *testing.T) {
	t.Parallel()
	r := New(Options{})
	shown := map[string]bool{}
	for i := range events {
		if Event(i) == upstreamReused { // follows from others
			continue
		}
		before := string(r.expose(false))
		r.Series(Key{}).Shard(0).Count(Event(i))
		after := string(r.expose(false))
		if before == after || shown[after] {
			t.Errorf("event %d is not shown", i)
		}
		shown[after] = true
	}
	for i := range edgeEvents {
		before := string(r.expose(false))
		r.Shard(0).Count(EdgeEvent(i))
		if before == string(r.expose(false)) {
			t.Errorf("event %d of the edge is not shown", i)
		}
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	collect := func(func(float64, ...Label)) {}
	r := New(Options{})
	for _, f := range []Family{
		{Name: "", Kind: Gauge, Collect: collect},
		{Name: "Capital", Kind: Gauge, Collect: collect},
		{Name: "a b", Kind: Gauge, Collect: collect},
		{Name: "a\n", Kind: Gauge, Collect: collect},
		{Name: "a", Kind: Counter, Collect: collect},
		{Name: "a_total", Kind: Gauge, Collect: collect},
		{Name: "a", Kind: Gauge},
		{Name: nameActive, Kind: Gauge, Collect: collect},
		{Name: "semper_edge_shed_total", Kind: Counter, Collect: collect},
	} {
		if err := r.Register(f); semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), fmt.Sprintf("%q", f.Name)) {
			t.Errorf("%q: %v", f.Name, err)
		}
	}
	ok := Family{Name: "a", Kind: Gauge, Collect: collect}
	if err := r.Register(ok, ok); err == nil {
		t.Error("one name twice at once")
	}
	if err := r.Register(ok); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
	if err := r.Register(ok); err == nil {
		t.Error("one name twice")
	}
}
