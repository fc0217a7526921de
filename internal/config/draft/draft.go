// Package draft proposes the text of a semper.yaml by what files a program consists of. It runs nothing and writes no file.
package draft

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Draft is what was found out.
type Draft struct {
	App      string
	Build    string
	Migrate  string
	Services []Service
	Notes    []string
}

// A Service is one program.
type Service struct {
	Name, Command string
	Web           bool
	Comment       string
}

// Note adds something for who reads the draft.
func (d *Draft) Note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// Exists reports whether there is something of that name in dir.
func Exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// Golang builds the main package of a Go module.
func (d *Draft) Golang(dir string) (bool, error) {
	if !Exists(dir, "go.mod") {
		return false, nil
	}
	pkg := "."
	if mains, err := filepath.Glob(filepath.Join(dir, "cmd", "*", "main.go")); err == nil && len(mains) > 0 && !Exists(dir, "main.go") {
		slices.Sort(mains)
		name := filepath.Base(filepath.Dir(mains[0]))
		pkg = "./cmd/" + name
		if len(mains) > 1 {
			d.Note("there are %d commands in cmd/: took %s", len(mains), name)
		}
	}
	d.Build = "CGO_ENABLED=0 go build -o bin/" + d.App + " " + pkg
	d.Services = []Service{{Name: "web", Command: "bin/" + d.App, Web: true, Comment: "has to listen on 127.0.0.1:$PORT"}}
	d.Note("go.mod: the command is the package %s, built before each deploy", pkg)
	return true, nil
}

// Node starts what package.json starts.
func (d *Draft) Node(dir string) (bool, error) {
	if !Exists(dir, "package.json") {
		return false, nil
	}
	data, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return false, err
	}
	var p struct {
		Main         string
		Scripts      map[string]string
		Dependencies map[string]string
	}
	if err := json.Unmarshal(data, &p); err != nil {
		d.Note("package.json could not be read: %v", err)
		return false, nil
	}
	command := "node " + cmp.Or(p.Main, "index.js")
	if start := p.Scripts["start"]; start != "" {
		command = "npm start"
		if strings.HasPrefix(start, "node ") { // without npm between semper and the program
			command = strings.ReplaceAll(strings.ReplaceAll(start, "$$", "$$$$"), "${", "$${")
		}
	} else {
		d.Note("package.json has no start script: took %s", command)
	}
	var build []string
	if len(p.Dependencies) > 0 {
		install := "npm install"
		if Exists(dir, "package-lock.json") {
			install = "npm ci"
		}
		build = append(build, install)
	}
	if p.Scripts["build"] != "" {
		build = append(build, "npm run build")
	}
	d.Build = strings.Join(build, " && ")
	d.Services = []Service{{Name: "web", Command: command, Web: true, Comment: "has to listen on process.env.PORT"}}
	d.Note("package.json: the command is its start script")
	return true, nil
}

// Python starts the first of the usual files.
func (d *Draft) Python(dir string) (bool, error) {
	for _, name := range []string{"app.py", "main.py", "server.py"} {
		if !Exists(dir, name) {
			continue
		}
		d.Services = []Service{{Name: "web", Command: "python3 " + name, Web: true, Comment: `has to listen on os.environ["PORT"]`}}
		d.Note("the command is %s", name)
		if Exists(dir, "requirements.txt") {
			d.Note("requirements.txt: its packages have to be on the machine, or in the artifact by a build command")
		}
		return true, nil
	}
	return false, nil
}

// Text is the draft as a file.
func (d *Draft) Text() string {
	var b strings.Builder
	b.WriteString("# Every key: semper config explain KEY\n")
	b.WriteString("version: 1\napp: " + quoteYAML(d.App) + "\n")
	if d.Build != "" {
		b.WriteString("build: " + quoteYAML(d.Build) + "   # runs here before each deploy\n")
	}
	b.WriteString("\nservices:\n")
	web := ""
	for _, s := range d.Services {
		kind := "worker"
		if s.Web {
			kind, web = "web", s.Name
		}
		fmt.Fprintf(&b, "  %s:\n    type: %s\n    command: %s", quoteYAML(s.Name), kind, quoteYAML(s.Command))
		if s.Comment != "" {
			b.WriteString("   # " + s.Comment)
		}
		b.WriteString("\n    instances: 1\n")
		if s.Web {
			b.WriteString("    # health: /healthz   # ready when it answers here; else when it accepts connections\n")
		}
	}
	if d.Migrate != "" {
		fmt.Fprintf(&b, "\nmigrate:\n  command: %s\n  hold: none   # or writes, or all: what waits while it runs\n", quoteYAML(d.Migrate))
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
