package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
)

// epoch is what hold and resume print.
type epoch struct {
	App         string       `json:"app"`
	Environment string       `json:"environment"`
	Epoch       semper.Epoch `json:"epoch"`
}

// targetFlags are whose requests hold and resume are about.
func targetFlags(cmd *cobra.Command, h *api.HoldRequest) {
	cmd.Flags().StringVar(&h.Service, "service", "", "only requests to this `SERVICE`")
	cmd.Flags().StringVar(&h.Route, "route", "", "only requests of this route, by its `HOST/PATH`")
}

// checkTarget refuses two targets at once.
func checkTarget(h api.HoldRequest) error {
	if h.Service != "" && h.Route != "" {
		return &exit{code: exitUsage, err: errors.New("--service and --route exclude each other"), hint: "a route leads to one service: name the route alone"}
	}
	return nil
}

func (c *command) holdCommand() *cobra.Command {
	var h api.HoldRequest
	cmd := &cobra.Command{
		Use: "hold", Short: "make requests wait, bounded, while something changes underneath",
		Long: `Requests wait at the edge until semper resume, or for as long as --for says, and then go on, paced, to whatever serves.
They wait at most as many, as large and as long as the app's hold limits say (hold: in semper.yaml). Over a limit they are
refused with 503 and Retry-After, those of a lower class first. The service's own health check is answered meanwhile.

There may be several holds at once: of everything, of a service, of a route. Holding the same again replaces it.`,
		Example: "  semper hold --for 2m\n  semper hold --writes\n  semper hold --service web\n  semper hold --route shop.example.com/checkout --for 30s",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			words := api.HoldWords(semper.Hold{Service: h.Service, Route: h.Route, Writes: h.Writes}) + " wait"
			if h.For > 0 {
				words += " for " + h.For.String()
			}
			return c.gate(ctx, s, func(st api.Status) string {
				return words + "; let them go: semper resume" + targetOf(h) + draw.Scope(st.App, st.Environment)
			}, func(st api.Status) (semper.Epoch, error) {
				h.By = c.by()
				return s.Hold(ctx, st.App, st.Environment, h)
			})
		}),
	}
	targetFlags(cmd, &h)
	cmd.Flags().BoolVar(&h.Writes, "writes", false, "only what may change something (unsafe methods: POST, PUT, PATCH, DELETE)")
	last := cmd.Flags().Duration("for", 0, "let them go after this `TIME` by itself, at most 24h")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("for") && (*last <= 0 || *last > 24*time.Hour) {
			return &exit{code: exitUsage, err: fmt.Errorf("--for %s: a hold lasts longer than nothing, and at most 24h", *last), hint: "semper hold --for 2m; without --for it lasts until semper resume"}
		}
		h.For = semper.Duration(*last)
		return checkTarget(h)
	}
	return cmd
}

// targetOf is h's target, as flags.
func targetOf(h api.HoldRequest) string {
	switch {
	case h.Service != "":
		return " --service " + h.Service
	case h.Route != "":
		return " --route " + h.Route
	}
	return ""
}

// resumeHeld lets go on what h says.
func (c *command) resumeHeld(ctx context.Context, s *api.Client, h api.HoldRequest) error {
	return c.gate(ctx, s, func(st api.Status) string {
		if len(st.Hold) == 0 {
			return "nothing is held"
		}
		if h.Service == "" && h.Route == "" {
			return "requests go on"
		}
		return "requests" + held(h) + " go on"
	}, func(st api.Status) (semper.Epoch, error) {
		h.By = c.by()
		return s.Resume(ctx, st.App, st.Environment, h)
	})
}

func held(h api.HoldRequest) string {
	if h.Service != "" {
		return " to service " + h.Service
	}
	return " of route " + h.Route
}

// gate does what hold or resume is for, and says what has become of it, by the status before.
func (c *command) gate(ctx context.Context, s *api.Client, words func(api.Status) string, do func(api.Status) (semper.Epoch, error)) error {
	st, err := c.target(ctx, s)
	if err != nil {
		return err
	}
	n, err := do(st)
	if err != nil {
		return err
	}
	return c.print(epoch{st.App, st.Environment, n}, []string{environmentName(st)}, func(w io.Writer, _ draw.Paint) {
		fmt.Fprintf(w, "%s · %s  epoch %d: %s\n", st.App, st.Environment, n, words(st))
	})
}
