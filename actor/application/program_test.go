package application

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper/supervise"
)

// asProgram makes the test binary a program of applications, so that signals are real.
const asProgram = "APPLICATION_TEST_PROGRAM"

func program() int {
	say := func(what string) func(context.Context) error {
		return func(context.Context) error { fmt.Println(what); return nil }
	}
	how := os.Getenv(asProgram)
	serve := func(ctx context.Context) (supervise.Child, error) {
		s, err := supervise.Start(ctx, supervise.Flags{}, nil, supervise.Options{})
		if how == "end" {
			time.AfterFunc(time.Millisecond, s.Shutdown)
		}
		return s, err
	}
	db := Application{Name: "db", Start: serve, Stop: say("db stopped")}
	web := Application{Name: "web", Dependencies: []string{"db"}, Start: serve, Stop: say("web stopped")}
	web.Phases = []Phase{{"listen", say("ready")}}
	switch how {
	case "end":
		web = Application{Name: "web", Dependencies: []string{"db"}}
	case "hang":
		db.Stop = func(context.Context) error { fmt.Println("hangs"); select {} }
	case "hanging start":
		web.Start = func(ctx context.Context) (supervise.Child, error) {
			fmt.Println("ready")
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	p := Program{StopWithin: time.Hour}
	if how == "hang within" {
		db.Stop = func(context.Context) error { select {} }
		p.StopWithin = time.Millisecond
	}
	err := p.Run(context.Background(), web, db)
	if err != nil {
		fmt.Println("error:", err)
	}
	switch {
	case errors.As(err, new(*StopError)):
		return 3
	case errors.As(err, new(*TerminatedError)):
		return 4
	case err != nil:
		return 1
	}
	return 0
}

func TestMainOfARealProgram(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		how     string
		signals map[string]os.Signal // after a line of the output
		output  string
		exit    int
	}{
		{how: "run", signals: map[string]os.Signal{"ready": syscall.SIGTERM}, output: "ready|web stopped|db stopped"},
		{how: "run", signals: map[string]os.Signal{"ready": os.Interrupt}, output: "ready|web stopped|db stopped"},
		{how: "end", output: "db stopped|error: application db (permanent) ended by itself: shutdown", exit: 4},
		{how: "hanging start", signals: map[string]os.Signal{"ready": syscall.SIGTERM}, output: "ready|db stopped"},
		{how: "hang within", signals: map[string]os.Signal{"ready": syscall.SIGTERM}, exit: 3,
			output: "ready|web stopped|error: applications are still stopping: context deadline exceeded: 1ms were not enough; waiting for db: Stop"},
		{how: "hang", signals: map[string]os.Signal{"ready": syscall.SIGTERM, "hangs": syscall.SIGTERM}, output: "ready|web stopped|hangs", exit: -1},
	} {
		t.Run(x.how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), asProgram+"="+x.how)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var lines []string
			for s := bufio.NewScanner(out); s.Scan(); {
				if sig := x.signals[s.Text()]; sig != nil {
					_ = cmd.Process.Signal(sig)
				}
				lines = append(lines, s.Text())
			}
			_ = cmd.Wait()
			if got := strings.Join(lines, "|"); got != x.output || cmd.ProcessState.ExitCode() != x.exit {
				t.Errorf("%s, exit %d; want %s, exit %d", got, cmd.ProcessState.ExitCode(), x.output, x.exit)
			}
		})
	}
}

func TestProgramEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		ctx, cancel := context.WithCancel(t.Context())
		p := Program{Options: Options{Observe: l.observe}, Signals: []os.Signal{}}
		time.AfterFunc(time.Minute, cancel)
		if err := p.Run(ctx, l.app("web", "db"), l.app("db")); err != nil {
			t.Error(err)
		}
		l.saw("start db", "start web", "prep-stop web", "shutdown web", "stop web", "prep-stop db", "shutdown db", "stop db")
		err := p.Run(t.Context(), l.app("web", "dc"), l.app("db"))
		if !errors.Is(err, ErrNotLoaded) {
			t.Error(err)
		}
		if err := p.Run(t.Context(), l.app("db"), l.app("db")); !errors.Is(err, ErrAlreadyLoaded) {
			t.Error(err)
		}
	})
}
