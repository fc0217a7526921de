package words

import (
	"fmt"
	"maps"
	"mime"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"semper/edge/route"
	"semper/internal/strict"
)

// A Source is where words stand, with the problems that are found there.
type Source struct {
	*strict.Doc
	// File is what is in the file named at key. It makes *path absolute, and notes what is wrong with it.
	File func(key string, path *string) []byte
}

// Conditions are those of m, which stands at path.
func (s Source) Conditions(path string, m *Match) []route.Condition {
	var all []route.Condition
	for _, in := range []struct {
		key   string
		place route.Place
		all   map[string]Condition
	}{{"header", route.InField, m.Header}, {"cookie", route.InCookie, m.Cookie}, {"query", route.InQuery, m.Query}} {
		for _, name := range slices.Sorted(maps.Keys(in.all)) {
			all = append(all, s.condition(strict.Join(strings.TrimPrefix(path+"."+in.key, "."), name), in.place, name, in.all[name]))
		}
	}
	return all
}

func (s Source) condition(path string, in route.Place, name string, f Condition) route.Condition {
	c := route.Condition{In: in, Name: name, Test: route.Present}
	ways := 0
	for _, way := range []struct {
		key   string
		test  route.Test
		value string
	}{{".equals", route.Equal, f.Equals}, {".prefix", route.Prefix, f.Prefix}, {".matches", route.Matches, f.Matches}, {".present", route.Present, ""}} {
		if !s.Given(path + way.key) {
			continue
		}
		if ways++; ways > 1 {
			s.Misplaced(path+way.key, "the condition says two things", "keep one: a pattern can ask for both")
		}
		c.Test, c.Value = way.test, way.value
	}
	if ways == 0 && !s.Wrong(path) {
		s.Problem(path, "the condition says nothing", "write a value, or {present: true}")
	}
	if s.Given(path+".present") && !f.Present {
		c.Test = route.Absent
	}
	return c
}

// Respond is the answer at path.
func (s Source) Respond(path string, f *Respond) route.Action {
	if f == nil {
		return nil
	}
	a := f.Respond
	a.Body = []byte(f.Body)
	kind := "text/plain; charset=utf-8"
	if s.Given(path + ".file") {
		if s.Given(path + ".body") {
			s.Misplaced(path+".file", "the body is given twice", "keep body or file")
		}
		a.Body, kind = s.File(path+".file", &f.File), typeOf(f.File)
	}
	hasType := slices.ContainsFunc(a.Fields, func(f route.Field) bool { return f.Name == "Content-Type" })
	if len(a.Body) > 0 && !hasType {
		a.Fields = append(slices.Clone(a.Fields), route.Field{Name: "Content-Type", Value: kind})
	}
	return &a
}

// Files notes what is wrong with files of an artifact at path.
func (s Source) Files(path string, f *route.Files) {
	clean := filepath.Clean(f.Dir)
	switch {
	case f.Dir == "" || s.Wrong(path+".dir"): // it says so itself
	case !filepath.IsLocal(f.Dir):
		s.Problem(path+".dir", f.Dir+" is not in the artifact", "name a directory below it, like public")
	case clean == ".":
		s.Problem(path+".dir", "all of the artifact would be served, programs and settings too", "name a directory below it, like public")
	}
	f.Dir = clean
	s.Pattern(path, f)
}

// Pattern notes a pattern of files at path that cannot be compiled.
func (s Source) Pattern(path string, f *route.Files) {
	if _, err := regexp.Compile(f.Immutable); err != nil {
		s.Problem(path+".immutable", fmt.Sprintf("the pattern cannot be compiled: %v", err), "")
	}
}

// ErrorPages reads the pages of files, of which at says where the one for some statuses stands.
func (s Source) ErrorPages(at func(statuses string) string, files map[string]string) []route.ErrorPage {
	var pages []route.ErrorPage
	for _, statuses := range slices.Sorted(maps.Keys(files)) {
		at, file := at(statuses), files[statuses]
		from, to, ok := statusRange(statuses)
		if !ok {
			s.Misplaced(at, fmt.Sprintf("%q is no status of an error", statuses), "write 404, 500-504 or 5xx")
			continue
		}
		pages = append(pages, route.ErrorPage{From: from, To: to, Type: typeOf(file), Body: s.File(at, &file)})
	}
	return pages
}

// statusRange reads 404, 500-504 and 5xx.
func statusRange(s string) (from, to int, ok bool) {
	if digit, isClass := strings.CutSuffix(s, "xx"); isClass && (digit == "4" || digit == "5") {
		from = int(digit[0]-'0') * 100
		return from, from + 99, true
	}
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	return from, to, err1 == nil && err2 == nil && from >= 400 && to <= 599 && from <= to
}

// typeOf is the media type of a page by its suffix.
func typeOf(file string) string {
	switch ext := filepath.Ext(file); ext {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".json":
		return "application/json"
	case "", ".txt":
		return "text/plain; charset=utf-8"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}
