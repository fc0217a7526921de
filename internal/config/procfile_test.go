package config

import (
	"slices"
	"time"

	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"semper"
)

func TestProcfile(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"Procfile": "\ufeff# processes\r\nweb: bundle exec puma -p ${PORT:-5000}\r\n\r\n  Mailer_low :  ./mail && ./other\nclock: ./clock\n"})
	f, err := Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := semper.Spec{
		App: "shop",
		Services: map[string]semper.Service{
			"web":        {Type: semper.Web, Instances: 1, Command: []string{"/bin/sh", "-c", "exec bundle exec puma -p ${PORT:-5000}"}},
			"mailer-low": {Type: semper.Worker, Instances: 1, Command: []string{"/bin/sh", "-c", "./mail && ./other"}},
			"clock":      {Type: semper.Worker, Instances: 1, Command: []string{"/bin/sh", "-c", "exec ./clock"}},
		},
		Routes: []semper.RouteRule{{Path: "/", To: "web"}},
	}.WithDefaults()
	if diff := cmp.Diff(want, f.Spec); diff != "" {
		t.Error(diff)
	}
	if f.Artifact.Dir != dir || f.Path != filepath.Join(dir, "Procfile") {
		t.Errorf("%+v", f)
	}
	if o := f.Origins["services.web.command"]; o.Line != 2 || o.Kind != OriginFile {
		t.Errorf("origin %+v", o)
	}
	if o := f.Origins["services.web.instances"]; o.Kind != OriginDefault {
		t.Errorf("origin %+v", o)
	}
}

// TestProcfileRelease: what runs before each release elsewhere is a migration that nothing waits for.
func TestProcfileRelease(t *testing.T) {
	t.Parallel()
	f, err := parseProcfile("Procfile", "/srv/shop", []byte("web: ./a\nrelease: ./manage migrate\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := f.Spec.Migrate
	if m == nil || !slices.Equal(m.Command, []string{"/bin/sh", "-c", "exec ./manage migrate"}) || m.Hold != semper.HoldNone || m.Deadline.D() != 5*time.Minute {
		t.Errorf("migration %+v", m)
	}
	if len(f.Spec.Services) != 1 || f.Origins["migrate.command"].Line != 2 {
		t.Errorf("services %v, origins %v", f.Spec.Services, f.Origins["migrate.command"])
	}
	if _, err := parseProcfile("Procfile", "/srv/shop", []byte("release: ./manage migrate\n"), nil); err == nil || !strings.Contains(err.Error(), "there is no process") {
		t.Errorf("a release line alone: %v", err)
	}
}

func TestProcfileErrors(t *testing.T) {
	t.Parallel()
	text := "web: ./a\nrelease: ./migrate\nno colon here\n  web : ./b\nw!b: ./c\nempty:\nquote: 'a\n"
	dir := write(t, map[string]string{"Procfile": text})
	_, err := Load(dir, nil)
	if err == nil {
		t.Fatal("no error")
	}
	checkPlaces(t, []byte(text), *err.(*Errors))
	for _, want := range []string{
		`:3:1: this line is not of the form name: command`,
		`:4:3: process "web" is given twice: the first is in line 1`,
		`:5:1: "w!b" is not a valid name of a process`,
		`:6:1: the command is empty`,
		`:7:1: a quote in the command is not closed`,
	} {
		if !strings.Contains(err.Error(), filepath.Join(dir, "Procfile")+want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	if n := len(*err.(*Errors)); n != 5 {
		t.Errorf("%d problems:\n%v", n, err)
	}
	for text, want := range map[string]string{"": "there is no process", "# only\n": "there is no process", "web: \xff\n": "is not UTF-8"} {
		if _, err := parseProcfile("Procfile", "/srv/shop", []byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := parseProcfile("Procfile", "/", []byte("web: ./a\n"), nil); err == nil || !strings.Contains(err.Error(), "no name for the app") {
		t.Errorf("in the root: %v", err)
	}
}
