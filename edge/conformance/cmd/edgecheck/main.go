// Edgecheck checks any HTTP proxy against the 85 bad inputs of package conformance, and prints a verdict for each.
//
// Start it, and have the proxy route one host name to it:
//
//	go run ./edge/conformance/cmd/edgecheck -addr 127.0.0.1:8080 -backend 127.0.0.1:9000
//
// Here the proxy listens at 127.0.0.1:8080 and forwards what is for the host a.example to 127.0.0.1:9000, where edgecheck
// records it. Nothing else may lead anywhere: what the proxy is asked for other hosts it should answer itself, with 404 or
// 421. For nginx that is
//
//	server { listen 127.0.0.1:8080 default_server; return 404; }
//	server { listen 127.0.0.1:8080; server_name a.example;
//	         location / { proxy_pass http://127.0.0.1:9000; proxy_http_version 1.1; proxy_set_header Host $host; } }
//
// and for HAProxy
//
//	frontend in
//	    bind 127.0.0.1:8080
//	    http-request return status 404 unless { req.hdr(host) -i a.example }
//	    default_backend out
//	backend out
//	    server s 127.0.0.1:9000
//
// More of the proxy's own settings bring more of the rows: a listener with TLS (-tls), limits and deadlines as they are
// configured (-max-body, -head, -body, -write, -idle; make them short, they are waited for), a second host with a
// certificate of its own (-other), a path prefix /guarded with a backend of its own (-guarded), a listener that requires
// the PROXY protocol (-proxy). What is not given is skipped.
//
// With -exchanges N it plays N valid exchanges instead, through the proxy and through the reverse proxy of Go's standard
// library, and prints where the two differ; -seed makes other ones. See package traffic.
//
// The exit status is 0 when nothing failed, 1 when something did, 2 when the check could not be made.
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"semper/edge/conformance"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code, err := check(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "edgecheck:", err)
	}
	os.Exit(code)
}

// options are the flags.
type options struct {
	target           conformance.Target
	backend, guarded string
	roots            string
	rows             string
	list, cases      bool
	exchanges        int
	seed             uint64
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("edgecheck", flag.ContinueOnError)
	f.StringVar(&o.target.Plain, "addr", "", "the proxy's `address` for HTTP/1.1 without TLS")
	f.StringVar(&o.target.TLS, "tls", "", "the proxy's `address` for TLS, offering h2 and http/1.1")
	f.StringVar(&o.target.H3, "h3", "", "the proxy's `address` for HTTP/3")
	f.StringVar(&o.target.Proxy, "proxy", "", "the proxy's `address` for HTTP/1.1 behind a PROXY header")
	f.StringVar(&o.target.Host, "host", "a.example", "the host `name` that the proxy routes to the backend")
	f.StringVar(&o.target.Other, "other", "", "another host `name` that it routes so, with another certificate")
	f.StringVar(&o.roots, "roots", "", "`file` of certificates to believe; without it every certificate is believed")
	f.StringVar(&o.backend, "backend", "127.0.0.1:9000", "where to record what the proxy forwards: host:port or unix:/path")
	f.StringVar(&o.guarded, "guarded", "", "the same for what it forwards of paths below /guarded")
	f.Int64Var(&o.target.MaxBody, "max-body", 0, "the proxy's limit for request bodies, in `bytes`")
	f.DurationVar(&o.target.Deadlines.Head, "head", 0, "the proxy's `deadline` for a request's head")
	f.DurationVar(&o.target.Deadlines.Body, "body", 0, "the proxy's `deadline` between two pieces of a request's body")
	f.DurationVar(&o.target.Deadlines.Write, "write", 0, "the proxy's `deadline` for a client that takes nothing")
	f.DurationVar(&o.target.Deadlines.Idle, "idle", 0, "the proxy's `deadline` for a WebSocket without traffic")
	f.DurationVar(&o.target.Patience, "patience", 0, "how `long` to wait for what has no deadline (default 5s)")
	f.StringVar(&o.rows, "rows", "", "which `rows` to run, like 1-26,63; all without it")
	f.BoolVar(&o.list, "list", false, "list the rows and their cases, and run nothing")
	f.IntVar(&o.exchanges, "exchanges", 0, "compare `n` valid exchanges with net/http, and run no row")
	f.Uint64Var(&o.seed, "seed", 1, "`number` that makes the exchanges")
	f.BoolVar(&o.cases, "v", false, "a line for each case, not only for those that fail")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag: see -help", f.Arg(0))
	}
	return o, nil
}

// check is the command. It returns the exit status.
func check(ctx context.Context, args []string, out io.Writer) (code int, err error) {
	o, err := parse(args)
	if err != nil {
		return 2, err
	}
	rows, err := choose(conformance.Rows(), o.rows)
	if err != nil {
		return 2, err
	}
	if o.list {
		list(out, rows)
		return 0, nil
	}
	end, err := o.open()
	if err != nil {
		return 2, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if o.exchanges > 0 {
		return o.compare(ctx, out)
	}
	r := report{out: out, cases: o.cases}
	r.begin()
	for _, row := range rows {
		var all []conformance.Result
		for _, tr := range conformance.Transports {
			all = append(all, conformance.Check(ctx, &o.target, row, tr)...)
		}
		if err := context.Cause(ctx); err != nil {
			return 2, fmt.Errorf("interrupted in row %d: %w", row.Number, err)
		}
		r.row(row, all)
	}
	return r.end(), nil
}

// open starts the recorders and reads the roots; end undoes it.
func (o *options) open() (end func() error, err error) {
	if o.target.Plain == "" && o.target.TLS == "" {
		return nil, errors.New("there is nothing to check: give the proxy's address by -addr, -tls or both")
	}
	if o.roots != "" {
		pem, err := os.ReadFile(o.roots)
		if err != nil {
			return nil, fmt.Errorf("read the certificates to believe: %w", err)
		}
		o.target.Roots = x509.NewCertPool()
		if !o.target.Roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM form", o.roots)
		}
	}
	if o.target.Backend, err = listen(o.backend); err != nil {
		return nil, err
	}
	if o.guarded == "" {
		return o.target.Backend.Close, nil
	}
	if o.target.Guarded, err = listen(o.guarded); err != nil {
		return nil, errors.Join(err, o.target.Backend.Close())
	}
	return func() error { return errors.Join(o.target.Backend.Close(), o.target.Guarded.Close()) }, nil
}

func listen(addr string) (*conformance.Recorder, error) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return conformance.Record("unix", path)
	}
	return conformance.Record("tcp", addr)
}

// choose takes the rows that a list like 1-26,63 names.
func choose(all []conformance.Row, names string) ([]conformance.Row, error) {
	if names == "" {
		return all, nil
	}
	want := map[int]bool{}
	for part := range strings.SplitSeq(names, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err != nil || err2 != nil || from < 1 || to > len(all) || from > to {
			return nil, fmt.Errorf("-rows %s: %q is no row or range of rows from 1 to %d", names, part, len(all))
		}
		for n := from; n <= to; n++ {
			want[n] = true
		}
	}
	return slices.DeleteFunc(all, func(r conformance.Row) bool { return !want[r.Number] }), nil
}

func list(out io.Writer, rows []conformance.Row) {
	for _, row := range rows {
		fmt.Fprintf(out, "%2d  %s  (%s)\n", row.Number, row.Name, row.Why)
		for _, c := range row.Cases {
			fmt.Fprintf(out, "      %s\n", c.Name)
		}
		if why := row.NotOverH3(); why != "" {
			fmt.Fprintf(out, "      not over HTTP/3: %s\n", why)
		}
	}
}

// report is the table as it grows.
type report struct {
	out                   io.Writer
	cases                 bool
	passed, failed, empty int
}

const layout = "%-3s %-52s %-8s %-8s %-8s %-8s\n"

func (r *report) begin() { fmt.Fprintf(r.out, layout, "row", "input", "h1", "h1+tls", "h2", "h3") }

// row prints the verdicts on a row, and below it the cases that failed.
func (r *report) row(row conformance.Row, all []conformance.Result) {
	var columns [4]string
	for _, tr := range conformance.Transports {
		columns[tr] = r.column(all, tr)
	}
	fmt.Fprintf(r.out, layout, strconv.Itoa(row.Number), row.Name, columns[0], columns[1], columns[2], columns[3])
	w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	for _, res := range all {
		if res.Verdict == conformance.Fail || r.cases {
			fmt.Fprintf(w, "    %s\t%s\t%s\t%s\n", res.Verdict, res.Transport, res.Case, res.Detail)
		}
	}
	w.Flush() //nolint:errcheck // the same terminal as above
}

// column is a row's cell for a transport: the worst of its cases.
func (r *report) column(all []conformance.Result, tr conformance.Transport) string {
	passed, failed, skipped := 0, 0, 0
	for _, res := range all {
		switch {
		case res.Transport != tr:
		case res.Verdict == conformance.Fail:
			failed++
		case res.Verdict == conformance.Skip:
			skipped++
		default:
			passed++
		}
	}
	switch {
	case failed > 0:
		r.failed++
		return fmt.Sprintf("FAIL %d/%d", failed, failed+passed)
	case passed > 0:
		r.passed++
		return "pass"
	case skipped > 0:
		r.empty++
		return "skip"
	}
	return "-"
}

// end prints the sum and returns the exit status.
func (r *report) end() int {
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped, counted by row and transport\n", r.passed, r.failed, r.empty)
	if r.failed > 0 {
		return 1
	}
	return 0
}
