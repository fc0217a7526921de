package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A draft is what Detect found out.
type draft struct {
	app      string
	build    string
	migrate  string
	services []draftService
	notes    []string
}

type draftService struct {
	name, command string
	web           bool
	comment       string
}

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
	d := draft{app: orWord(slug(filepath.Base(abs)), "app")}
	for _, try := range []func(string) (bool, error){d.procfile, d.golang, d.node, d.python} {
		if found, err := try(abs); err != nil {
			return "", nil, err
		} else if found {
			break
		}
	}
	if exists(abs, "Dockerfile") {
		d.note("there is a Dockerfile: semper does not build images; the command is what its CMD says, run on this machine")
	}
	if len(d.services) == 0 {
		d.services = []draftService{{name: "web", web: true, command: "./server --port $PORT", comment: "change this to what starts your app"}}
		d.note("nothing known was found here: change the command")
	}
	return d.text(), d.notes, nil
}

func (d *draft) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// procfile takes the processes of a Procfile over.
func (d *draft) procfile(dir string) (bool, error) {
	if !exists(dir, "Procfile") {
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
				d.migrate = command
				d.note("the release command of Procfile is the migration; hold says what waits while it runs")
				continue
			}
			d.services = append(d.services, draftService{name: name, command: command, web: name == "web"})
		}
	}
	d.note("the services are the processes of Procfile")
	return true, nil
}

// golang builds the main package of a Go module.
func (d *draft) golang(dir string) (bool, error) {
	if !exists(dir, "go.mod") {
		return false, nil
	}
	pkg := "."
	if mains, err := filepath.Glob(filepath.Join(dir, "cmd", "*", "main.go")); err == nil && len(mains) > 0 && !exists(dir, "main.go") {
		slices.Sort(mains)
		name := filepath.Base(filepath.Dir(mains[0]))
		pkg = "./cmd/" + name
		if len(mains) > 1 {
			d.note("there are %d commands in cmd/: took %s", len(mains), name)
		}
	}
	d.build = "CGO_ENABLED=0 go build -o bin/" + d.app + " " + pkg
	d.services = []draftService{{name: "web", command: "bin/" + d.app, web: true, comment: "has to listen on 127.0.0.1:$PORT"}}
	d.note("go.mod: the command is the package %s, built before each deploy", pkg)
	return true, nil
}

// node starts what package.json starts.
func (d *draft) node(dir string) (bool, error) {
	if !exists(dir, "package.json") {
		return false, nil
	}
	data, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return false, fmt.Errorf("package.json: %s", cause(err))
	}
	var p struct {
		Main         string
		Scripts      map[string]string
		Dependencies map[string]string
	}
	if err := json.Unmarshal(data, &p); err != nil {
		d.note("package.json could not be read: %v", err)
		return false, nil
	}
	command := "node " + orWord(p.Main, "index.js")
	if start := p.Scripts["start"]; start != "" {
		command = "npm start"
		if strings.HasPrefix(start, "node ") { // without npm between semper and the program
			command = strings.ReplaceAll(strings.ReplaceAll(start, "$$", "$$$$"), "${", "$${")
		}
	} else {
		d.note("package.json has no start script: took %s", command)
	}
	var build []string
	if len(p.Dependencies) > 0 {
		install := "npm install"
		if exists(dir, "package-lock.json") {
			install = "npm ci"
		}
		build = append(build, install)
	}
	if p.Scripts["build"] != "" {
		build = append(build, "npm run build")
	}
	d.build = strings.Join(build, " && ")
	d.services = []draftService{{name: "web", command: command, web: true, comment: "has to listen on process.env.PORT"}}
	d.note("package.json: the command is its start script")
	return true, nil
}

// python starts the first of the usual files.
func (d *draft) python(dir string) (bool, error) {
	for _, name := range []string{"app.py", "main.py", "server.py"} {
		if !exists(dir, name) {
			continue
		}
		d.services = []draftService{{name: "web", command: "python3 " + name, web: true, comment: `has to listen on os.environ["PORT"]`}}
		d.note("the command is %s", name)
		if exists(dir, "requirements.txt") {
			d.note("requirements.txt: its packages have to be on the machine, or in the artifact by a build command")
		}
		return true, nil
	}
	return false, nil
}

// text is the draft as a file.
func (d *draft) text() string {
	var b strings.Builder
	b.WriteString("# Every key: semper config explain KEY\n")
	b.WriteString("version: 1\napp: " + quoteYAML(d.app) + "\n")
	if d.build != "" {
		b.WriteString("build: " + quoteYAML(d.build) + "   # runs here before each deploy\n")
	}
	b.WriteString("\nservices:\n")
	web := ""
	for _, s := range d.services {
		kind := "worker"
		if s.web {
			kind, web = "web", s.name
		}
		fmt.Fprintf(&b, "  %s:\n    type: %s\n    command: %s", quoteYAML(s.name), kind, quoteYAML(s.command))
		if s.comment != "" {
			b.WriteString("   # " + s.comment)
		}
		b.WriteString("\n    instances: 1\n")
		if s.web {
			b.WriteString("    # health: /healthz   # ready when it answers here; else when it accepts connections\n")
		}
	}
	if d.migrate != "" {
		fmt.Fprintf(&b, "\nmigrate:\n  command: %s\n  hold: none   # or writes, or all: what waits while it runs\n", quoteYAML(d.migrate))
	}
	if web != "" {
		fmt.Fprintf(&b, "\nroutes:\n  - { path: /, to: %s }\n", quoteYAML(web))
	}
	return b.String()
}

// quoteYAML is s as it is where YAML reads it so, in single quotes otherwise.
func quoteYAML(s string) string {
	plain := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ./_-=$&") == "" &&
		strings.TrimSpace(s) == s && strings.IndexByte("-=&", s[0]) < 0 && !strings.Contains(s, " -  ")
	if plain && (s[0] < '0' || s[0] > '9') && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(s)) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
