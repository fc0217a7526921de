package abreast

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhoHasSaidItWins(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want int
	}{{nil, 12}, {[]string{"-other=1"}, 12}, {[]string{"-test.parallel=2"}, 2}} {
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		flags.Int("other", 0, "")
		got := flags.Int("test.parallel", 4, "")
		if err := flags.Parse(tc.args); err != nil {
			t.Fatal(err)
		}
		if err := set(flags, 12); err != nil || *got != tc.want {
			t.Errorf("%q: %d, %v", tc.args, *got, err)
		}
	}
	if err := set(flag.NewFlagSet("", flag.ContinueOnError), 12); err == nil {
		t.Error("a program that is no test")
	}
}
