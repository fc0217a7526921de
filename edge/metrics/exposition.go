package metrics

import "bytes"

// The names that come from outside of this package: OpenTelemetry's, as Prometheus writes them.
const (
	nameServerDuration = "http_server_request_duration_seconds"
	nameClientDuration = "http_client_request_duration_seconds"
	nameActive         = "http_server_active_requests"
	nameRequestBody    = "http_server_request_body_size_bytes"
	nameResponseBody   = "http_server_response_body_size_bytes"
	nameHeld           = "semper_edge_hold_duration_seconds"
	nameConnections    = "semper_edge_connections"

	labelApp     = "semper_app"
	labelRelease = "semper_release"
)

// names are those that no family of others may have.
func names() map[string]bool {
	taken := map[string]bool{"target_info": true}
	for _, n := range []string{nameServerDuration, nameClientDuration, nameActive, nameRequestBody, nameResponseBody, nameHeld, nameConnections} {
		taken[n] = true
	}
	for _, e := range append(append([]counted(nil), seriesEvents...), ownEvents...) {
		taken[e.name] = true
	}
	return taken
}

// expose is all families as text: in OpenMetrics when open is set, else in Prometheus' format.
func (r *Registry) expose(open bool) []byte {
	all, families := r.list()
	t := &text{open: open}
	sums := make([]*sum, len(all))
	keys := make([]string, len(all))
	for i, s := range all {
		sums[i] = s.read()
		keys[i] = keyLabels(s.key)
	}
	if len(r.target) > 0 {
		t.family("target_info", "gauge", "What this edge is.")
		t.value("target_info", labels(r.target...), 1)
	}
	t.requests(sums, keys)
	t.events(sums, keys)
	t.own(r.shards)
	for _, f := range families {
		t.collected(f)
	}
	return t.closed()
}

// eof ends an exposition in OpenMetrics.
const eof = "# EOF\n"

// closed is the whole text.
func (t *text) closed() []byte {
	if t.open {
		t.b = append(t.b, eof...)
	}
	return t.b
}

// Join is several expositions of one format as one. No family may be in two of them.
func Join(all ...[]byte) []byte {
	var out []byte
	open := false
	for _, b := range all {
		rest, ended := bytes.CutSuffix(b, []byte(eof))
		out, open = append(out, rest...), open || ended
	}
	if open {
		out = append(out, eof...)
	}
	return out
}

func keyLabels(k Key) string {
	if k == Others {
		return labels(Label{"otel_metric_overflow", "true"})
	}
	return labels(append(k.Labels(), Label{"http_route", k.Route})...)
}

// Labels are those of a series but for its route's.
func (k Key) Labels() []Label {
	return []Label{{labelApp, k.App}, {labelRelease, k.Release}, {"semper_arm", k.Arm}, {"semper_pool", k.Pool}}
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "," + b
}

func (t *text) requests(sums []*sum, keys []string) {
	t.family(nameServerDuration, "histogram", "Duration of requests, as their clients saw it.")
	for i, s := range sums {
		for j := range s.server {
			c := &s.server[j]
			t.durations(nameServerDuration, join(keys[i], serverLabels(c)), &c.durations)
		}
	}
	t.family(nameClientDuration, "histogram", "Duration of tries at instances.")
	for i, s := range sums {
		for j := range s.client {
			c := &s.client[j]
			more := labels(Label{"http_request_method", methodNames[c.row]},
				Label{"http_response_status_code", columnID(c.column).status()}, Label{"error_type", columnID(c.column).failure()})
			t.durations(nameClientDuration, join(keys[i], more), &c.durations)
		}
	}
	t.family(nameActive, "gauge", "Requests in flight.")
	for i, s := range sums {
		t.value(nameActive, keys[i], float64(s.active))
	}
	t.family(nameRequestBody, "histogram", "Content of requests.")
	for i, s := range sums {
		t.volumes(nameRequestBody, keys[i], &s.request)
	}
	t.family(nameResponseBody, "histogram", "Content of answers.")
	for i, s := range sums {
		t.volumes(nameResponseBody, keys[i], &s.response)
	}
	t.family(nameHeld, "histogram", "How long requests were held that were let go then.")
	for i, s := range sums {
		t.durations(nameHeld, keys[i], &s.held)
	}
}

func serverLabels(c *cell) string {
	scheme := "http"
	if c.row%schemes == 1 {
		scheme = "https"
	}
	row := c.row / schemes
	return labels(Label{"http_request_method", methodNames[row/protocols]}, Label{"http_response_status_code", columnID(c.column).status()},
		Label{"network_protocol_name", "http"}, Label{"network_protocol_version", protocolVersions[row%protocols]}, Label{"url_scheme", scheme})
}

// events writes a sample for each event and series, whether it happened or not: from a series that appears with its first
// event no rate can be taken.
func (t *text) events(sums []*sum, keys []string) {
	for i := 0; i < len(seriesEvents); {
		first := seriesEvents[i]
		t.family(first.name, "counter", first.help)
		for ; i < len(seriesEvents) && seriesEvents[i].name == first.name; i++ {
			e := seriesEvents[i]
			for j, s := range sums {
				t.value(e.name, join(keys[j], e.labels()), float64(s.events[e.event]))
			}
		}
	}
}

func (e counted) labels() string {
	if e.label == "" {
		return ""
	}
	return labels(Label{e.label, e.value})
}

// own writes what belongs to no series.
func (t *text) own(shards []*Shard) {
	// What ends is read before what begins, so that a difference is never negative.
	var n [edgeEvents]uint64
	for _, s := range shards {
		n[ConnClosed] += s.events[ConnClosed].Load()
	}
	for _, s := range shards {
		for i := range s.events {
			if EdgeEvent(i) != ConnClosed {
				n[i] += s.events[i].Load()
			}
		}
	}
	t.family(nameConnections, "gauge", "Connections of clients that are open.")
	t.value(nameConnections, "", float64(n[ConnAccepted])-float64(n[ConnClosed]))
	last := ""
	for _, e := range ownEvents {
		if e.name != last {
			t.family(e.name, "counter", e.help)
		}
		last = e.name
		t.value(e.name, e.labels(), float64(n[e.event]))
	}
}

// collected writes what others keep.
func (t *text) collected(f Family) {
	kind := [...]string{Counter: "counter", Gauge: "gauge", Histogram: "histogram"}[f.Kind]
	t.family(f.Name, kind, f.Help)
	if f.Kind == Histogram {
		f.Distributions(func(d Distribution, l ...Label) {
			n := d.Counts
			if n == nil {
				n = make([]uint64, len(d.Limits)+1)
			}
			t.histogram(f.Name, labels(l...), n, d.Sum, func(i int) float64 { return d.Limits[i] }, nil)
		})
		return
	}
	f.Collect(func(v float64, l ...Label) { t.value(f.Name, labels(l...), v) })
}
