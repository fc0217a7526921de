package renew

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"semper"
)

// versionWithin is how long a new binary may take to say its version.
const versionWithin = 20 * time.Second

// Copy puts a copy of the binary in dir, named by its digest, and returns its path. It is on disk for
// good then.
func Copy(binary, dir string) (path string, err error) {
	in, err := os.Open(binary)
	if err != nil {
		return "", &semper.Error{Code: semper.Invalid, Op: "upgrade", Err: err, Hint: "give the path of a semper binary on this machine"}
	}
	defer in.Close() //nolint:errcheck // only read
	out, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return "", &semper.Error{Code: codeOf(err), Op: "upgrade", Err: err}
	}
	defer os.Remove(out.Name()) //nolint:errcheck // gone already when all went well
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, sum), in)
	path = filepath.Join(dir, hex.EncodeToString(sum.Sum(nil)))
	if err = errors.Join(err, out.Chmod(0o755), out.Sync(), out.Close()); err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		return "", &semper.Error{Code: codeOf(err), Op: "upgrade", Err: err}
	}
	return path, nil
}

// Sweep removes the copies in dir that are not in use. What cannot be removed now is the next time.
func Sweep(dir string, used map[string]bool) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); !used[path] {
			_ = os.Remove(path)
		}
	}
}

// Version runs the binary to see that it runs at all.
func Version(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil {
		return "", &semper.Error{
			Code: semper.Invalid, Op: "upgrade", Message: "the binary does not run: " + first, Err: err,
			Hint: "give one that was built for this machine",
		}
	}
	return first, nil
}

// BuildOf tells binaries apart: the id the linker wrote into it, else its size and age.
func BuildOf(path string) string {
	f, err := elf.Open(path)
	if err == nil {
		defer f.Close() //nolint:errcheck // only read
		if note := f.Section(".note.go.buildid"); note != nil {
			if b, err := note.Data(); err == nil && len(b) > 16 {
				return string(bytes.Trim(b[16:], "\x00"))
			}
		}
		if note := f.Section(".note.gnu.build-id"); note != nil {
			if b, err := note.Data(); err == nil && len(b) > 16 {
				return hex.EncodeToString(b[16:])
			}
		}
	}
	if st, err := os.Stat(path); err == nil {
		return fmt.Sprintf("%d@%d", st.Size(), st.ModTime().UnixNano())
	}
	return "unknown"
}

func codeOf(err error) semper.Code {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return semper.NoSpace
	}
	return semper.Internal
}
