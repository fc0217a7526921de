package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const extension = ".json"

// A Journal is the records below one directory and the goroutine that writes them. Its methods are
// safe for concurrent use.
type Journal struct {
	dir  string
	name func(string) string
	log  *slog.Logger
	done chan struct{} // closed when the writer has ended

	mu     sync.Mutex // guards the following
	more   *sync.Cond
	queue  []func()
	closed bool
}

// Open is the journal in dir; name turns a record's name into a file name. The caller closes it.
func Open(dir string, name func(string) string, log *slog.Logger) *Journal {
	j := &Journal{dir: dir, name: name, log: log, done: make(chan struct{})}
	j.more = sync.NewCond(&j.mu)
	go j.write()
	return j
}

// Load reads every record, in the order of names. A file that cannot be read is moved aside and
// logged: one broken record must not keep the others from running.
func (j *Journal) Load() ([]Record, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var records []Record
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), extension) {
			continue
		}
		path := filepath.Join(j.dir, e.Name())
		var r Record
		err := ReadJSON(path, &r)
		if err == nil && (r.Name == "" || (r.Instance == nil) == (r.Part == nil)) {
			err = errors.New("it is neither an instance nor a part")
		}
		if err != nil {
			j.log.Error("journal record set aside", "file", path, "error", err)
			if err := os.Rename(path, path+".broken"); err != nil {
				return nil, fmt.Errorf("journal: %w", err)
			}
			continue
		}
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(a.Name, b.Name) })
	return records, nil
}

// Put writes r after everything asked for before, without waiting and without fsync.
func (j *Journal) Put(r Record) {
	j.Do(func() {
		if err := WriteJSON(j.path(r.Name), r, false); err != nil {
			j.log.Error("journal record not written", "name", r.Name, "error", err)
		}
	})
}

// PutSync writes r and returns when it is on disk for good.
func (j *Journal) PutSync(r Record) error {
	var err error
	j.wait(func() { err = WriteJSON(j.path(r.Name), r, true) })
	return err
}

// Remove drops the record of name, after everything asked for before, and waits for it.
func (j *Journal) Remove(name string) error {
	var err error
	j.wait(func() {
		if err = os.Remove(j.path(name)); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
	})
	return err
}

// Do has the writer do f in its turn. After Close it is done at once.
func (j *Journal) Do(f func()) {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		<-j.done
		f()
		return
	}
	j.queue = append(j.queue, f)
	j.more.Signal()
	j.mu.Unlock()
}

// Flush returns when everything asked for before is written.
func (j *Journal) Flush() { j.wait(func() {}) }

// Close writes what is left and ends the writer.
func (j *Journal) Close() {
	j.mu.Lock()
	j.closed = true
	j.more.Signal()
	j.mu.Unlock()
	<-j.done
}

func (j *Journal) wait(f func()) {
	done := make(chan struct{})
	j.Do(func() { f(); close(done) })
	<-done
}

func (j *Journal) write() {
	defer close(j.done)
	for {
		j.mu.Lock()
		for len(j.queue) == 0 && !j.closed {
			j.more.Wait()
		}
		batch := j.queue
		j.queue = nil
		j.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, f := range batch {
			f()
		}
	}
}

func (j *Journal) path(name string) string { return filepath.Join(j.dir, j.name(name)+extension) }

// ReadJSON reads the file at path into v.
func ReadJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// WriteJSON replaces the file at path by v, whole or not at all. With sync it is on disk for good
// when WriteJSON returns.
func WriteJSON(path string, v any, sync bool) (err error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // err says what matters
		}
	}()
	_, err = f.Write(append(b, '\n'))
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil && sync {
		err = syncDir(dir)
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
