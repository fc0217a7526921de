package blob

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"semper"
)

// maxEntries bounds what an artifact's index takes of memory.
const maxEntries = 1 << 20

type kind byte

const (
	kindFile  kind = 'f'
	kindDir   kind = 'd'
	kindLink  kind = 'l'
	kindOther kind = '?' // found on disk; never in an artifact
)

// entry is one path of an artifact with all that the canonical form keeps of it.
type entry struct {
	name   string // relative, clean, slash-separated
	kind   kind
	exec   bool   // of files
	size   int64  // of files
	target string // of links
	open   func() (io.ReadCloser, error)
	mode   fs.FileMode // as found on disk; no part of the canonical form
}

func byName(a, b entry) int { return strings.Compare(a.name, b.name) }

// canonical writes entries, which come in order, as the one tar they make.
type canonical struct {
	buf  *bufio.Writer
	tw   *tar.Writer
	sum  hash.Hash
	size int64
}

func newCanonical(w io.Writer) *canonical {
	c := &canonical{sum: sha256.New()}
	c.buf = bufio.NewWriterSize(io.MultiWriter(w, c.sum, (*counter)(&c.size)), 1<<17)
	c.tw = tar.NewWriter(c.buf)
	return c
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// add writes e with its bytes from r, which is not read for anything but a file.
func (c *canonical) add(e entry, r io.Reader) error {
	if err := c.tw.WriteHeader(header(e)); err != nil {
		return err
	}
	if e.kind != kindFile {
		return nil
	}
	n, err := io.Copy(c.tw, r)
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != e.size {
		return changed(e.name)
	}
	return err
}

func header(e entry) *tar.Header {
	h := &tar.Header{Name: e.name, ModTime: time.Unix(0, 0)}
	switch e.kind {
	case kindDir:
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, e.name+"/", 0o755
	case kindLink:
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, e.target, 0o777
	case kindFile:
		h.Typeflag, h.Size, h.Mode = tar.TypeReg, e.size, 0o644
		if e.exec {
			h.Mode = 0o755
		}
	}
	return h
}

// end writes the trailer and gives the digest and length of everything.
func (c *canonical) end() (semper.Digest, int64, error) {
	if err := c.tw.Close(); err != nil {
		return "", 0, err
	}
	if err := c.buf.Flush(); err != nil {
		return "", 0, err
	}
	return digest(c.sum), c.size, nil
}

// writeCanonical writes entries, in any order, in canonical form.
func writeCanonical(w io.Writer, entries []entry) (semper.Digest, int64, error) {
	slices.SortFunc(entries, byName)
	if err := checkLinks(entries); err != nil {
		return "", 0, err
	}
	c := newCanonical(w)
	for _, e := range entries {
		if err := c.addOpened(e); err != nil {
			return "", 0, disk("pack", err)
		}
	}
	d, n, err := c.end()
	return d, n, disk("pack", err)
}

func (c *canonical) addOpened(e entry) error {
	if e.kind != kindFile {
		return c.add(e, nil)
	}
	r, err := e.open()
	if err != nil {
		return err
	}
	return errors.Join(c.add(e, r), r.Close())
}

// checkLinks refuses every link that does not stay inside, also by way of other links. A link to
// nothing is allowed, and so is a ring of them: neither leads out.
func checkLinks(entries []entry) error {
	targets := map[string]string{}
	for _, e := range entries {
		if e.kind == kindLink {
			targets[e.name] = e.target
		}
	}
	for _, e := range entries {
		if e.kind != kindLink {
			continue
		}
		const hint = "point it at a path inside the artifact, relative to the link"
		switch {
		case e.target == "" || strings.ContainsRune(e.target, 0):
			return refuse(e.name, "is a link to nothing", hint)
		case path.IsAbs(e.target):
			return refuse(e.name, "links to the absolute path "+e.target, hint)
		case escapes(targets, e.name):
			return refuse(e.name, "links out of the artifact to "+e.target, hint)
		}
	}
	return nil
}

// escapes follows link as the kernel would, among targets instead of on a disk, and with its limit.
func escapes(targets map[string]string, link string) bool {
	const limit = 40
	at := parent(link)
	todo := strings.Split(targets[link], "/")
	for followed := 1; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if at == "" {
				return true
			}
			at = parent(at)
			continue
		}
		next := path.Join(at, part)
		target, ok := targets[next]
		if !ok {
			at = next
			continue
		}
		if followed++; followed > limit {
			return false
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return false
}

// parent is the directory of name, "" for the top.
func parent(name string) string {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)]
}
