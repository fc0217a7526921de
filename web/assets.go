package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"time"
)

//go:embed static page
var files embed.FS

// assets are the style sheet, the script and the icon. Their addresses carry version, so a browser
// may keep them for ever and still gets the new ones with a new semper.
type assets struct {
	version string
	content map[string][]byte
}

// loadAssets reads what is linked into the binary. A panic here is a broken build, not an input.
func loadAssets() *assets {
	a := &assets{content: map[string][]byte{}}
	all := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		_, _ = all.Write(b) // a hash never fails
		if name, ok := bytes.CutPrefix([]byte(path), []byte("static/")); ok {
			a.content[string(name)] = b
		}
		return nil
	})
	if err != nil {
		panic("web: embedded files do not read: " + err.Error())
	}
	a.version = hex.EncodeToString(all.Sum(nil))[:12]
	return a
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	b, ok := a.content[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.FormValue("v") == a.version {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}

func (a *assets) icon(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "icon.svg", time.Time{}, bytes.NewReader(a.content["icon.svg"]))
}
