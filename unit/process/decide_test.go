package process

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"semper"

	"golang.org/x/sys/unix"
)

func TestEnding(t *testing.T) {
	t.Parallel()
	killed := syscall.WaitStatus(unix.SIGKILL)
	why := semper.Reason{Kind: semper.ReasonHealth}
	for name, c := range map[string]struct {
		e    ending
		want semper.ReasonKind
	}{
		"unseen":                     {ending{}, semper.ReasonUnknown},
		"unseen, asked":              {ending{asked: true}, semper.ReasonShutdown},
		"unseen, asked and killed":   {ending{asked: true, killed: true}, semper.ReasonKilled},
		"unseen, killed for":         {ending{killed: true, because: &why}, semper.ReasonHealth},
		"unseen, oom":                {ending{grouped: true, groupOOM: 1}, semper.ReasonOOM},
		"killed by semper, oom too":  {ending{known: true, status: killed, killed: true, groupOOM: 1}, semper.ReasonKilled},
		"oom":                        {ending{known: true, status: killed, grouped: true, groupOOM: 1}, semper.ReasonOOM},
		"oom while stopping":         {ending{known: true, status: killed, asked: true, grouped: true, groupOOM: 1}, semper.ReasonOOM},
		"oom elsewhere":              {ending{known: true, status: killed, grouped: true, machineOOM: 1}, semper.ReasonSignal},
		"oom somewhere":              {ending{known: true, status: killed, machineOOM: 1}, semper.ReasonOOM},
		"killed by somebody":         {ending{known: true, status: killed}, semper.ReasonSignal},
		"ended before the kill":      {ending{known: true, status: 0, killed: true}, semper.ReasonNormal},
		"asked, ended by the signal": {ending{known: true, status: syscall.WaitStatus(unix.SIGTERM), asked: true}, semper.ReasonShutdown},
		"asked, exit 143":            {ending{known: true, status: 143 << 8, asked: true}, semper.ReasonShutdown},
		"asked, crashed":             {ending{known: true, status: syscall.WaitStatus(unix.SIGABRT), asked: true}, semper.ReasonSignal},
		"core":                       {ending{known: true, status: syscall.WaitStatus(unix.SIGSEGV) | 0x80}, semper.ReasonSignal},
	} {
		if got := c.e.reason(); got.Kind != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(own), ")")
	s, err := parseStat([]byte("77 (a) b) Z 1 (x)" + rest))
	if err != nil || s.pid != 77 || s.start == 0 || s.ppid != os.Getppid() {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "1", "1 (a", ")(", "1 (a) R 1 2", "x (a)" + rest, "1 (a) R" + strings.Repeat(" x", 60)} {
		if s, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, s)
		}
	}
}
