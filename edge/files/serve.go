package files

import (
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// serve answers with the file f, or with a compressed sibling.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, name string, f *os.File, info fs.FileInfo) {
	header := w.Header()
	header.Set("Content-Type", typeOf(name))
	header.Set("Cache-Control", h.cacheControl(name))
	if !h.options.Uncompressed {
		best, others := h.sibling(name, r.Header.Values("Accept-Encoding"))
		if others {
			header.Add("Vary", "Accept-Encoding")
		}
		if best.file != nil {
			defer best.file.Close()
			header.Set("Content-Encoding", best.coding)
			name, f, info = name+best.suffix, best.file, best.info
		}
	}
	if tag, err := h.tags.of(name, f, info); err == nil {
		header.Set("ETag", tag)
	} // else the file cannot be read, which sending it will tell
	if header.Get("Content-Encoding") != "" && r.Header.Get("If-Match") == "" && r.Header.Get("If-Unmodified-Since") == "" {
		// ServeContent leaves the length of what is encoded to others. A 412, which keeps this one, cannot come now.
		header.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	}
	changed := info.ModTime()
	if h.options.Within != "" {
		changed = time.Time{} // of an artifact it tells when that was unpacked: a release that is gone back to would be the older one
	}
	http.ServeContent(w, r, name, changed, f)
}

// cacheControl is how long a file may be kept.
func (h *Handler) cacheControl(name string) string {
	switch {
	case isHTML(name):
		return "no-cache"
	case h.immutable.MatchString("/" + name):
		return "public, max-age=31536000, immutable"
	}
	return h.maxAge
}

func isHTML(name string) bool {
	ext := path.Ext(name)
	return ext == ".html" || ext == ".htm" || ext == ".xhtml"
}

// A variant is a compressed sibling.
type variant struct {
	coding, suffix string
	file           *os.File
	info           fs.FileInfo
}

// sibling is the variant to send, which has no file if there is none that the client accepts, and whether there are any.
// Where a client does not care, the smallest as a rule comes first.
func (h *Handler) sibling(name string, accept []string) (best variant, others bool) {
	var weight float64
	for _, v := range [...]variant{{coding: "br", suffix: ".br"}, {coding: "zstd", suffix: ".zst"}, {coding: "gzip", suffix: ".gz"}} {
		if strings.HasSuffix(name, v.suffix) {
			return variant{}, false // it is asked for as it is
		}
		info, err := h.root.Stat(name + v.suffix)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		others = true
		q := acceptance(accept, v.coding)
		if q <= weight {
			continue
		}
		f, info, err := h.open(name + v.suffix)
		if err != nil {
			continue
		}
		if best.file != nil {
			best.file.Close()
		}
		v.file, v.info = f, info
		best, weight = v, q
	}
	if best.file != nil && acceptance(accept, "identity") > weight {
		best.file.Close()
		best = variant{}
	}
	return best, others
}

// typeOf is the media type by the suffix of a name. Those of the web do not depend on what this machine has installed.
func typeOf(name string) string {
	ext := strings.ToLower(path.Ext(name))
	switch ext {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".txt", ".md":
		return "text/plain; charset=utf-8"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".xml":
		return "text/xml; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".svg":
		return "image/svg+xml"
	case ".wasm":
		return "application/wasm"
	case ".woff":
		return "font/woff"
	case ".woff2":
		return "font/woff2"
	case ".ico":
		return "image/x-icon"
	case ".avif":
		return "image/avif"
	case ".webp":
		return "image/webp"
	case ".mp4":
		return "video/mp4"
	case ".webm":
		return "video/webm"
	case ".gz":
		return "application/gzip"
	case ".zst":
		return "application/zstd"
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}
