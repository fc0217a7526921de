package argv

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSplitCommand(t *testing.T) {
	t.Parallel()
	sh := func(s string) []string { return []string{"/bin/sh", "-c", s} }
	for text, want := range map[string][]string{
		"python3 app.py":            {"python3", "app.py"},
		"  ./a   b\tc  ":            {"./a", "b", "c"},
		`./a 'b c' "d e" f\ g`:      {"./a", "b c", "d e", "f g"},
		`./a '' ""`:                 {"./a", "", ""},
		`./a 'x;y|z&$HOME*?~#'`:     {"./a", "x;y|z&$HOME*?~#"},
		`./a "x;y|z&*?~#"`:          {"./a", "x;y|z&*?~#"},
		`./a "q\"q" "\$x" "a\b"`:    {"./a", `q"q`, "$x", `a\b`},
		`./a --x=1 y=2 a~b a#b`:     {"./a", "--x=1", "y=2", "a~b", "a#b"},
		`'A=1' b`:                   {"A=1", "b"},
		`./a\;b`:                    {"./a;b"},
		"./a \\\n  b":               {"./a", "b"},
		"./serve --port $PORT":      sh("exec ./serve --port $PORT"),
		`./serve "$PORT"`:           sh(`exec ./serve "$PORT"`),
		"./a *.txt":                 sh("exec ./a *.txt"),
		"./a ~/x":                   sh("exec ./a ~/x"),
		"./a > log 2>&1":            sh("exec ./a > log 2>&1"),
		"./a $(hostname -f | cut)":  sh("exec ./a $(hostname -f | cut)"),
		"./a `cat x; ls`":           sh("exec ./a `cat x; ls`"),
		"./a $((1 + 2)) b":          sh("exec ./a $((1 + 2)) b"),
		`./a $(echo ")") b`:         sh(`exec ./a $(echo ")") b`),
		"A=1 B='x y' ./a":           sh("A=1 B='x y' exec ./a"),
		"A=1":                       sh("A=1"),
		"./a && ./b":                sh("./a && ./b"),
		"./a || ./b":                sh("./a || ./b"),
		"./a; ./b":                  sh("./a; ./b"),
		"./a | ./b":                 sh("./a | ./b"),
		"./a &":                     sh("./a &"),
		"(cd x; ./a)":               sh("(cd x; ./a)"),
		"./a\n./b":                  sh("./a\n./b"),
		"exec ./a $PORT":            sh("exec ./a $PORT"),
		"exec ./a":                  sh("exec ./a"),
		"cd x":                      sh("cd x"),
		"if true; then ./a; fi":     sh("if true; then ./a; fi"),
		"./a # why":                 sh("exec ./a # why"),
		"FOO=$BAR ./a && exec ./b":  sh("FOO=$BAR ./a && exec ./b"),
		"./größe ü":                 {"./größe", "ü"},
		"bundle exec puma -p 5":     {"bundle", "exec", "puma", "-p", "5"},
		"node --expose-gc index.js": {"node", "--expose-gc", "index.js"},
	} {
		got, err := Split(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v %s", text, err, diff)
		}
	}
	for text, want := range map[string]error{
		"": ErrEmpty, " \n ": ErrEmpty, "./a 'b": ErrQuote, `./a "b`: ErrQuote, `./a \`: ErrSlash, `./a "\`: ErrQuote,
	} {
		if got, err := Split(text); err != want {
			t.Errorf("%q: %q, %v; want %v", text, got, err, want)
		}
	}
}

// Whatever is split without a shell, a shell splits in the same way.
func TestSplitLikeAShell(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("/bin/sh"); err != nil {
		t.Skip("no /bin/sh")
	}
	rapid.Check(t, func(t *rapid.T) {
		line := "x" + rapid.StringOfN(rapid.SampledFrom([]rune(`ab  '"\=-/.,:~#%+@^`)), 0, 12, -1).Draw(t, "line")
		argv, err := Split(line)
		if err != nil || argv[0] == "/bin/sh" {
			return
		}
		out, err := exec.Command("/bin/sh", "-c", `f() { for a in "$@"; do printf '%s\n' "$a"; done; }; f `+line).Output()
		if err != nil {
			t.Fatalf("%q: the shell refuses what splits into %q: %v", line, argv, err)
		}
		if want := strings.Join(argv, "\n") + "\n"; string(out) != want {
			t.Fatalf("%q: %q, the shell %q", line, want, out)
		}
	})
}

// What a shell runs with exec does what it does without.
func TestExecChangesNothing(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"echo $HOME", "A=1 B=2 env | grep ^[AB]= | sort", "A=1 env sh -c 'echo $A'", "echo $(echo a; echo b)", "echo `echo a | cat`",
		"echo a > /dev/null", "echo a 2>&1", "echo $((1+2)) # no", `echo "$(echo "x y")" ~+`, "true && echo b", "echo a; echo b",
	} {
		argv, err := Exec(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		want, err := exec.Command("/bin/sh", "-c", line).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v %s", line, err, want)
		}
		got, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil || string(got) != string(want) {
			t.Errorf("%q as %q: %v %q, want %q", line, argv, err, got, want)
		}
	}
}

// What Line writes, a shell reads as the words it was made of.
func TestALineIsReadAsItsWords(t *testing.T) {
	t.Parallel()
	for want, words := range map[string][]string{
		"./manage users --inactive":      {"./manage", "users", "--inactive"},
		"sh -c 'echo half; exit 4'":      {"sh", "-c", "echo half; exit 4"},
		`echo 'it'\''s' '' '$HOME' über`: {"echo", "it's", "", "$HOME", "über"},
	} {
		got := Line(words)
		if got != want {
			t.Errorf("%q is written %s, want %s", words, got, want)
		}
		if back, err := Split(got); err != nil || !slices.Equal(back, words) {
			t.Errorf("%s is read as %q, %v", got, back, err)
		}
	}
}
