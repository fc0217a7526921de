package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"semper"
	"semper/experiment/design"
)

// A File is one configuration file, read whole and without a problem.
type File struct {
	Path     string // of the file that was read: the argument of Load, joined with the name found in a directory
	Spec     semper.Spec
	Pipeline *semper.Pipeline // complete; nil where the file names neither environments nor webhooks
	Artifact Artifact
	// Experiments are complete; a deploy neither begins nor ends one.
	Experiments []design.Plan
	Origins     map[string]Origin // by key path ("services.web.instances", "routes[0].to"); every setting that has a value
}

// An Artifact says which files make the release. Exactly one of Dir and Tar is set.
type Artifact struct {
	Dir   string   // absolute path of the directory to pack
	Tar   string   // absolute path of a .tar, .tar.gz or .tgz made by somebody else
	Build []string // argv to run in the directory of File.Path before packing; nil for none
	Files []string // directories of it that routes answer with; what has them may yet be to build
}

// An Origin is where one setting came from.
type Origin struct {
	Kind OriginKind `json:"kind"`
	File string     `json:"file,omitempty"` // empty for a default
	Line int        `json:"line,omitempty"` // 1-based; 0 for a default
	Vars []string   `json:"vars,omitempty"` // for OriginEnv: the environment variables in it, in order
}

// OriginKind is a kind of origin.
type OriginKind string

// The kinds of origin.
const (
	OriginFile    OriginKind = "file"    // written in the file
	OriginEnv     OriginKind = "env"     // written in the file, with environment variables in it
	OriginDefault OriginKind = "default" // not written; the documented default
)

// String is the origin as a person reads it: "semper.yaml:7", "semper.yaml:7 ($PORT_BASE)" or "default".
func (o Origin) String() string {
	switch o.Kind {
	case OriginDefault:
		return "default"
	case OriginEnv:
		return fmt.Sprintf("%s:%d ($%s)", o.File, o.Line, strings.Join(o.Vars, ", $"))
	default:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
}

// maxFile bounds the size of a file, in bytes.
const maxFile = 1 << 20

// Load reads the file at path; in a directory that is semper.yaml, semper.yml or Procfile, the first
// that exists. A file named Procfile, or Procfile with a suffix, is read as one. lookup is os.LookupEnv or its like;
// nil means that no variable is set. The error is *Errors.
func Load(path string, lookup func(string) (string, bool)) (*File, error) {
	if path == "" {
		path = "."
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		found, err := find(path)
		if err != nil {
			return nil, err
		}
		path = found
	}
	if isProcfile(path) {
		return LoadProcfile(path, lookup)
	}
	data, abs, err := slurp(path)
	if err != nil {
		return nil, err
	}
	return parse(path, filepath.Dir(abs), data, lookup)
}

// isProcfile tells Procfile and Procfile.dev from a YAML file.
func isProcfile(path string) bool {
	base := filepath.Base(path)
	return base == "Procfile" || strings.HasPrefix(base, "Procfile.") && !isYAML(base)
}

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// find is the configuration file in dir.
func find(dir string) (string, error) {
	names := []string{"semper.yaml", "semper.yml", "Procfile"}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return "", sorted([]Problem{{
		File:    dir,
		Message: "no configuration in this directory: looked for " + strings.Join(names, ", "),
		Hint:    "write one with `semper init`, or name it with --file",
	}})
}

// slurp reads the file at path, which may not be larger than maxFile, and tells its absolute path.
func slurp(path string) (data []byte, abs string, err error) {
	fail := func(message, hint string) ([]byte, string, error) {
		return nil, "", sorted([]Problem{{File: path, Message: message, Hint: hint}})
	}
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return fail("no such file", "write one with `semper init`, or name another with --file")
	case err != nil:
		return fail("cannot be read: "+cause(err), "")
	case !info.Mode().IsRegular():
		return fail("not a regular file", "name a semper.yaml, a Procfile or a directory with one of them")
	case info.Size() > maxFile:
		return fail(fmt.Sprintf("%d bytes; a configuration file has at most %d", info.Size(), maxFile), "is it the right file?")
	}
	if data, err = os.ReadFile(path); err != nil {
		return fail("cannot be read: "+cause(err), "")
	}
	if abs, err = filepath.Abs(path); err != nil {
		return fail("has no absolute path: "+cause(err), "")
	}
	return data, abs, nil
}

// cause is err without the path that os repeats in it.
func cause(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// parse reads data as a semper.yaml that is printed as name and stands in dir.
func parse(name, dir string, data []byte, lookup func(string) (string, bool)) (*File, error) {
	r := newReader(name, data, lookup)
	root := r.document(data)
	if root == nil {
		return nil, sorted(r.problems)
	}
	var f fileFormat
	r.decode(root, &f)
	c := checker{reader: r, f: &f, dir: dir}
	if r.visits <= maxVisits { // what was not read whole says nothing about the rest
		c.check()
	}
	if r.lend(); len(r.problems) > 0 {
		return nil, sorted(r.problems)
	}
	return c.build(), nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
