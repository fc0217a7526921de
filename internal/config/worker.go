package config

import (
	"encoding/json"
	"fmt"
	"strings"

	"semper"
	"semper/internal/argv"
	"semper/rollout/quiesce"
)

// quiesceFormat is how a worker with a broker of its own is told to take no more jobs, and seen to have none left.
type quiesceFormat struct {
	Signal  string  `yaml:"signal" jsonschema:"enum=SIGTSTP,enum=SIGUSR1,enum=SIGUSR2,enum=SIGHUP,enum=SIGINT,enum=SIGQUIT,enum=SIGWINCH,enum=SIGTERM,example=SIGTSTP" doc:"The signal that tells the worker."`
	HTTP    string  `yaml:"http" jsonschema:"pattern=^/,example=/quiesce" doc:"The path to which a POST tells it. Of a worker that listens."`
	Exec    command `yaml:"exec" jsonschema:"example=./worker --quiesce" doc:"The command that tells it, run as the instance's user in its artifact."`
	Busy    string  `yaml:"busy" jsonschema:"example=./worker --busy" doc:"A command that exits with 0, or a path of a worker that listens whose GET is answered with a status below 400, while it has jobs."`
	Drained string  `yaml:"drained" jsonschema:"example=./worker --drained" doc:"The same, when it has none any more. This or busy."`
}

// listens is whether instances of a service can be spoken to: those of workers only where they say how.
func (c *checker) listens(name string) bool {
	s := c.f.Services[name]
	return s.isWeb() || !s.ends() && c.given("services."+name+".listen")
}

// worker looks at what a worker says of its end.
func (c *checker) worker(name string, s service) {
	if s.ends() {
		return
	}
	path := "services." + name
	for _, key := range []string{"drain", "quiesce"} {
		if s.isWeb() && c.given(path+"."+key) {
			c.misplaced(path+"."+key, fmt.Sprintf("%q is of jobs, and this service takes requests", key), `remove it, or set "type: worker"; "drain" at the top is for requests`)
		}
	}
	if !c.given(path+".quiesce") || s.isWeb() || c.hasProblem(path+".quiesce") {
		return
	}
	if c.queued(path) {
		c.misplaced(path+".quiesce", "a worker that gets its jobs from semper is told by semper", `remove it, or "jobs"`)
		return
	}
	ways := 0
	for _, key := range []string{"signal", "http", "exec"} {
		if c.given(path + ".quiesce." + key) {
			ways++
		}
	}
	if ways > 1 {
		c.misplaced(path+".quiesce", "the worker is told in two ways", "keep one of signal, http and exec")
		return
	}
	for _, f := range s.Quiesce.terms(c.listens(name)).Check(c.listens(name)) {
		c.problem(path+"."+f.Key, f.Message, f.Hint)
	}
}

// terms are q as a release keeps them.
func (q quiesceFormat) terms(listens bool) quiesce.Terms {
	look := func(text string) quiesce.Way {
		switch {
		case text == "":
			return quiesce.Way{}
		case listens && strings.HasPrefix(text, "/") && !strings.ContainsAny(text, " \t"):
			return quiesce.Way{HTTP: text}
		}
		argv, err := argv.Split(text)
		if err != nil { // run by a shell, which will say so
			argv = []string{"/bin/sh", "-c", text}
		}
		return quiesce.Way{Exec: argv}
	}
	return quiesce.Terms{Tell: quiesce.Way{Signal: q.Signal, HTTP: q.HTTP, Exec: q.Exec}, Busy: look(q.Busy), Drained: look(q.Drained)}
}

// buildWorker is what a release keeps of the end of a worker.
func (c *checker) buildWorker(path string, s service, out *semper.Service) {
	if s.isWeb() || s.ends() {
		return
	}
	out.Drain = s.Drain
	if !c.given(path + ".quiesce") {
		return
	}
	if b, err := json.Marshal(s.Quiesce.terms(s.Listen != "")); err == nil { // texts
		out.Quiesce = b
	}
}
