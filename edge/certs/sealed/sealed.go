// Package sealed encrypts what edges share, with age: whoever reads the store, its backups or its disks has no private key by that.
package sealed

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"

	"semper/edge/certs"
)

// Key is a secret of identity for one use, which tells neither the identity nor the key of another use.
func Key(identity *age.X25519Identity, use string) (key [32]byte, err error) {
	b, err := hkdf.Key(sha256.New, []byte(identity.String()), nil, use, len(key))
	if err != nil {
		return key, fmt.Errorf("derive a key for %s: %w", use, err)
	}
	return [32]byte(b), nil
}

// Storage is s with every value encrypted to identity. The names of the keys are not, and a value is good only under its own:
// who can write to s cannot give one name's certificate for another's.
func Storage(s certs.Storage, identity *age.X25519Identity) certs.Storage {
	return &sealed{Storage: s, identity: identity}
}

type sealed struct {
	certs.Storage
	identity *age.X25519Identity
}

// ErrSealed means that a value was not encrypted to this identity, or under another key, or was changed.
var ErrSealed = errors.New("it does not open with the identity of this machine: bring back the file `identity` that the values were written with")

func (s *sealed) Load(ctx context.Context, key string) ([]byte, error) {
	text, err := s.Storage.Load(ctx, key)
	if err != nil {
		return nil, err
	}
	r, err := age.Decrypt(bytes.NewReader(text), s.identity)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, ErrSealed)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, ErrSealed)
	}
	value, ok := bytes.CutPrefix(plain, []byte(key+"\n"))
	if !ok {
		return nil, fmt.Errorf("%s: %w", key, ErrSealed)
	}
	return value, nil
}

func (s *sealed) Store(ctx context.Context, key string, value []byte, under ...certs.Lease) error {
	var text bytes.Buffer
	w, err := age.Encrypt(&text, s.identity.Recipient())
	if err != nil {
		return fmt.Errorf("encrypt %s: %w", key, err)
	}
	_, err = w.Write(append([]byte(key+"\n"), value...))
	if err = errors.Join(err, w.Close()); err != nil {
		return fmt.Errorf("encrypt %s: %w", key, err)
	}
	return s.Storage.Store(ctx, key, text.Bytes(), under...)
}

// Place is where what is encrypted to identity belongs, a short name: what one identity cannot open is not in its way, and is there
// again when the other one is.
func Place(identity *age.X25519Identity) string {
	sum := sha256.Sum256([]byte(identity.Recipient().String()))
	return hex.EncodeToString(sum[:8])
}

// Identity is the identity in a file, as age-keygen writes it. It is made, for its owner alone, when there is none; of those
// who do that at the same time all get the same.
func Identity(file string) (*age.X25519Identity, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeIdentity(file); err != nil {
			return nil, fmt.Errorf("identity for what is encrypted: %w", err)
		}
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("identity for what is encrypted: %w", err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil || len(ids) != 1 {
		return nil, fmt.Errorf("%s: not one identity of age: bring back the file, or make another by age-keygen and lose what was encrypted", file)
	}
	id, ok := ids[0].(*age.X25519Identity)
	if !ok {
		return nil, fmt.Errorf("%s: not an X25519 identity, which begins with AGE-SECRET-KEY-1", file)
	}
	return id, nil
}

// makeIdentity writes beside the file, and links: the first one wins.
func makeIdentity(file string) error {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".identity-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it has its name by then, or is of no use
	_, err = fmt.Fprintf(tmp, "# what semper encrypts on this machine opens with this: keep a copy elsewhere\n# public key: %s\n%s\n", id.Recipient(), id)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
