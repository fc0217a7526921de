package offline

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"semper/internal/nearest"
	"semper/verify"
)

// A Row is one line of a file of batches.
type Row struct {
	Line      int
	At        time.Time
	Metric    string
	Kind      verify.Kind
	Candidate bool
	Threshold string
	Arm       verify.Arm
	Value     float64
	Moments   verify.Moments
}

// Columns are those that a file may have.
var Columns = []string{"time", "metric", "kind", "arm", "threshold", "requests", "bad", "value", "n", "sum", "squares"}

const (
	armCandidate = "candidate"
	armBaseline  = "baseline"
	maxLine      = 1 << 20
)

// Read reads rows, as CSV with a head or as lines of JSON, whichever the first byte says, and gives each to take.
func Read(r io.Reader, take func(Row) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		b, err := in.Peek(1)
		if errors.Is(err, io.EOF) {
			return errors.New("there are no rows")
		}
		if err != nil {
			return err
		}
		if !bytes.ContainsAny(b, " \t\r\n") {
			if b[0] == '{' {
				return readJSON(in, take)
			}
			return readCSV(in, take)
		}
		in.ReadByte() //nolint:errcheck // it was peeked
	}
}

func readCSV(r io.Reader, take func(Row) error) error {
	c := csv.NewReader(r)
	c.ReuseRecord, c.TrimLeadingSpace = true, true
	c.FieldsPerRecord = -1 // counted here, where the names of the columns are known
	head, err := c.Read()
	if err != nil {
		return quoting(err)
	}
	columns := slices.Clone(head)
	for i, name := range columns {
		columns[i] = strings.ToLower(strings.TrimSpace(name))
		if err := column(columns[i]); err != nil {
			return fmt.Errorf("line 1: %w", err)
		}
		if slices.Contains(columns[:i], columns[i]) {
			return fmt.Errorf("line 1: column %q is there twice", columns[i])
		}
	}
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return quoting(err)
		}
		line, _ := c.FieldPos(0)
		if len(record) != len(columns) {
			return fmt.Errorf("line %d has %d columns, and not the %d of the head: %s; one without a value is empty", line, len(record), len(columns), strings.Join(columns, ","))
		}
		cells := make(map[string]string, len(columns))
		for i, cell := range record {
			if cell = strings.TrimSpace(cell); cell != "" {
				cells[columns[i]] = cell
			}
		}
		if err := give(line, cells, take); err != nil {
			return err
		}
	}
}

// quoting says what is wrong with a line that is no CSV: nothing but its quotes can be.
func quoting(err error) error {
	var at *csv.ParseError
	if !errors.As(err, &at) {
		return err
	}
	return fmt.Errorf("line %d, column %d: a quote is out of place: a cell that has one stands within quotes, with each of its own twice", at.Line, at.Column)
}

func readJSON(r io.Reader, take func(Row) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for line := 1; s.Scan(); line++ {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(s.Bytes()))
		d.UseNumber()
		var object map[string]any
		if err := d.Decode(&object); err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		cells := make(map[string]string, len(object))
		for key, v := range object {
			key = strings.ToLower(key)
			if err := column(key); err != nil {
				return fmt.Errorf("line %d: %w", line, err)
			}
			switch v := v.(type) {
			case nil:
			case string:
				cells[key] = v
			case json.Number:
				cells[key] = string(v)
			default:
				return fmt.Errorf("line %d: %s is neither text nor a number", line, key)
			}
		}
		if err := give(line, cells, take); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("a line that cannot be read: %w", err)
	}
	return nil
}

func column(name string) error {
	if slices.Contains(Columns, name) {
		return nil
	}
	if n := nearest.To(name, Columns); n != "" {
		return fmt.Errorf("unknown column %q: did you mean %q?", name, n)
	}
	return fmt.Errorf("unknown column %q: there are %s", name, strings.Join(Columns, ", "))
}

func give(line int, cells map[string]string, take func(Row) error) error {
	row, err := parse(cells)
	if err == nil {
		row.Line = line
		err = take(row)
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", line, err)
	}
	return nil
}

// wanted are what a row of a kind has.
func wanted(k verify.Kind) string {
	switch k {
	case verify.Gauge:
		return "value"
	case verify.Mean:
		return "value; or n, sum, squares"
	case verify.Latency:
		return "requests, bad, threshold"
	}
	return "requests, bad"
}

// parse reads one row, and says what its kind lacks.
func parse(cells map[string]string) (r Row, err error) {
	p := parser{cells: cells}
	r.Kind = verify.Kind(p.one("kind", kinds()))
	p.wanted = fmt.Sprintf(": a row of %s has time, metric, kind, arm, %s", r.Kind, wanted(r.Kind))
	r.At, r.Metric = p.time("time"), p.text("metric")
	r.Candidate = p.one("arm", []string{armCandidate, armBaseline}) == armCandidate
	switch r.Kind {
	case verify.Gauge:
		r.Value = p.number("value")
	case verify.Mean:
		if _, ok := cells["value"]; ok {
			r.Moments.Add(p.number("value"))
		} else {
			r.Moments = verify.Moments{N: p.count("n"), Sum: p.number("sum"), Squares: p.number("squares")}
		}
	default:
		r.Arm = verify.Arm{Requests: p.count("requests"), Bad: p.count("bad")}
		if r.Kind == verify.Latency {
			r.Threshold = p.text("threshold")
		}
	}
	return r, p.err
}

func kinds() (names []string) {
	for _, k := range verify.Kinds {
		names = append(names, string(k))
	}
	return names
}

// parser reads cells, and keeps the first error.
type parser struct {
	cells  map[string]string
	wanted string // what a row has, once its kind is known
	err    error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) text(name string) string {
	s := p.cells[name]
	if s == "" {
		p.fail("there is no %s%s", name, p.wanted)
	}
	return s
}

func (p *parser) one(name string, of []string) string {
	s := p.text(name)
	if s != "" && !slices.Contains(of, s) {
		if n := nearest.To(s, of); n != "" {
			p.fail("%s %q: did you mean %q?", name, s, n)
		}
		p.fail("%s %q: it is one of %s", name, s, strings.Join(of, ", "))
	}
	return s
}

func (p *parser) number(name string) float64 {
	s := p.text(name)
	x, err := strconv.ParseFloat(s, 64)
	if s != "" && (err != nil || math.IsNaN(x) || math.IsInf(x, 0)) {
		p.fail("%s %q is no number that can be counted", name, s)
	}
	return x
}

func (p *parser) count(name string) int64 {
	s := p.text(name)
	n, err := strconv.ParseInt(s, 10, 64)
	if s != "" && (err != nil || n < 0) {
		p.fail("%s %q is no count: a whole number, not negative", name, s)
	}
	return n
}

func (p *parser) time(name string) time.Time {
	s := p.text(name)
	if s == "" {
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t
	}
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || math.Abs(x) > 1e11 {
		p.fail("%s %q is no time: write it as 2026-11-21T10:00:00Z, or in seconds since 1970", name, s)
		return time.Time{}
	}
	return time.UnixMicro(int64(x * 1e6)).UTC()
}
