package metrics

import (
	"fmt"
	"regexp"
	"sync"

	"semper"
)

// A Kind is how a family's values behave.
type Kind uint8

// The kinds.
const (
	Counter Kind = iota // only grows; its name ends in _total
	Gauge
	Histogram // of durations or sizes, in base units
)

// A Family is values that somebody else keeps, asked for when somebody looks.
type Family struct {
	Name, Help string
	Kind       Kind
	// Collect yields each value with its labels; no two have the same labels. It may be called concurrently.
	Collect func(yield func(value float64, labels ...Label))
	// Distributions is Collect of a Histogram, which has this alone.
	Distributions func(yield func(d Distribution, labels ...Label))
}

// A Distribution is a histogram as its keeper has it.
type Distribution struct {
	Limits []float64 // upper ends of its buckets, ascending
	Counts []uint64  // by limit, and one more for what is above all; none is all 0
	Sum    float64
}

// Expose is families as text, in OpenMetrics when open is set, else in Prometheus' format: for what belongs to no edge. They are the
// caller's to name; see [Registry.Register] for what names have to be.
func Expose(open bool, families ...Family) []byte {
	t := &text{open: open}
	for _, f := range families {
		t.collected(f)
	}
	return t.closed()
}

var familyName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]*$`) })

// Register adds families to what the registry shows. It refuses names that are not lower case, are not of their kind, or
// are taken.
func (r *Registry) Register(families ...Family) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := names()
	for _, f := range r.families {
		taken[f.Name] = true
	}
	for _, f := range families {
		isTotal := len(f.Name) > len(total) && f.Name[len(f.Name)-len(total):] == total
		var problem string
		switch {
		case !familyName().MatchString(f.Name):
			problem = "has other characters than a-z, 0-9 and _"
		case taken[f.Name]:
			problem = "is there already"
		case (f.Kind == Counter) != isTotal:
			problem = "must end in _total if it is a counter, and only then"
		case f.Kind == Histogram || f.Collect == nil:
			problem = "has nobody to ask for its values, one by one"
		default:
			taken[f.Name] = true
			continue
		}
		return &semper.Error{Code: semper.Invalid, Op: "register metrics", Message: fmt.Sprintf("family %q %s", f.Name, problem)}
	}
	r.families = append(r.families, families...)
	return nil
}

// LedgerFamily shows the columns of an edge's ledger. They are gauges: a request that is tried again on another release moves
// there with all that it had counted, and to a counter that falls Prometheus adds what it had reached.
func LedgerFamily(read func(yield func(app string, r semper.ReleaseName, l semper.Ledger))) Family {
	return Family{
		Name: "semper_edge_ledger_requests", Kind: Gauge,
		Help: "Requests per release in the ledger, by column; accepted is the sum of the ends and what is in flight.",
		Collect: func(yield func(float64, ...Label)) {
			read(func(app string, release semper.ReleaseName, l semper.Ledger) {
				for _, c := range []struct {
					column string
					n      uint64
				}{
					{"accepted", l.Accepted}, {"served", l.Served}, {"app_errors", l.AppErrors}, {"edge_errors", l.EdgeErrors},
					{"shed", l.Shed}, {"cut", l.Cut}, {"gone", l.Gone}, {"retried", l.Retried}, {"held", l.Held},
				} {
					yield(float64(c.n), Label{labelApp, app}, Label{labelRelease, string(release)}, Label{"column", c.column})
				}
			})
		},
	}
}

// AccessLogFamily shows what became of the access log's records: written, dropped because a ring was full, lost because the
// log could not be written.
func AccessLogFamily(read func() (written, dropped, lost uint64)) Family {
	return Family{
		Name: "semper_edge_access_log_records_total", Kind: Counter,
		Help: "Records of the access log, by what became of them: dropped for want of room, lost for want of a file.",
		Collect: func(yield func(float64, ...Label)) {
			written, dropped, lost := read()
			yield(float64(written), Label{"result", "written"})
			yield(float64(dropped), Label{"result", "dropped"})
			yield(float64(lost), Label{"result", "lost"})
		},
	}
}
