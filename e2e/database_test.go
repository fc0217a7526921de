package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// output runs a program and answers with its lines.
func output(t *testing.T, name string, args ...string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, b)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// sqlite is a file.
type sqlite struct{ py, file string }

func (d *sqlite) python() string { return d.py }

func (d *sqlite) open(t *testing.T) string {
	t.Helper()
	d.py = interpreter(t)
	d.file = filepath.Join(open(t), "db")
	return d.file
}

func (d *sqlite) ask(t *testing.T, statement string) []string {
	t.Helper()
	return output(t, d.py, "-c", `
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1], timeout=60).execute(sys.argv[2]):
    print("|".join(map(str, row)))`, d.file, statement)
}

// postgres is a cluster of its own, on a unix socket alone.
type postgres struct{ py, bin, dir string }

func (d *postgres) python() string { return d.py }

func (d *postgres) open(t *testing.T) string {
	t.Helper()
	d.py = interpreter(t)
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		t.Skip("needs PostgreSQL: apt-get install postgresql python3-psycopg2")
	}
	if err := exec.Command(d.py, "-c", "import psycopg2").Run(); err != nil {
		t.Skip("needs the driver: apt-get install python3-psycopg2")
	}
	d.bin = bins[len(bins)-1]
	d.dir = open(t)
	as := d.owner(t)
	data := filepath.Join(d.dir, "data")
	if b, err := d.command(as, "initdb", "-D", data, "-U", "ledger", "-A", "trust", "--locale=C.UTF-8").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, b)
	}
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cluster := d.command(as, "postgres", "-D", data, "-k", d.dir, "-c", "listen_addresses=")
	cluster.Stdout, cluster.Stderr = log, log
	if err := cluster.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // runs after the server of the ledger has ended
		_ = cluster.Process.Signal(syscall.SIGQUIT) // immediate: its data go with the test
		_ = cluster.Wait()
		_ = log.Close()
	})
	eventually(t, "PostgreSQL answers", func() bool {
		return exec.Command(filepath.Join(d.bin, "pg_isready"), "-q", "-h", d.dir).Run() == nil
	})
	return "host=" + d.dir + " user=ledger dbname=postgres"
}

// owner is who runs it, nil for who runs the test: PostgreSQL refuses root.
func (d *postgres) owner(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skip("needs the user postgres, which Debian's package makes")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (d *postgres) command(as *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(d.bin, name), args...)
	cmd.Dir = d.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	return cmd
}

func (d *postgres) ask(t *testing.T, statement string) []string {
	t.Helper()
	return output(t, filepath.Join(d.bin, "psql"), "-h", d.dir, "-U", "ledger", "-d", "postgres", "-At", "-F", "|", "-c", statement)
}
