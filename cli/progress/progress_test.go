package progress_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/cli/progress"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// played tells a progress of a short rollout that fails.
func played(mode string) (out, err string) {
	var stdout, stderr bytes.Buffer
	p := progress.New(progress.Options{
		Mode: mode, Stdout: &stdout, Stderr: &stderr,
		Size: func() (int, int) { return 80, 24 }, Now: func() time.Time { return now },
	})
	p.Step("pack", "abc, 3 KiB")
	p.Event(semper.Event{At: now, Kind: "rollout.ready", Rollout: "d-1", Message: "d-1 nothing → r1: ready: 2 instances started"})
	p.Event(semper.Event{At: now, Kind: "crash", Crash: "c-1", Message: "bar/web.r1.1 ended:\nexit code 3"})
	p.Event(semper.Event{At: now, Kind: "rollout.done", Rollout: "d-1", Message: "d-1 nothing → r1: done"})
	if p.WantsStatus() {
		p.Status(api.Status{App: "bar", Environment: "production"})
	}
	p.Result(semper.Rollout{ID: "d-1", State: semper.RolloutFailed, Reason: "it crashed", Tail: []string{"boom"}}, 1)
	p.Leave()
	return stdout.String(), stderr.String()
}

func TestPlainIsALinePerChange(t *testing.T) {
	t.Parallel()
	out, err := played("plain")
	want := `2026-11-21T12:00:00.000Z  pack       abc, 3 KiB
2026-11-21T12:00:00.000Z  ready      d-1 nothing → r1: 2 instances started
2026-11-21T12:00:00.000Z  crash      bar/web.r1.1 ended: exit code 3
2026-11-21T12:00:00.000Z  done       d-1 nothing → r1
`
	if out != "" || err != want {
		t.Errorf("stdout %q, stderr\n%s", out, err)
	}
}

func TestJSONIsALinePerChange(t *testing.T) {
	t.Parallel()
	out, err := played("json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err != "" || len(lines) != 5 {
		t.Fatalf("stderr %q, stdout\n%s", err, out)
	}
	for _, l := range lines {
		var rec map[string]any
		if err := json.Unmarshal([]byte(l), &rec); err != nil || rec["schema"] != 1.0 || rec["type"] == "" || rec["phase"] == "" {
			t.Errorf("%s: %v", l, err)
		}
	}
	if want := `"phase":"failed","reason":{"code":"failed","message":"it crashed","evidence":["boom"]},"exit":1,`; !strings.Contains(lines[4], want) {
		t.Errorf("the result is %s", lines[4])
	}
}

func TestQuietSaysNothing(t *testing.T) {
	t.Parallel()
	if out, err := played("quiet"); out+err != "" {
		t.Errorf("%q %q", out, err)
	}
}

func TestTerminalKeepsCrashesAbove(t *testing.T) {
	t.Parallel()
	out, err := played("tty")
	if out != "" || !strings.Contains(err, "✗ bar/web.r1.1 ended: exit code 3\n") || !strings.Contains(err, "bar · production") {
		t.Errorf("stdout %q, stderr %q", out, err)
	}
}
