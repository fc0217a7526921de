// Package scaling reads the arguments of semper scale, and shows how many instances services have.
package scaling

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"semper/api"
	"semper/cli/draw"
)

// auto is written in place of a number.
const auto = "auto"

// Parse reads SERVICE=N and SERVICE=auto, each service once.
func Parse(args []string) (map[string]int, error) {
	scale := map[string]int{}
	for _, a := range args {
		name, count, ok := strings.Cut(a, "=")
		n, err := strconv.Atoi(count)
		if count == auto {
			n, err = api.AutoScale, nil
		}
		if !ok || name == "" || err != nil || n < 0 && count != auto {
			return nil, fmt.Errorf("%q is not SERVICE=N with a whole number N, nor SERVICE=auto", a)
		}
		if _, twice := scale[name]; twice {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		scale[name] = n
	}
	return scale, nil
}

// A Row is one service of an environment.
type Row struct {
	Service string       `json:"service"`
	Now     int          `json:"now"`
	Ready   int          `json:"ready"`
	Auto    *api.Scaling `json:"auto,omitempty"` // by what it is scaled by itself; nil where it is not
}

// Rows are the services of an environment, by name.
func Rows(st api.Status) []Row {
	rows := []Row{}
	for _, name := range slices.Sorted(maps.Keys(st.Scale)) {
		row := Row{Service: name, Now: st.Scale[name]}
		for _, in := range st.Instances {
			if in.Service == name && in.Role == "current" && in.State == "ready" {
				row.Ready++
			}
		}
		if i := slices.IndexFunc(st.Scaling, func(s api.Scaling) bool { return s.Service == name }); i >= 0 {
			row.Auto = &st.Scaling[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// Table writes rows for people.
func Table(w io.Writer, p draw.Paint, rows []Row) {
	g := draw.Grid{{p.Dim("SERVICE"), p.Dim("NOW"), p.Dim("READY"), p.Dim("BOUNDS"), p.Dim("WHY")}}
	for _, r := range rows {
		bounds, why := "fixed", "instances in semper.yaml, or what semper scale was given"
		if s := r.Auto; s != nil {
			bounds, why = fmt.Sprintf("%d to %d", s.Min, s.Max), draw.OneLine(s.Why)
			if s.ByHand {
				bounds = p.Warn("by hand")
			}
		}
		g.Row(draw.OneLine(r.Service), strconv.Itoa(r.Now), strconv.Itoa(r.Ready), bounds, why)
	}
	g.Write(w)
}
