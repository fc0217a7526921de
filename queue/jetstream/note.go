package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"semper"
)

// note is what is remembered of the stream outside of it, so that its loss is seen: JetStream itself goes on after one
// without a word.
type note struct {
	Stream   string `json:"stream"`
	ID       string `json:"id"`       // of the stream; empty: it was not made by semper
	Sequence uint64 `json:"sequence"` // it has had
}

const noteName = "jetstream.json"

// readNote gives the note in dir of the stream of that name; a zero one when there is none.
func readNote(dir, stream string) (n note, err error) {
	if dir == "" {
		return n, nil
	}
	name := filepath.Join(dir, noteName)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &n)
	}
	if err != nil {
		return note{}, &semper.Error{Code: semper.Tampered, Op: "queue", Message: name + " cannot be read", Err: err, Hint: "remove it, if nothing of the stream can be lost"}
	}
	if n.Stream != stream {
		return note{}, nil
	}
	return n, nil
}

// write puts the note into dir, unless the one there says more. Whoever is killed meanwhile leaves the old one.
func (n note) write(dir string) error {
	if dir == "" {
		return nil
	}
	if old, err := readNote(dir, n.Stream); err == nil && old.ID == n.ID && old.Sequence >= n.Sequence {
		return nil
	}
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, noteName+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, noteName))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it is of no use
	}
	return err
}

// check is nil when the stream with an id may be the one of the note.
func (n note) check(id string) error {
	if n.Sequence > 0 && n.ID != id {
		return n.gone("another of this name stands in its place")
	}
	return nil
}

func (n note) gone(what string) error {
	return &semper.Error{Code: semper.Tampered, Op: "queue", Message: fmt.Sprintf("the stream %s, which had %d messages, is not there: %s", n.Stream, n.Sequence, what),
		Hint: "restore it from its backup (nats stream restore); or, to go on without the jobs in it, remove DATA/queue/" + noteName}
}
