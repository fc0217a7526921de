package cli_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"semper"
	"semper/api"
	"semper/api/apitest"
	"semper/cli"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"semper": func() {
			os.Exit(cli.Main(context.Background(), os.Args[1:], cli.Env{
				Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
				Now: func() time.Time { return time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC) },
			}, cli.ServerCommands{
				Run: func(_ context.Context, o cli.RunOptions) error {
					_, err := os.Stdout.WriteString("run " + strings.Join(o.Args, " ") + "\n")
					return err
				},
				Part: func(_ context.Context, kind string, o cli.PartOptions) error {
					_, err := os.Stdout.WriteString(kind + " " + o.Dir + " " + o.ID + "\n")
					return err
				},
				Edge: func(_ context.Context, o cli.EdgeOptions, check bool) error {
					if o.Routes == "wrong.yaml" {
						return &cli.Misconfigured{Err: errors.New("wrong.yaml:1:1: the file is empty"), Count: 1, Hint: "write something"}
					}
					_, err := fmt.Printf("edge %s %s %s %s %s %s %t\n", o.Routes, o.HTTP, o.HTTPS, o.Metrics, o.Driver, filepath.Base(o.Dir), check)
					return err
				},
				Stop: func(_ context.Context, dir string, instances bool) error {
					_, err := os.Stdout.WriteString("stop " + dir + " " + strconv.FormatBool(instances) + "\n")
					return err
				},
			}))
		},
	})
}

type serverKey struct{}

// TestScripts runs the command line as a program against a server in memory, one script per verb.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			s, host, stop, err := serve()
			if err != nil {
				return err
			}
			e.Defer(stop)
			e.Values[serverKey{}] = s
			e.Setenv("SEMPER_HOST", host)
			e.Setenv("USER", "ann")
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code, "fake": fake},
	})
}

// serve offers a semper in memory on a unix socket.
func serve() (*apitest.Semper, string, func(), error) {
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		return nil, "", nil, err
	}
	path := filepath.Join(dir, "api.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, "", nil, err
	}
	s := apitest.New()
	srv := &http.Server{Handler: api.NewServer(s, api.ServerOptions{PeerCredCheck: true}), ConnContext: api.ConnContext}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	return s, "unix://" + path, func() {
		_ = srv.Close()
		<-done
		s.Close()
		_ = os.RemoveAll(dir)
	}, nil
}

// code N COMMAND… runs a command and wants its exit code to be N.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [args…]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if x, ok := errors.AsType[*exec.ExitError](err); ok {
		got = x.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, not %s", got, args[0])
	}
}

// fake changes the server in memory, as the world would.
func fake(ts *testscript.TestScript, _ bool, args []string) {
	s := ts.Value(serverKey{}).(*apitest.Semper)
	switch args[0] {
	case "queue", "bury": // queue|bury service jobs
		fakeQueue(ts, s, args)
	case "stall":
		s.Stall(semper.RolloutState(args[1]))
	case "break": // break before|after exit-code line…
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		s.Break(apitest.Fault{Reason: semper.Reason{Kind: semper.ReasonExit, Code: n}, Tail: args[3:], After: args[1] == "after"})
	case "count":
		n, err := strconv.ParseUint(args[2], 10, 64)
		ts.Check(err)
		s.Count("bar", "", semper.ReleaseName(args[1]), semper.Ledger{Accepted: n, Served: n - 1, EdgeErrors: 1, Retried: 2})
	case "traffic": // traffic release rate requests failed
		rate, err := strconv.ParseFloat(args[2], 64)
		ts.Check(err)
		n, err := strconv.ParseUint(args[3], 10, 64)
		ts.Check(err)
		failed, err := strconv.ParseUint(args[4], 10, 64)
		ts.Check(err)
		t, err := s.Traffic(context.Background(), "", "")
		ts.Check(err)
		t.At = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		t.Rows = append(t.Rows, api.TrafficRow{
			App: "bar", Environment: "production", Service: "web", Release: semper.ReleaseName(args[1]), Route: "bar.example/",
			Rate1: rate, Rate10: rate, Rate60: rate / 2, InFlight: 3, Status: api.TrafficStatuses{Success: n - failed, ServerError: failed},
			Latency: api.TrafficLatency{P50: .0012, P95: .0048, P99: .0113}, UpstreamErrors: failed,
		})
		s.Carry(t)
	case "judged":
		s.Judge(apitest.Judged("bar", time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)))
	case "pass": // pass time
		d, err := time.ParseDuration(args[1])
		ts.Check(err)
		s.DueCrons(d)
	case "print":
		s.Print(semper.InstanceID(args[1]), "r1", args[2])
	case "crash":
		s.CrashInstance("bar", "", semper.InstanceID(args[1]), semper.Reason{Kind: semper.ReasonOOM}, args[2:]...)
	case "state": // wait until a rollout is in it
		ts.Check(s.Until(context.Background(), func(o api.Overview) bool {
			return len(o.Environments) > 0 && string(o.Environments[0].Rollout.State) == args[1]
		}))
	case "down":
		s.Down(&semper.Error{Code: semper.Code(args[1]), Message: "it is so", Hint: "so be it"})
	default:
		ts.Fatalf("unknown: fake %s", args[0])
	}
}

// firstLine reads a line that another goroutine writes.
func firstLine(r *bufio.Reader) string {
	s, err := r.ReadString('\n')
	if err != nil {
		return ""
	}
	return s
}
