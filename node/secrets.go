package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"semper"
	"semper/control/delivery"
	"semper/edge/certs/sealed"
	"semper/pipeline/attest"
)

// secrets are files DIR/<app>/<name>/<version>, mode 0600, that only the keeper reads again, and control those it signs webhooks with.
type secrets string

var secretName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$`) })

// Set stores a new version.
func (s secrets) Set(app, name string, value []byte) (int, error) {
	for _, n := range []string{app, name} {
		if !secretName().MatchString(n) {
			return 0, &semper.Error{Code: semper.Invalid, Op: "secret set", Message: fmt.Sprintf("%q is not a name: letters, digits, - _ and . only", n)}
		}
	}
	dir := filepath.Join(string(s), app, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("secret set: %w", err)
	}
	for {
		n, err := s.Newest(app, name)
		if err != nil {
			return 0, err
		}
		f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(n+1)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) {
			continue // another one was faster
		}
		if err != nil {
			return 0, fmt.Errorf("secret set: %w", err)
		}
		_, err = f.Write(value)
		if err := errors.Join(err, f.Sync(), f.Close(), syncDir(dir)); err != nil {
			return 0, fmt.Errorf("secret set: %w", err)
		}
		return n + 1, nil
	}
}

// Newest version, 0 when there is none.
func (s secrets) Newest(app, name string) (int, error) {
	if !secretName().MatchString(app) || !secretName().MatchString(name) {
		return 0, nil
	}
	entries, err := os.ReadDir(filepath.Join(string(s), app, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("secrets: %w", err)
	}
	newest := 0
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			newest = max(newest, n)
		}
	}
	return newest, nil
}

// Get is the newest value of a secret.
func (s secrets) Get(app, name string) ([]byte, error) {
	n, err := s.Newest(app, name)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, &semper.Error{Code: semper.NotFound, Op: "secret", Message: fmt.Sprintf("%s has no secret %q", app, name), Hint: fmt.Sprintf("semper secret set %s --app %s", name, app)}
	}
	b, err := os.ReadFile(filepath.Join(string(s), app, name, strconv.Itoa(n)))
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", name, err)
	}
	return b, nil
}

// List is "name@version" of each secret.
func (s secrets) List(app string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(string(s), filepath.Base(app)))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("secrets: %w", err)
	}
	out := []string{}
	for _, e := range entries {
		n, err := s.Newest(app, e.Name())
		if err != nil {
			return nil, err
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%s@%d", e.Name(), n))
		}
	}
	slices.Sort(out)
	return out, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// apiToken is the token TCP callers of the API must show: made once, kept in a file of mode 0600.
func apiToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(b))) >= 32 {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("api token: %w", err)
	}
	token := "smp_" + rand.Text() + rand.Text()
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(tmp, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("api token: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return "", fmt.Errorf("api token: %w", err)
	}
	return token, nil
}

// signingKeys are what statements are signed with: derived from the identity of the installation, so that none lies anywhere in the clear, and each is
// there again with the identity.
func signingKeys(identity string) (delivery.Keys, error) {
	id, err := sealed.Identity(identity)
	if err != nil {
		return nil, err
	}
	return func(generation int) (*attest.Key, error) {
		use := "statements about releases"
		if generation > 1 {
			use += ", generation " + strconv.Itoa(generation)
		}
		seed, err := sealed.Key(id, use)
		if err != nil {
			return nil, err
		}
		return attest.KeyOf(seed), nil
	}, nil
}
