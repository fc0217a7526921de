package files

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options say what is served and how. Only Dir is needed.
type Options struct {
	Within       string        // if set, what Dir is relative to: no link on the way to Dir leads out of it
	Dir          string        // the directory
	Index        []string      // answer for a directory, the first that exists; none: index.html
	Fallback     string        // answers for what is no file and has no suffix; "": nothing does
	Immutable    string        // pattern (RE2) of the paths that never change; "": names with a fingerprint
	MaxAge       time.Duration // for what is neither immutable nor HTML
	Uncompressed bool          // do not look for compressed siblings
}

// fingerprint is a name with at least eight hexadecimal digits between separators before its suffix: app.3f9a02bc.js,
// app-3f9a02bc.css.
const fingerprint = `[.-][0-9a-f]{8,}\.[^/]*$`

// A Handler serves one directory. Any number of goroutines may use it.
type Handler struct {
	root      *os.Root
	options   Options
	immutable *regexp.Regexp
	maxAge    string
	tags      tags
}

// New opens the directory. The handler holds it, even if it is renamed or replaced: a new one needs a new handler.
func New(o Options) (*Handler, error) {
	if len(o.Index) == 0 {
		o.Index = []string{"index.html"}
	}
	if o.Immutable == "" {
		o.Immutable = fingerprint
	}
	pattern, err := regexp.Compile(o.Immutable)
	if err != nil {
		return nil, fmt.Errorf("the pattern of immutable files: %w", err)
	}
	for _, name := range append([]string{o.Fallback}, o.Index...) {
		if name != "" && (!fs.ValidPath(name) || hidden(name)) {
			return nil, fmt.Errorf("%q is not a file that could be served: name one below the directory, without dots in front", name)
		}
	}
	root, err := open(o.Within, o.Dir)
	if err != nil {
		return nil, fmt.Errorf("the directory of files: %w", err)
	}
	h := &Handler{root: root, options: o, immutable: pattern, maxAge: "no-cache"}
	if seconds := int64(o.MaxAge / time.Second); seconds > 0 {
		h.maxAge = "public, max-age=" + strconv.FormatInt(seconds, 10)
	}
	return h, nil
}

func open(within, dir string) (*os.Root, error) {
	if within == "" {
		return os.OpenRoot(dir)
	}
	top, err := os.OpenRoot(within)
	if err != nil {
		return nil, err
	}
	defer top.Close() //nolint:errcheck // nothing was written
	return top.OpenRoot(dir)
}

// Close closes the directory. What is being sent is sent to its end.
func (h *Handler) Close() error { return h.root.Close() }

// ServeHTTP answers with the file that r.URL.Path names.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, r, http.StatusMethodNotAllowed)
		return
	}
	name, ok := nameOf(r.URL.Path)
	if !ok {
		refuse(w, r, http.StatusNotFound)
		return
	}
	h.find(w, r, name)
}

// find serves the file name, or what stands for it.
func (h *Handler) find(w http.ResponseWriter, r *http.Request, name string) {
	f, info, err := h.open(name)
	if f != nil {
		defer f.Close()
	}
	asDir := strings.HasSuffix(r.URL.Path, "/")
	switch {
	case err == nil && info.IsDir() && asDir:
		h.index(w, r, name)
	case err == nil && info.IsDir():
		h.toDir(w, r, name)
	case err == nil && info.Mode().IsRegular() && !asDir:
		h.serve(w, r, name, f, info)
	case err == nil || missing(err):
		h.fallback(w, r, name)
	default:
		refuse(w, r, statusOf(err))
	}
}

// index answers for a directory.
func (h *Handler) index(w http.ResponseWriter, r *http.Request, dir string) {
	for _, name := range h.options.Index {
		if h.file(w, r, path.Join(dir, name)) {
			return
		}
	}
	h.fallback(w, r, dir)
}

// toDir sends a client to the directory with its slash, where links of its index lead right; only if it has an index.
func (h *Handler) toDir(w http.ResponseWriter, r *http.Request, dir string) {
	for _, name := range h.options.Index {
		if info, err := h.root.Stat(path.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			// Relative, since the path may have been rewritten on its way here; "./" keeps a colon from making a scheme.
			to := "./" + (&url.URL{Path: path.Base(dir) + "/"}).EscapedPath()
			if r.URL.RawQuery != "" {
				to += "?" + r.URL.RawQuery
			}
			w.Header().Set("Location", to)
			refuse(w, r, http.StatusMovedPermanently)
			return
		}
	}
	h.fallback(w, r, dir)
}

// fallback answers for what is not there.
func (h *Handler) fallback(w http.ResponseWriter, r *http.Request, name string) {
	if h.options.Fallback != "" && (name == "." || path.Ext(name) == "") && h.file(w, r, h.options.Fallback) {
		return
	}
	refuse(w, r, http.StatusNotFound)
}

// file serves a regular file; false: there is none that can be.
func (h *Handler) file(w http.ResponseWriter, r *http.Request, name string) bool {
	f, info, err := h.open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	if !info.Mode().IsRegular() {
		return false
	}
	h.serve(w, r, name, f, info)
	return true
}

// open opens without waiting, as a pipe would make it.
func (h *Handler) open(name string) (*os.File, fs.FileInfo, error) {
	f, err := h.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// nameOf is the file that a path asks for. A path that is not canonical names none: that it was is the business of
// whoever matched it.
func nameOf(urlPath string) (name string, ok bool) {
	name = strings.TrimPrefix(urlPath, "/")
	if name = strings.TrimSuffix(name, "/"); name == "" {
		return ".", urlPath == "/"
	}
	if !fs.ValidPath(name) || strings.ContainsAny(name, "\x00\\") || hidden(name) {
		return "", false
	}
	return name, true
}

// hidden reports whether a segment begins with a dot. /.well-known/ is public by its definition.
func hidden(name string) bool {
	name = strings.TrimPrefix(name, ".well-known/")
	return strings.HasPrefix(name, ".") || strings.Contains(name, "/.")
}

// missing reports whether an error says that there is no such file. A link that leads outside is as good as none.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.ELOOP) || escapes(err)
}

// escapes reports whether a link leads out of the root, for which package os has no error of its own to compare with.
func escapes(err error) bool {
	var number syscall.Errno
	return !errors.As(err, &number) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrClosed)
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return http.StatusForbidden
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, fs.ErrClosed):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// refuse answers with a status and a line that says it.
func refuse(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintln(w, http.StatusText(status))
	}
}
