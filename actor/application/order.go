package application

import (
	"slices"
	"strings"
)

// order returns what has to run for the applications named, each after all it depends on: first the dependencies in the
// order in which they are written, so that the same input gives the same order always.
func order(known map[string]*Application, names []string) ([]string, error) {
	s := sorter{what: "applications", next: func(n string) ([]string, error) {
		a := known[n]
		if a == nil {
			return nil, &UnknownError{Name: n, Nearest: nearest(n, known)}
		}
		for _, d := range a.Dependencies {
			if known[d] == nil {
				return nil, &UnknownError{Name: d, By: n, Nearest: nearest(d, known)}
			}
		}
		optional := slices.DeleteFunc(slices.Clone(a.Optional), func(d string) bool { return known[d] == nil })
		return slices.Concat(a.Dependencies, optional), nil
	}}
	return s.sort(names)
}

// phases merges the phases of applications, which are in dependency order, into one order that keeps that of each of
// them. A phase that an application names before another comes before it everywhere.
func phases(apps []*Application) ([]string, error) {
	var names []string
	before := map[string][]string{} // the phases right before each
	for _, a := range apps {
		for i, p := range a.Phases {
			names = append(names, p.Name)
			if i > 0 {
				before[p.Name] = append(before[p.Name], a.Phases[i-1].Name)
			}
		}
	}
	s := sorter{what: "phases", next: func(n string) ([]string, error) { return before[n], nil }}
	return s.sort(names)
}

// A sorter puts names behind those that they want first.
type sorter struct {
	what string
	next func(string) ([]string, error) // whom a name wants before itself
	done map[string]bool
	path []string // the way to the one being looked at
	out  []string
}

func (s *sorter) sort(names []string) ([]string, error) {
	s.done = map[string]bool{}
	for _, n := range names {
		if err := s.visit(n); err != nil {
			return nil, err
		}
	}
	return s.out, nil
}

func (s *sorter) visit(n string) error {
	if s.done[n] {
		return nil
	}
	if i := slices.Index(s.path, n); i >= 0 {
		return &CycleError{What: s.what, Path: append(slices.Clone(s.path[i:]), n)}
	}
	first, err := s.next(n)
	if err != nil {
		return err
	}
	s.path = append(s.path, n)
	for _, f := range first {
		if err := s.visit(f); err != nil {
			return err
		}
	}
	s.path = s.path[:len(s.path)-1]
	s.done[n] = true
	s.out = append(s.out, n)
	return nil
}

// nearest is the known name most similar to n, or empty when none is within a third of its length, and not all, of it.
func nearest(n string, known map[string]*Application) string {
	best, limit := "", min(max(1, len(n)/3), max(len(n)-1, 0))+1
	for k := range known {
		d := distance(strings.ToLower(n), strings.ToLower(k))
		if d < limit || d == limit && best != "" && k < best {
			best, limit = k, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace between a and b.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	row := make([]int, len(t)+1)
	for j := range row {
		row[j] = j
	}
	for i := range s {
		corner := row[0]
		row[0] = i + 1
		for j := range t {
			change := corner
			if s[i] != t[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(row[j+1]+1, row[j]+1, change)
		}
	}
	return row[len(t)]
}
