package e2e_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A database is one that the ledger keeps its entries in.
type database interface {
	// open makes an empty one and says how the ledger reaches it.
	open(t *testing.T) (dsn string)
	// ask answers one statement with a row per line, its columns parted by "|". It is not the ledger's way in.
	ask(t *testing.T, statement string) []string
	// python is the interpreter that speaks to it.
	python() string
}

// TestMigrationsUnderLoad renames a column below an application that is read and written all the time, with hold: writes: once
// by a migration that fails when all is done, once by one that hangs in the middle, and then well. No request fails. What
// clients were told is compared with the database row by row.
func TestMigrationsUnderLoad(t *testing.T) {
	t.Parallel()
	migrations(t, &sqlite{})
}

// TestMigrationsOnPostgreSQL is TestMigrationsUnderLoad on a PostgreSQL of its own.
func TestMigrationsOnPostgreSQL(t *testing.T) {
	if os.Getenv("SEMPER_POSTGRES") == "" {
		t.Skip("starts a PostgreSQL: make migrations")
	}
	t.Parallel()
	migrations(t, &postgres{})
}

// ledger is a release of the ledger under test.
type ledger struct {
	t         *testing.T
	s         *server
	db        database
	dsn, gate string
}

// release is a directory to deploy: who writes the column, and how he comes to it.
func (l *ledger) release(column, migrate string) string {
	l.t.Helper()
	dir := l.t.TempDir()
	code, err := os.ReadFile(filepath.Join("testdata", "ledger", "ledger.py"))
	if err != nil {
		l.t.Fatal(err)
	}
	write(l.t, filepath.Join(dir, "ledger.py"), string(code), 0o644)
	write(l.t, filepath.Join(dir, "semper.yaml"), fmt.Sprintf(`version: 1
app: ledger
warm: 1m
drain: { request: 20s }
env: { DATABASE: %q, GATE: %q, COLUMN: %s }
services:
  web:
    type: web
    command: %s ledger.py serve
    instances: 2
    health: { path: /healthz, grace: 60s }
    stop: { timeout: 1s }
migrate:
  stop: { timeout: 1s }
%s
routes:
  - { path: /, to: web }
`, l.dsn, l.gate, column, l.db.python(), migrate), 0o644)
	return dir
}

// command is the migration that runs the ledger with these words.
func (l *ledger) command(words, hold, deadline string) string {
	return fmt.Sprintf("  command: %[1]s ledger.py %[2]s\n  hold: %[3]s\n  deadline: %[4]s\n  on_failure: %[1]s ledger.py undo",
		l.db.python(), words, hold, deadline)
}

func migrations(t *testing.T, db database) {
	l := &ledger{t: t, s: start(t), db: db, dsn: db.open(t), gate: open(t)}
	l.s.must("deploy", "-f", l.release("amount", l.command("create", "none", "60s")))
	load := l.s.book(t)

	l.atTheGate(load, l.release("cents", l.command("rename fail", "writes", "30s")), func(r result) {
		wants(t, r, 3, "amount is called cents", "the migration failed: exit code 1", "the books do not balance", "it was undone")
	})
	wants(t, l.s.cli("deploy", "-f", l.release("cents", l.command("rename hang", "writes", "8s"))), 3,
		"did not end within 8s", "it was undone")
	if st := l.s.status(); st.Release != "r1" {
		t.Errorf("after two that went wrong %s serves", st.Release)
	}
	load.goesOn()
	l.atTheGate(load, l.release("cents", l.command("rename", "writes", "30s")), func(r result) {
		wants(t, r, 0, "amount is called cents")
	})
	load.goesOn()
	told := load.end()

	if st := l.s.status(); st.Release != "r4" {
		t.Errorf("after the one that went well %s serves", st.Release)
	}
	l.compare(told)
}

// atTheGate deploys a release whose migration waits for the test after the rename. Until it goes on, reads are answered and
// nothing is written.
func (l *ledger) atTheGate(load *clients, dir string, check func(result)) {
	l.t.Helper()
	renamed, gate := filepath.Join(l.gate, "renamed"), filepath.Join(l.gate, "go")
	for _, f := range []string{renamed, gate} {
		_ = os.Remove(f)
	}
	ended := make(chan result, 1)
	go func() { ended <- l.s.cli("deploy", "-f", dir) }()
	var rows []byte
	eventually(l.t, "the column is renamed", func() (there bool) {
		var err error
		rows, err = os.ReadFile(renamed)
		return err == nil
	})
	if st := l.s.status(); st.Rollout.State != "migrate" {
		l.t.Errorf("status says %q while it migrates", st.Rollout.State)
	}
	load.readsGoOn()
	if now := l.db.ask(l.t, "SELECT count(*) FROM entry"); now[0] != string(rows) {
		l.t.Errorf("%s rows when it was renamed, and %s while writes were held", rows, now[0])
	}
	write(l.t, gate, "", 0o644)
	r := <-ended
	l.t.Logf("%s%s", r.out, r.err)
	check(r)
}

// compare has the database answer for everything that clients were told.
func (l *ledger) compare(told told) {
	l.t.Helper()
	for _, f := range told.failed[:min(10, len(told.failed))] {
		l.t.Errorf("failed: %s", f)
	}
	rows := make(map[string][]string)
	newest := "" // the release that wrote the rows so far
	for _, row := range l.db.ask(l.t, "SELECT token, cents, release FROM entry ORDER BY id") {
		token, rest, _ := strings.Cut(row, "|")
		rows[token] = append(rows[token], rest)
		_, release, _ := strings.Cut(rest, "|")
		if release < newest {
			l.t.Fatalf("%s wrote %s after %s had the column", release, token, newest)
		}
		newest = release
	}
	if newest != "r4" {
		l.t.Errorf("%q wrote last", newest)
	}
	lost, doubled := 0, 0
	for token, w := range told.written {
		switch found := rows[token]; {
		case len(found) == 0:
			lost++
		case len(found) > 1:
			doubled++
		case found[0] != strconv.Itoa(w.value)+"|"+w.release:
			l.t.Errorf("%s was told as %+v, and is %s", token, w, found[0])
		}
		delete(rows, token)
	}
	if lost+doubled+len(rows)+len(told.failed) > 0 {
		l.t.Errorf("of %d writes and %d reads %d failed; %d lost, %d doubled, and %d nobody was told of: %.300v",
			len(told.written), told.reads, len(told.failed), lost, doubled, len(rows), slices.Sorted(maps.Keys(rows)))
	}
	l.t.Logf("%d writes, %d reads; the longest waited %v", len(told.written), told.reads, told.longest)
}

// open is a directory that everybody may write to.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lg")
	if err == nil {
		err = os.Chmod(dir, 0o777) //nolint:gosec // instances run as other users
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// interpreter is a python3 that other users may run.
func interpreter(t *testing.T) string {
	t.Helper()
	const debian = "/usr/bin/python3"
	if _, err := os.Stat(debian); err != nil {
		t.Skip("needs Debian's python3 at " + debian)
	}
	return cmp.Or(os.Getenv("SEMPER_PYTHON"), debian)
}
