package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDetect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files   map[string]string
		command []string
		build   string
		note    string
	}{
		"nothing":    {nil, []string{"/bin/sh", "-c", "exec ./server --port $PORT"}, "", "change the command"},
		"python":     {map[string]string{"main.py": "", "requirements.txt": ""}, []string{"python3", "main.py"}, "", "requirements.txt"},
		"go":         {map[string]string{"go.mod": "module x", "main.go": ""}, []string{"bin/shop"}, "CGO_ENABLED=0 go build -o bin/shop .", "package ."},
		"go cmd":     {map[string]string{"go.mod": "module x", "cmd/b/main.go": "", "cmd/a/main.go": ""}, []string{"bin/shop"}, "CGO_ENABLED=0 go build -o bin/shop ./cmd/a", "took a"},
		"node":       {map[string]string{"package.json": `{"scripts":{"start":"node server.js --port ${PORT:-1}"}}`}, []string{"/bin/sh", "-c", "exec node server.js --port ${PORT:-1}"}, "", "start script"},
		"npm":        {map[string]string{"package.json": `{"scripts":{"start":"next start","build":"next build"},"dependencies":{"a":"1"}}`, "package-lock.json": "{}"}, []string{"npm", "start"}, "npm ci && npm run build", "start script"},
		"bare node":  {map[string]string{"package.json": `{"main":"app.js"}`}, []string{"node", "app.js"}, "", "no start script"},
		"bad json":   {map[string]string{"package.json": `{`, "app.py": ""}, []string{"python3", "app.py"}, "", "could not be read"},
		"dockerfile": {map[string]string{"Dockerfile": "FROM x", "app.py": ""}, []string{"python3", "app.py"}, "", "Dockerfile"},
		"procfile": {map[string]string{"Procfile": "# x\nweb: ./a 'it''s' -p ${PORT:-1} $$\nWorker_a: ./w: b\n", "go.mod": ""},
			[]string{"/bin/sh", "-c", "exec ./a 'it''s' -p ${PORT:-1} $$"}, "", "Procfile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, c.files)
			text, notes, err := Detect(dir)
			if err != nil {
				t.Fatal(err)
			}
			f, err := parse("semper.yaml", dir, []byte(text), nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(c.command, f.Spec.Services["web"].Command); diff != "" {
				t.Errorf("%s\n%s", diff, text)
			}
			if got := strings.Join(f.Artifact.Build, " "); strings.TrimPrefix(got, "/bin/sh -c ") != c.build {
				t.Errorf("build %q, want %q", got, c.build)
			}
			if f.Spec.App != "shop" || !strings.Contains(strings.Join(notes, "\n"), c.note) {
				t.Errorf("app %q, notes %q", f.Spec.App, notes)
			}
			if !strings.Contains(text, "# ") {
				t.Errorf("no comments:\n%s", text)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) > len(c.files) {
				t.Errorf("files were written: %v %v", entries, err)
			}
		})
	}
}

// A Procfile taken over by Detect deploys the same services as the Procfile itself.
func TestDetectKeepsProcfile(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"Procfile": "web: python3 app.py\nworker: ./w | tee log\nCron_2: A=1 ./c --x='$1' # y\nrelease: ./m | tee log\n"})
	text, _, err := Detect(dir)
	if err != nil {
		t.Fatal(err)
	}
	made, err := parse("semper.yaml", dir, []byte(text), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	from, err := Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	web := from.Spec.Services["web"] // which needs no shell, and the YAML knows it
	web.Command = []string{"python3", "app.py"}
	from.Spec.Services["web"] = web
	if diff := cmp.Diff(from.Spec, made.Spec); diff != "" {
		t.Errorf("%s\n%s", diff, text)
	}
}

func TestDetectErrors(t *testing.T) {
	t.Parallel()
	if _, _, err := Detect(filepath.Join(t.TempDir(), "missing")); err == nil || !strings.Contains(err.Error(), "no such file or directory") {
		t.Errorf("%v", err)
	}
	if _, _, err := Detect(write(t, map[string]string{"Procfile": "release: x\n"})); err == nil || !strings.Contains(err.Error(), "no process") {
		t.Errorf("%v", err)
	}
}
