package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"semper"
	"semper/cli/draw"
	"semper/internal/config"
	"semper/store/blob"
)

// Source is a configuration with the artifact it names. Close it.
type Source struct {
	File   *config.File
	Packed *os.File // temporary; read it from its start
	Digest semper.Digest
	Size   int64 // of Packed, bytes
}

// Options of [Prepare].
type Options struct {
	Lookup func(string) (string, bool) // environment variables
	Output io.Writer                   // of the build command
	Step   func(phase, text string)    // told what is done
}

// Prepare loads the configuration at name, builds and packs. A configuration that is wrong is a
// *config.Errors. The end of ctx ends it with some error and leaves nothing behind.
func Prepare(ctx context.Context, name string, o Options) (*Source, error) {
	f, err := config.Load(name, o.Lookup)
	if err != nil {
		return nil, err
	}
	if len(f.Artifact.Build) > 0 {
		if err := build(ctx, f, o); err != nil {
			return nil, err
		}
	}
	t, err := os.CreateTemp("", "semper-*.tar")
	if err != nil {
		return nil, &semper.Error{Code: semper.Internal, Op: "pack", Err: err, Hint: "TMPDIR names the directory for temporary files"}
	}
	s := &Source{File: f, Packed: t}
	err = s.pack(ctx)
	if err == nil {
		err = s.contains(f.Artifact.Files)
	}
	if err = errors.Join(err, ctx.Err()); err != nil {
		s.Close()
		return nil, err
	}
	o.Step("pack", fmt.Sprintf("%s, %s", s.Digest.Short(), draw.Size(s.Size)))
	return s, nil
}

// Close removes the packed artifact.
func (s *Source) Close() {
	_ = s.Packed.Close()
	_ = os.Remove(s.Packed.Name()) // a temporary file; the system removes it otherwise
}

func build(ctx context.Context, f *config.File, o Options) error {
	argv := f.Artifact.Build
	words := strings.Join(argv, " ")
	o.Step("build", words)
	dir, err := filepath.Abs(filepath.Dir(f.Path))
	if err != nil {
		return &semper.Error{Code: semper.Internal, Op: "build", Err: err}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, o.Output, o.Output
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	err = cmd.Run()
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	e := &semper.Error{Code: semper.Invalid, Op: "build", Hint: "its output stands above; nothing was changed"}
	if x, ok := errors.AsType[*exec.ExitError](err); ok {
		e.Message = fmt.Sprintf("%q ended with %s", words, x.ProcessState)
	} else {
		e.Message, e.Err = fmt.Sprintf("%q could not be run", words), err
	}
	return e
}

func (s *Source) pack(ctx context.Context) error {
	a, w := s.File.Artifact, &until{ctx, s.Packed}
	if a.Tar != "" {
		in, err := os.Open(a.Tar)
		if err != nil {
			return &semper.Error{Code: semper.Invalid, Op: "pack", Err: err}
		}
		defer in.Close() //nolint:errcheck // only read from
		s.Digest, s.Size, err = blob.PackTar(w, in)
		return err
	}
	ignore, err := blob.LoadIgnore(a.Dir)
	if err != nil {
		return err
	}
	s.Digest, s.Size, err = blob.Pack(w, a.Dir, ignore)
	return err
}

// contains refuses an artifact without a directory that a route answers with: neither what was built nor what was left out is
// known before it is packed.
func (s *Source) contains(dirs []string) error {
	if len(dirs) == 0 {
		return nil
	}
	if _, err := s.Packed.Seek(0, io.SeekStart); err != nil {
		return &semper.Error{Code: semper.Internal, Op: "read the packed artifact", Err: err}
	}
	there := make(map[string]bool)
	for in := tar.NewReader(s.Packed); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return &semper.Error{Code: semper.Internal, Op: "read the packed artifact", Err: err}
		}
		name := path.Clean(h.Name)
		if h.Typeflag == tar.TypeReg {
			name = path.Dir(name)
		}
		for ; name != "." && !there[name]; name = path.Dir(name) {
			there[name] = true
		}
	}
	for _, dir := range dirs {
		if !there[filepath.ToSlash(dir)] {
			return &semper.Error{Code: semper.Invalid, Op: "pack", Message: fmt.Sprintf("a route answers with files of %s, and the artifact has no such directory", dir), Hint: "does build make it, and does .semperignore leave it out?"}
		}
	}
	return nil
}

// until writes until ctx ends, so that Ctrl-C need not wait for a large directory.
type until struct {
	ctx context.Context
	w   io.Writer
}

func (u *until) Write(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(b)
}
