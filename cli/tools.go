package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/internal/config"
)

func (c *command) initCommand() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use: "init [DIR]", Short: "look at a directory and write a semper.yaml for it",
		Long:    "Detect what is there (Procfile, Go, Node, Python) and write a commented semper.yaml. It never overwrites one.",
		Example: "  semper init\n  semper init --print",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			text, notes, err := config.Detect(dir)
			if err != nil {
				return err
			}
			for _, n := range notes {
				c.sayf("note: %s", draw.Safe(n))
			}
			if show {
				_, err := io.WriteString(c.env.Stdout, text)
				return err
			}
			return c.writeNew(filepath.Join(dir, "semper.yaml"), text)
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print it instead of writing it")
	return cmd
}

func (c *command) writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return &semper.Error{Code: semper.Conflict, Message: path + " exists; it was not touched", Hint: "semper init --print shows what would be written"}
	}
	if err != nil {
		return &semper.Error{Code: semper.Invalid, Op: "init", Err: err}
	}
	_, err = io.WriteString(f, text)
	if err = errors.Join(err, f.Close()); err != nil {
		return &semper.Error{Code: semper.Internal, Op: "init", Err: err}
	}
	_, err = fmt.Fprintf(c.env.Stdout, "%s is written; look at it, then: semper deploy\n", path)
	return err
}

func (c *command) configCommand() *cobra.Command {
	var file string
	load := func() (*config.File, error) { return config.Load(file, c.env.LookupEnv) }
	check := &cobra.Command{
		Use: "check", Short: "find everything wrong in semper.yaml", Example: "  semper config check -f examples/python-hello", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := load()
			if err != nil {
				return c.configProblems(err)
			}
			out := struct {
				Path     string   `json:"path"`
				App      string   `json:"app"`
				Problems []string `json:"problems"`
			}{f.Path, f.Spec.App, []string{}}
			return c.print(out, []string{f.Path}, func(w io.Writer, _ draw.Paint) {
				fmt.Fprintf(w, "%s is right: app %s, %s, %s\n", f.Path, f.Spec.App, draw.Plural(len(f.Spec.Services), "service"), draw.Plural(len(f.Spec.Routes), "route"))
			})
		},
	}
	var origin bool
	show := &cobra.Command{
		Use: "show", Short: "print the configuration with variables and defaults filled in", Example: "  semper config show --origin", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := load()
			if err != nil {
				return c.configProblems(err)
			}
			if origin {
				return c.printOrigins(f)
			}
			return c.print(f.Spec, []string{f.Spec.App}, func(w io.Writer, _ draw.Paint) { _ = toYAML(w, f.Spec) })
		},
	}
	show.Flags().BoolVar(&origin, "origin", false, "print where each setting comes from")
	for _, cmd := range []*cobra.Command{check, show} {
		fileFlag(cmd, &file)
	}
	schema := &cobra.Command{
		Use: "schema", Short: "print the JSON Schema of semper.yaml", Example: "  semper config schema > semper.schema.json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := c.env.Stdout.Write(append(config.Schema(), '\n'))
			return err
		},
	}
	explain := &cobra.Command{
		Use: "explain KEY", Short: "tell what a setting means", Example: "  semper config explain services.web.health", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, ok := config.Explain(args[0])
			if !ok {
				return &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("semper.yaml has no key %q", args[0]), Hint: "semper config schema has them all"}
			}
			_, err := fmt.Fprintln(c.env.Stdout, text)
			return err
		},
	}
	return topic("config", "check and explain semper.yaml", "  semper config check", check, show, schema, explain)
}

// configProblems prints problems as data where that was asked for; the exit code is the same.
func (c *command) configProblems(err error) error {
	list, ok := errors.AsType[*config.Errors](err)
	if !ok || c.output == "table" || c.output == "name" {
		return err
	}
	out := struct {
		Problems []config.Problem `json:"problems"`
	}{*list}
	if err := c.print(out, nil, nil); err != nil {
		return err
	}
	return &exit{code: exitConfig}
}

func (c *command) printOrigins(f *config.File) error {
	origins := map[string]string{}
	for k, o := range f.Origins {
		origins[k] = o.String()
	}
	keys := slices.Sorted(maps.Keys(origins))
	return c.print(origins, keys, func(w io.Writer, p draw.Paint) {
		rows := draw.Grid{}
		for _, k := range keys {
			rows.Row(k, p.Dim(origins[k]))
		}
		rows.Write(w)
	})
}

// version is what `semper version` prints; the server's part is left out where none answers.
type version struct {
	Client string          `json:"client"`
	Go     string          `json:"go"`
	Server *api.ServerInfo `json:"server,omitempty"`
}

func (c *command) versionCommand() *cobra.Command {
	var client bool
	cmd := &cobra.Command{
		Use: "version", Short: "print the version of client and server", Example: "  semper version\n  semper version --client", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			v := version{Client: semper.Version, Go: runtime.Version()}
			if !client {
				if info, err := s.Info(ctx); err == nil {
					v.Server = &info
				}
			}
			return c.print(v, []string{v.Client}, func(w io.Writer, _ draw.Paint) {
				fmt.Fprintf(w, "semper %s (%s)\n", v.Client, v.Go)
				if v.Server != nil {
					fmt.Fprintf(w, "server %s at %s, keeper pid %d\n", v.Server.Version, c.hostName(), v.Server.KeeperPID)
				}
			})
		}),
	}
	cmd.Flags().BoolVar(&client, "client", false, "do not ask the server")
	return cmd
}
