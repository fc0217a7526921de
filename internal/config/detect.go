package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"semper/internal/config/draft"
)

// Detect proposes the text of a semper.yaml for the program in dir, by what files are there: a Procfile, go.mod,
// package.json, or app.py, main.py or server.py. notes say what it went by and what is left to do.
// It writes and runs nothing. The text is a valid configuration in any case.
func Detect(dir string) (yaml string, notes []string, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, fmt.Errorf("directory %s: %w", dir, err)
	}
	if _, err := os.ReadDir(abs); err != nil {
		return "", nil, fmt.Errorf("directory %s: %s", dir, cause(err))
	}
	d := draft.Draft{App: orWord(slug(filepath.Base(abs)), "app")}
	proc := func(dir string) (bool, error) { return procfile(&d, dir) }
	for _, try := range []func(string) (bool, error){proc, d.Golang, d.Node, d.Python} {
		if found, err := try(abs); err != nil {
			return "", nil, err
		} else if found {
			break
		}
	}
	if draft.Exists(abs, "Dockerfile") {
		d.Note("there is a Dockerfile: semper does not build images; the command is what its CMD says, run on this machine")
	}
	if len(d.Services) == 0 {
		d.Services = []draft.Service{{Name: "web", Web: true, Command: "./server --port $PORT", Comment: "change this to what starts your app"}}
		d.Note("nothing known was found here: change the command")
	}
	return d.Text(), d.Notes, nil
}

// procfile takes the processes of a Procfile over.
func procfile(d *draft.Draft, dir string) (bool, error) {
	if !draft.Exists(dir, "Procfile") {
		return false, nil
	}
	if _, err := LoadProcfile(filepath.Join(dir, "Procfile"), nil); err != nil {
		return false, err
	}
	data, _, err := slurp(filepath.Join(dir, "Procfile"))
	if err != nil {
		return false, err
	}
	for _, line := range splitLines(data) {
		name, command, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")), ":")
		if ok && !strings.HasPrefix(name, "#") {
			name = slug(name)
			// What is the shell's in a Procfile stays the shell's.
			command = strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(command), "$$", "$$$$"), "${", "$${")
			if name == "release" {
				d.Migrate = command
				d.Note("the release command of Procfile is the migration; hold says what waits while it runs")
				continue
			}
			d.Services = append(d.Services, draft.Service{Name: name, Command: command, Web: name == "web"})
		}
	}
	d.Note("the services are the processes of Procfile")
	return true, nil
}
