package otpcase

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"semper/supervise"
)

var ident = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// validate refuses what has no meaning, and what never comes to rest. The errors begin with the key.
func (c *Case) validate() error {
	if !ident.MatchString(c.Name) {
		return fmt.Errorf("name: %q, want letters, digits and any of _.-", c.Name)
	}
	if err := c.Tree.validate("tree"); err != nil {
		return err
	}
	for i := range c.Steps {
		if err := c.Steps[i].validate(fmt.Sprintf("steps[%d]", i)); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) validate(key string) error {
	switch {
	case t.Intensity != nil && *t.Intensity < 0:
		return fmt.Errorf("%s.intensity: %d, want 0 or more", key, *t.Intensity)
	case t.Period < 0:
		return fmt.Errorf("%s.period: %d, want 1 or more seconds", key, t.Period)
	case t.dynamic() && len(t.Children) != 1:
		return fmt.Errorf("%s.children: %d of them, want the one from which %s makes all", key, len(t.Children), simple)
	case t.dynamic() && index(autoShutdowns, t.AutoShutdown) > 0:
		return fmt.Errorf("%s.auto_shutdown: %s, want never with %s", key, t.AutoShutdown, simple)
	}
	if err := errors.Join(word(key+".strategy", t.Strategy, strategies), word(key+".auto_shutdown", t.AutoShutdown, autoShutdowns)); err != nil {
		return err
	}
	ids := map[string]bool{}
	for i := range t.Children {
		c, key := &t.Children[i], fmt.Sprintf("%s.children[%d]", key, i)
		if err := c.validate(key); err != nil {
			return err
		}
		if ids[c.ID] {
			return fmt.Errorf("%s.id: %q is taken by an earlier child", key, c.ID)
		}
		ids[c.ID] = true
		if c.Significant && index(autoShutdowns, t.AutoShutdown) == 0 {
			return fmt.Errorf("%s.significant: true, want false where auto_shutdown is never", key)
		}
	}
	return nil
}

func (c *Child) validate(key string) error {
	if err := errors.Join(
		word(key+".restart", c.Restart, restarts), word(key+".type", c.Type, types), word(key+".on_stop", c.OnStop, manners),
		script(key, c.Starts)); err != nil {
		return err
	}
	switch {
	case !ident.MatchString(c.ID):
		return fmt.Errorf("%s.id: %q, want letters, digits and any of _.-", key, c.ID)
	case c.Significant && index(restarts, c.Restart) == 0:
		return fmt.Errorf("%s.significant: true, want false for a permanent child", key)
	case c.OnStop == "ignore" && c.shutdown() == supervise.Infinity:
		return fmt.Errorf("%s.on_stop: ignore, want something else where shutdown is infinity: it would never end", key)
	case c.Tree == nil:
		return nil
	case c.Type == "worker":
		return fmt.Errorf("%s.type: worker, want supervisor for a child with a tree", key)
	case c.OnStop != "":
		return fmt.Errorf("%s.on_stop: want none: a supervisor knows how to stop", key)
	case c.shutdown() != supervise.Infinity:
		return fmt.Errorf("%s.shutdown: want infinity for a child with a tree: OTP leaves the order open in which the children of a killed supervisor end", key)
	}
	return c.Tree.validate(key + ".tree")
}

// shutdown is Shutdown or its default.
func (c *Child) shutdown() time.Duration {
	if c.Shutdown == 0 && (c.Tree != nil || c.Type == "supervisor") {
		return supervise.Infinity
	}
	return time.Duration(c.Shutdown)
}

func script(key string, starts []string) error {
	for i, s := range starts {
		if s == "" {
			s = `""`
		}
		if err := word(fmt.Sprintf("%s.starts[%d]", key, i), s, outcomes); err != nil {
			return err
		}
	}
	return nil
}

// word refuses one that is neither absent nor in words.
func word(key, w string, words []string) error {
	if w == "" || slices.Contains(words, w) {
		return nil
	}
	return fmt.Errorf("%s: %q, want one of %s", key, w, strings.Join(words, ", "))
}

// needs are the fields that each kind of step has; those in brackets may be absent.
var needs = map[string]string{
	"exit":            "child reason",
	"starts":          "child starts",
	"start_child":     "[supervisor] spec",
	"terminate_child": "child",
	"restart_child":   "child",
	"delete_child":    "child",
	"advance":         "ms",
	"release":         "child",
	"stop":            "",
	"kill":            "",
}

// calls are the steps that ask a supervisor and wait for its answer.
var calls = []string{"start_child", "terminate_child", "restart_child", "delete_child"}

func (s *Step) validate(key string) error {
	want, ok := needs[s.Do]
	if !ok {
		return fmt.Errorf("%s.do: %q, want one of exit, starts, %s, advance, release, stop, kill", key, s.Do, strings.Join(calls, ", "))
	}
	fields := strings.Fields(want)
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"child", s.Child != ""}, {"reason", s.Reason != ""}, {"starts", len(s.Starts) > 0},
		{"supervisor", s.Supervisor != ""}, {"spec", s.Spec != nil}, {"ms", s.Ms != 0},
	} {
		switch must := slices.Contains(fields, f.name); {
		case must && !f.given:
			return fmt.Errorf("%s.%s: is missing, want it for %s", key, f.name, s.Do)
		case f.given && !must && !slices.Contains(fields, "["+f.name+"]"):
			return fmt.Errorf("%s.%s: want none for %s", key, f.name, s.Do)
		}
	}
	if s.Ms < 0 || s.Ms > maxMs {
		return fmt.Errorf("%s.ms: %d, want from 1 to %d", key, s.Ms, maxMs)
	}
	if err := errors.Join(word(key+".reason", s.Reason, reasons), script(key, s.Starts)); err != nil {
		return err
	}
	if s.Spec == nil {
		return nil
	}
	return s.Spec.validate(key + ".spec")
}
