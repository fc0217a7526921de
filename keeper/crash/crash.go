package crash

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"semper"
	"semper/keeper/journal"
)

// Max is how many unacknowledged reports are kept; a newer one then replaces the oldest. A crash loop
// while nobody fetches reports must not fill the disk.
const Max = 500

// A Store is the reports in one directory. It is safe for concurrent use.
type Store struct {
	dir string

	mu  sync.Mutex // guards the following
	seq int        // number of the newest report ever made
	ids []int      // numbers of the reports there are, ascending
}

// Open is the store in dir, which exists.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir}
	if err := journal.ReadJSON(s.seqFile(), &s.seq); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.seq = 0 // the reports there are tell it nearly as well
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("crash reports: %w", err)
	}
	for _, e := range entries {
		if n, ok := number(strings.TrimSuffix(e.Name(), ".json")); ok {
			s.ids = append(s.ids, n)
		}
	}
	slices.Sort(s.ids)
	if len(s.ids) > 0 {
		s.seq = max(s.seq, s.ids[len(s.ids)-1])
	}
	return s, nil
}

// Add numbers r ("c-17") and keeps it; it is on disk for good when Add returns.
func (s *Store) Add(r semper.CrashReport) (semper.CrashReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	r.ID = "c-" + strconv.Itoa(s.seq)
	if err := journal.WriteJSON(s.seqFile(), s.seq, false); err != nil {
		return r, fmt.Errorf("crash report: %w", err)
	}
	if err := journal.WriteJSON(s.path(s.seq), r, true); err != nil {
		return r, fmt.Errorf("crash report: %w", err)
	}
	s.ids = append(s.ids, s.seq)
	for len(s.ids) > Max {
		if err := s.dropLocked(s.ids[0]); err != nil {
			return r, err
		}
	}
	return r, nil
}

// List is every report not yet acknowledged, oldest first. A file that cannot be read is left out.
func (s *Store) List() ([]semper.CrashReport, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reports := make([]semper.CrashReport, 0, len(s.ids))
	var broken error
	for _, n := range s.ids {
		var r semper.CrashReport
		if err := journal.ReadJSON(s.path(n), &r); err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		reports = append(reports, r)
	}
	slices.SortStableFunc(reports, func(a, b semper.CrashReport) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	if len(reports) > 0 {
		broken = nil
	}
	return reports, broken
}

// Ack drops the reports named. Unknown ids are ignored.
func (s *Store) Ack(ids []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs error
	for _, id := range ids {
		if n, ok := number(id); ok && slices.Contains(s.ids, n) {
			errs = errors.Join(errs, s.dropLocked(n))
		}
	}
	return errs
}

func (s *Store) dropLocked(n int) error {
	s.ids = slices.DeleteFunc(s.ids, func(have int) bool { return have == n })
	if err := os.Remove(s.path(n)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("crash report: %w", err)
	}
	return nil
}

func (s *Store) path(n int) string { return filepath.Join(s.dir, "c-"+strconv.Itoa(n)+".json") }

func (s *Store) seqFile() string { return filepath.Join(s.dir, "newest") }

func number(id string) (int, bool) {
	digits, ok := strings.CutPrefix(id, "c-")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0
}
