package blob_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"semper"
	"semper/store/blob"
)

// tarOf makes a tar; every header gets defaults that a real archive would have.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := h.Gname // of a file, for want of a better place
		h.Gname = ""
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode |= 0o640
			h.Uid, h.Uname = 1000, "somebody"
		}
		must(t, w.WriteHeader(&h))
		_, err := io.WriteString(w, content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Gname: content}
}

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(b)
	must(t, errors.Join(err, w.Close()))
	return z.Bytes()
}

func TestTarIsItsDirectory(t *testing.T) {
	t.Parallel()
	want, canon := pack(t, tree(t, map[string]string{"a/file": "1", "a/run": "#!x", "a/link": "->file", "b": "1", "a/e/": ""}))
	entries := []tar.Header{
		{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "commit"}},
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700},
		{Typeflag: tar.TypeReg, Name: "./a/run", Mode: 0o711, Gname: "#!x"},
		{Typeflag: tar.TypeSymlink, Name: "a/link", Linkname: "file"},
		file("a/file", "1"),
		{Typeflag: tar.TypeLink, Name: "b", Linkname: "./a/file"},
		{Typeflag: tar.TypeDir, Name: "a/e", Mode: 0o777},
	}
	raw := tarOf(t, entries...)
	entries[2], entries[6] = entries[6], entries[2]
	for name, b := range map[string][]byte{"tar": raw, "tar.gz": zipped(t, raw), "another order": tarOf(t, entries...), "itself": canon, "padded": append(bytes.Clone(canon), make([]byte, 8192)...)} {
		var out bytes.Buffer
		d, n, err := blob.PackTar(&out, bytes.NewReader(b))
		must(t, err)
		if d != want || n != int64(len(canon)) || !bytes.Equal(out.Bytes(), canon) {
			t.Errorf("%s: %s (%d bytes), not %s (%d)", name, d, n, want, len(canon))
		}
	}
}

func TestTarOfTheSystemIsItsDirectory(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("no tar here")
	}
	files := sample()
	files[strings.Repeat("long/", 60)+"name"] = "4"
	files["ünï/cödé"] = "5"
	dir := tree(t, files)
	must(t, os.Link(filepath.Join(dir, "app.py"), filepath.Join(dir, "zz-hard")))
	want, _ := pack(t, dir)
	for _, args := range [][]string{{"-cf", "-", "."}, {"-czf", "-", "."}, {"--format=pax", "-cf", "-", "."}, {"--format=gnu", "--sort=name", "-cf", "-", "."}} {
		out, err := exec.Command("tar", append([]string{"-C", dir}, args...)...).Output()
		if err != nil {
			t.Logf("tar %v: %v", args, err) // another tar than GNU's
			continue
		}
		d, _, err := blob.PackTar(io.Discard, bytes.NewReader(out))
		if d != want || err != nil {
			t.Errorf("tar %v: %s, %v, want %s", args, d, err, want)
		}
	}
}

func TestPackTarRefuses(t *testing.T) {
	t.Parallel()
	good := tarOf(t, file("a", strings.Repeat("x", 4000)), file("b", "y"))
	dir := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
	link := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to}
	}
	hard := func(name, to string) tar.Header {
		return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
	}
	for name, c := range map[string]struct {
		tar   []byte
		words string
	}{
		"up":                   {tarOf(t, file("../evil", "")), "../evil has a"},
		"up inside":            {tarOf(t, file("a/../../evil", "")), "has a"},
		"up and back":          {tarOf(t, file("a/../b", "")), "has a"},
		"absolute":             {tarOf(t, file("/etc/passwd", "")), "/etc/passwd is an absolute path"},
		"absolute link":        {tarOf(t, link("a", "/etc")), "absolute"},
		"link out":             {tarOf(t, link("a/b", "../..")), "links out"},
		"through a link":       {tarOf(t, link("a", "b"), file("a/x", "")), "a is a directory and something else"},
		"through a link later": {tarOf(t, file("a/x", ""), link("a", "b")), "a is a directory and something else"},
		"link to nothing":      {tarOf(t, link("a", "")), "a is a link to nothing"},
		"below a file":         {tarOf(t, file("a", ""), file("a/b", "")), "a is a directory and something else"},
		"file twice":           {tarOf(t, file("a", "1"), file("a", "2")), "a stands twice"},
		"file twice in words":  {tarOf(t, file("a", "1"), file("./a", "1")), "a stands twice"},
		"directory and file":   {tarOf(t, dir("a/"), file("a", "1")), "a stands twice"},
		"directory twice":      {tarOf(t, dir("a/"), dir("a")), "a stands twice"},
		"device":               {tarOf(t, tar.Header{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}), "null is neither"},
		"pipe":                 {tarOf(t, tar.Header{Typeflag: tar.TypeFifo, Name: "p"}), "p is neither"},
		"hard link out":        {tarOf(t, hard("a", "../etc/shadow")), "has a"},
		"hard link absolute":   {tarOf(t, hard("a", "/etc/shadow")), "absolute"},
		"hard link to nothing": {tarOf(t, hard("a", "b")), "no file before it"},
		"hard link to a dir":   {tarOf(t, dir("d/"), hard("a", "d")), "no file before it"},
		"the top as a file":    {tarOf(t, file(".", "x")), "not a directory"},
		"nothing":              {nil, "empty"},
		"garbage":              {bytes.Repeat([]byte("garbage "), 1000), "not a whole tar"},
		"short garbage":        {[]byte("x"), "empty"},
		"cut":                  {good[:3000], "not a whole tar"},
		"cut header":           {good[:700], "not a whole tar"},
		"cut gzip":             {zipped(t, good)[:60], "not a whole tar"},
		"gzip without its end": {zipped(t, good)[:len(zipped(t, good))-4], "not a whole tar"},
		"gzip of garbage":      {zipped(t, []byte(strings.Repeat("g", 2000))), "not a whole tar"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := blob.PackTar(io.Discard, bytes.NewReader(c.tar))
			if err == nil {
				t.Fatal("was packed")
			}
			wantCode(t, err, semper.Invalid, c.words)
		})
	}
}

// Whatever bytes come, PackTar refuses them or gives an artifact: one that is its own canonical form, that
// unpacks, and that puts nothing outside of its tree.
func FuzzPackTar(f *testing.F) {
	f.Add(tarOf(f, file("a", "1"), tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "a"}))
	f.Add(tarOf(f, file("d/a", "1"), tar.Header{Typeflag: tar.TypeLink, Name: "b", Linkname: "d/a"}, tar.Header{Typeflag: tar.TypeDir, Name: "e/"}))
	f.Add(zipped(f, tarOf(f, file("../a", "1"))))
	f.Add(tarOf(f, file(strings.Repeat("long/", 60)+"ä", "1")))
	f.Add([]byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, in []byte) {
		var out, again bytes.Buffer
		d, n, err := blob.PackTar(&out, bytes.NewReader(in))
		if err != nil {
			if semper.CodeOf(err) != semper.Invalid {
				t.Fatalf("refused with %v (%s)", err, semper.CodeOf(err))
			}
			return
		}
		if n != int64(out.Len()) || semper.DigestOf(out.Bytes()) != d {
			t.Fatal("digest or length are not those of the output")
		}
		if same, _, err := blob.PackTar(&again, bytes.NewReader(out.Bytes())); same != d || err != nil {
			t.Fatalf("its output packs to %s, %v, not %s", same, err, d)
		}
		s := open(t)
		must(t, s.Put(t.Context(), d, bytes.NewReader(out.Bytes())))
		dir, err := s.Unpack(t.Context(), d)
		if err != nil { // a name may be longer than this file system takes
			return
		}
		if same, _ := pack(t, dir); same != d {
			t.Fatalf("the tree packs to %s, not %s", same, d)
		}
	})
}
