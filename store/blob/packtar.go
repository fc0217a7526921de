package blob

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"semper"
)

// maxUnpacked bounds what a small archive may grow to, bytes.
const maxUnpacked = 16 << 30

// PackTar writes the tar, or the gzipped tar, of r to w in canonical form: the same bytes as [Pack] of the
// directory it was made from. It gives the digest and the length of what it wrote. Hard links become files. Paths
// that lead out, a path that stands twice, devices, sockets and pipes are Invalid errors that name
// it; then what w got is of no use. It needs the space of the unpacked files in the temporary directory.
func PackTar(w io.Writer, r io.Reader) (semper.Digest, int64, error) {
	spool, err := os.CreateTemp("", "semper-pack-*")
	if err != nil {
		return "", 0, disk("pack", err)
	}
	defer func() { _ = spool.Close() }()
	if err := os.Remove(spool.Name()); err != nil {
		return "", 0, disk("pack", err)
	}
	in, rest, err := unzip(r)
	if err != nil {
		return "", 0, err
	}
	x := &index{spool: spool, known: map[string]int{}}
	if err := x.read(tar.NewReader(in)); err != nil {
		return "", 0, err
	}
	if err := rest(); err != nil {
		return "", 0, broken(err)
	}
	if err := x.addParents(); err != nil {
		return "", 0, err
	}
	return writeCanonical(w, x.entries)
}

// unzip is r, unpacked where it is gzipped. rest reads what follows the tar, so that a checksum that
// does not fit, or a cut end, is not overlooked.
func unzip(r io.Reader) (in io.Reader, rest func() error, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, err := b.Peek(2)
	if err != nil {
		return nil, nil, broken(err)
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return b, func() error { return nil }, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, nil, broken(err)
	}
	limited := &io.LimitedReader{R: z, N: maxUnpacked}
	return limited, func() error {
		if _, err := io.Copy(io.Discard, limited); err != nil {
			return err
		}
		if limited.N == 0 {
			return tooLarge()
		}
		return z.Close()
	}, nil
}

// index is what was read of a tar: its entries, and in the spool the bytes of its files.
type index struct {
	spool   *os.File
	end     int64 // of the spool
	entries []entry
	known   map[string]int // by name, the place in entries
}

func (x *index) read(tr *tar.Reader) error {
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return broken(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		name, err := cleanName(h.Name)
		if err != nil {
			return err
		}
		if name == "." && h.Typeflag == tar.TypeDir {
			continue
		}
		if err := x.add(name, h, tr); err != nil {
			return err
		}
	}
}

func (x *index) add(name string, h *tar.Header, r io.Reader) error {
	e := entry{name: name}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		e.kind, e.exec = kindFile, h.Mode&0o100 != 0
		if err := x.keep(&e, r); err != nil {
			return err
		}
	case tar.TypeDir:
		e.kind = kindDir
	case tar.TypeSymlink:
		e.kind, e.target = kindLink, h.Linkname
	case tar.TypeLink:
		first, err := x.linked(name, h.Linkname)
		if err != nil {
			return err
		}
		first.name = name
		e = first
	default:
		return refuse(name, "is neither a file, a directory nor a link", "leave devices, sockets and pipes out of the archive")
	}
	return x.enter(e)
}

func (x *index) enter(e entry) error {
	if e.name == "." {
		return refuse(e.name, "is not a directory", "")
	}
	if _, twice := x.known[e.name]; twice {
		return refuse(e.name, "stands twice in the archive", "make it from a directory, in one go")
	}
	if len(x.entries) == maxEntries {
		return tooMany()
	}
	x.known[e.name] = len(x.entries)
	x.entries = append(x.entries, e)
	return nil
}

// keep copies a file's bytes to the spool.
func (x *index) keep(e *entry, r io.Reader) error {
	start := x.end
	n, err := io.Copy(x.spool, io.LimitReader(&taggedReader{r}, maxUnpacked-start+1))
	if cut, ok := errors.AsType[*readError](err); ok {
		return broken(cut.err)
	}
	if err != nil {
		return disk("pack", err)
	}
	if x.end += n; x.end > maxUnpacked {
		return tooLarge()
	}
	e.size = n
	e.open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(x.spool, start, n)), nil }
	return nil
}

// taggedReader marks its errors, so that a copy tells a broken archive from a full disk.
type taggedReader struct{ r io.Reader }

type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

func (t *taggedReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err}
	}
	return n, err
}

// linked is the file that a hard link names again.
func (x *index) linked(name, to string) (entry, error) {
	target, err := cleanName(to)
	if err != nil {
		return entry{}, err
	}
	i, ok := x.known[target]
	if !ok || x.entries[i].kind == kindDir {
		return entry{}, refuse(name, "is a hard link to "+to+", which is no file before it", "")
	}
	return x.entries[i], nil
}

// addParents adds the directories that the archive only implies.
func (x *index) addParents() error {
	for i := 0; i < len(x.entries); i++ { // grows while it runs
		p := parent(x.entries[i].name)
		if p == "" {
			continue
		}
		at, ok := x.known[p]
		if ok && x.entries[at].kind != kindDir {
			return refuse(p, "is a directory and something else at once", "")
		}
		if ok {
			continue
		}
		if err := x.enter(entry{name: p, kind: kindDir}); err != nil {
			return err
		}
	}
	return nil
}

func cleanName(name string) (string, error) {
	const hint = "archive paths have to be relative and below the top: tar -C DIR -cf FILE ."
	if path.IsAbs(name) {
		return "", refuse(name, "is an absolute path", hint)
	}
	if strings.ContainsRune(name, 0) {
		return "", refuse(fmt.Sprintf("%q", name), "is not a file name", hint)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", refuse(name, `has a ".."`, hint)
		}
	}
	return path.Clean(name), nil
}

func tooLarge() error {
	return &semper.Error{Code: semper.Invalid, Op: "artifact pack", Message: fmt.Sprintf("the archive unpacks to more than %d GiB", maxUnpacked>>30)}
}

// broken is the error for an archive that cannot be read to its end.
func broken(err error) error {
	if _, ok := errors.AsType[*semper.Error](err); ok {
		return err
	}
	e := &semper.Error{Code: semper.Invalid, Op: "artifact pack", Message: "the archive is not a whole tar or tar.gz", Err: err}
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		e.Message, e.Err = "the archive is empty", nil
	}
	return e
}
