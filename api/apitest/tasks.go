package apitest

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"semper"
	"semper/control/output"
	taskdesk "semper/control/tasks"
	"semper/task"
)

// tasks are the server's, with units that do what their commands say: "echo WORD…" prints, "warn WORD…" does so on standard error,
// "exit CODE" ends, "sleep" runs until it is told to end. Several are separated by ";". What has no command of its own, a cron or task, echoes its name.
type tasks struct {
	desk  *taskdesk.Desk
	units map[semper.InstanceID]task.Unit
	out   map[semper.InstanceID]*[2]bytes.Buffer
	last  int64
}

func (s *Semper) taskSurface() taskdesk.Surface {
	return taskdesk.Surface{
		Do: func(_ context.Context, op, app, env string, f func(semper.EnvironmentKey) taskdesk.Deed) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.down != nil {
				return s.down
			}
			var of semper.EnvironmentKey
			if op != taskdesk.AnyEnvironment {
				e, err := s.findLocked(app, env)
				if err != nil {
					return err
				}
				of = e.Key()
			}
			c, err := s.tasks.desk.Do(s.taskWorldLocked(), f(of))
			if err != nil {
				return err
			}
			s.takeTasksLocked(c)
			s.stepTasksLocked()
			return nil
		},
		See: func(context.Context, string) (*taskdesk.View, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.stepTasksLocked()
			return s.tasks.desk.View(), s.down
		},
		Printing: func(id string) output.Printing {
			s.mu.Lock()
			defer s.mu.Unlock()
			t, known := s.tasks.desk.View().Task(id)
			p := output.Printing{Ended: !known || t.State.Ended(), Changed: s.changed}
			if s.tasks.out[t.Unit] != nil {
				p.Path = string(t.Unit)
			}
			return p
		},
		Reader: output.Reader{Machine: printed{s}, Log: slog.New(slog.DiscardHandler), Stream: func(ctx context.Context, _ string, f func(context.Context)) error {
			s.wg.Go(func() {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				defer context.AfterFunc(s.ctx, cancel)()
				f(ctx)
			})
			return nil
		}},
	}
}

// DueCrons lets a time pass, in which crons may become due, and has their runs done.
func (s *Semper) DueCrons(in time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(in)
	s.stepTasksLocked()
}

func (s *Semper) taskWorldLocked() task.World {
	var sites []taskdesk.Site
	for _, e := range s.envs {
		if e.Current == nil {
			continue
		}
		for _, rel := range s.releases[e.App] {
			if rel.Name() == e.Current.Release {
				sites = append(sites, taskdesk.Site{Env: e.Environment, Release: rel})
			}
		}
	}
	return s.tasks.desk.World(s.now, s.tasks.last+1, sites, s.tasks.units)
}

func (s *Semper) takeTasksLocked(c *taskdesk.Change) {
	s.tasks.last = max(s.tasks.last, c.Last)
	s.revision++
	s.tasks.desk.Apply(c, s.revision)
	for _, e := range c.Events {
		s.eventLocked(e)
	}
	s.tellLocked()
}

// stepTasksLocked has everything done that is to be done now.
func (s *Semper) stepTasksLocked() {
	for {
		c, _, err := s.tasks.desk.Step(s.taskWorldLocked())
		if err != nil {
			panic(err) // plain values
		}
		commands := s.tasks.desk.Commands
		if c.Empty() && len(commands) == 0 {
			return
		}
		if !c.Empty() {
			s.takeTasksLocked(c)
		}
		for _, cmd := range commands {
			switch cmd := cmd.(type) {
			case task.Start:
				s.startLocked(cmd.Task)
			case task.StopUnit:
				s.endUnitLocked(cmd.ID, semper.Reason{Kind: semper.ReasonShutdown})
			}
		}
	}
}

func (s *Semper) startLocked(t task.Task) {
	if s.tasks.out[t.Unit] != nil {
		return
	}
	s.tasks.out[t.Unit] = new([2]bytes.Buffer)
	s.tasks.units[t.Unit] = task.Unit{State: semper.Starting}
	end := semper.Reason{Kind: semper.ReasonNormal}
	for part := range strings.SplitSeq(cmp.Or(strings.Join(t.Command, " "), "echo "+t.Service), ";") {
		verb, rest, _ := strings.Cut(strings.TrimSpace(part), " ")
		switch verb {
		case "echo", "warn":
			into := 0
			if verb == "warn" {
				into = 1
			}
			s.tasks.out[t.Unit][into].WriteString(rest + "\n")
		case "exit":
			if code, err := strconv.Atoi(rest); err == nil && code != 0 {
				end = semper.Reason{Kind: semper.ReasonExit, Code: code}
			}
		case "sleep":
			return
		}
	}
	s.endUnitLocked(t.Unit, end)
}

func (s *Semper) endUnitLocked(id semper.InstanceID, r semper.Reason) {
	end := &semper.End{Reason: r, At: s.now, Uptime: semper.Duration(1200 * time.Millisecond)}
	if r.Abnormal() && s.tasks.out[id] != nil {
		end.Tail = strings.Split(strings.TrimSuffix(s.tasks.out[id][1].String(), "\n"), "\n")
	}
	s.tasks.units[id] = task.Unit{State: semper.Ended, End: end}
}

// printed is what tasks print, as files.
type printed struct{ s *Semper }

func (printed) Tail(string, int) ([]string, error) { return nil, nil }

func (printed) Follow(context.Context, string, int) (<-chan string, error) {
	ch := make(chan string)
	close(ch)
	return ch, nil
}

// Bytes implements output.Machine. Nothing is printed after the start.
func (p printed) Bytes(_, _ context.Context, path string, from int64) (<-chan output.Chunk, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	path, errs := strings.CutSuffix(path, ".err")
	into := 0
	if errs {
		into = 1
	}
	ch := make(chan output.Chunk, 1)
	defer close(ch)
	data := p.s.tasks.out[semper.InstanceID(path)][into].Bytes()
	if from < int64(len(data)) {
		ch <- output.Chunk{Data: bytes.Clone(data[from:]), End: int64(len(data))}
	}
	return ch, nil
}
