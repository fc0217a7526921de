package abreast

import (
	"flag"
	"fmt"
	"runtime"
	"strconv"
)

// Tests has each processor run so many tests at once, unless the flag -parallel says how many run. It parses the flags where nobody has yet,
// and is called before the tests run.
func Tests(each int) error {
	if !flag.Parsed() {
		flag.Parse()
	}
	return set(flag.CommandLine, each*runtime.GOMAXPROCS(0))
}

// set gives the flag a value that it was not given.
func set(flags *flag.FlagSet, n int) error {
	const name = "test.parallel"
	said := false
	flags.Visit(func(f *flag.Flag) { said = said || f.Name == name })
	if said {
		return nil
	}
	if err := flags.Set(name, strconv.Itoa(n)); err != nil {
		return fmt.Errorf("run %d tests at once: %w", n, err)
	}
	return nil
}
