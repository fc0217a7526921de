package routefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"

	"semper/edge/route"
	"semper/edge/words"
	"semper/internal/strict"
)

// A Problem is one thing wrong in a file.
type Problem = strict.Problem

// Problems are all that is wrong with a file, in its order. It is never empty, and its Error prints each with its line.
type Problems = strict.Problems

// maxFile bounds the size of a route file, and of each file that it names and that is read into memory.
const maxFile = 1 << 20

// Load reads the file at path. Paths in it are relative to its directory. The error is [Problems].
func Load(path string) (*File, error) {
	data, err := readRegular(path)
	if err != nil {
		return nil, Problems{{File: path, Message: err.Error()}}
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, Problems{{File: path, Message: "has no absolute path: " + cause(err).Error()}}
	}
	return parse(path, dir, data)
}

// readRegular is what is in a regular file that is not too large.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe would wait for its writer
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("does not exist")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("has %d bytes, more than the %d that are read", info.Size(), maxFile)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1)) // some files of /proc have more than they say
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", cause(err))
	case len(data) > maxFile:
		return nil, fmt.Errorf("has more than the %d bytes that are read", maxFile)
	}
	return data, nil
}

// cause is err without the path that package os repeats in it.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// parse reads data as a route file that is shown as name and stands in dir.
func parse(name, dir string, data []byte) (*File, error) {
	f := format{Version: 1}
	strict.Defaults(&f.Log)
	f.Defaults.Policy = route.DefaultPolicy()
	r := &reader{f: &f, dir: dir}
	r.File = r.file
	r.Doc = strict.Read(name, data, &f, strict.Options{New: r.fresh, Foreign: foreign})
	file := r.build()
	if err := r.Err(); err != nil {
		return nil, err
	}
	file.Path, file.doc = name, r.Doc
	return file, nil
}

// fresh puts defaults into what is about to be read.
func (r *reader) fresh(v any) {
	switch v := v.(type) {
	case *routeFormat:
		v.Policy = r.f.Defaults
	case *Listener, *Pool, *Upstream, *ACME, *UpstreamTLS, *route.Redirect, *words.Respond, *route.Files, *route.RateLimit:
		strict.Defaults(v)
	}
}

// Schema is the JSON Schema of route files, for editors.
func Schema() []byte {
	return strict.Schema(reflect.TypeFor[format](), "https://semper.example/schema/edge-v1.json", "semper edge run --routes")
}
