package cli

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// EdgeSettings are what a server's edges are told on the command line: by a person to the server, and by the keeper to
// each edge in the same words.
type EdgeSettings struct {
	// ACME is the authority that gives certificates: one of ACMENames, or the URL of its directory. "": none.
	ACME      string
	ACMEEmail string // for the account there
	ACMERoots string // PEM file of whom to trust as that authority; "": the system's
}

// ACMENames are authorities that have a name, the usual one first.
var ACMENames = []string{"letsencrypt", "staging"}

var edgeFlagNames = []string{"acme", "acme-email", "acme-roots"}

// edgeFlags gives cmd the flags that fill s.
func edgeFlags(cmd *cobra.Command, s *EdgeSettings) {
	f := cmd.Flags()
	f.StringVar(&s.ACME, "acme", "", "who gives certificates for the hosts of the routes: letsencrypt, staging, or the URL of an ACME directory; naming one is agreeing to its terms of service (default: an authority of this server's own)")
	f.StringVar(&s.ACMEEmail, "acme-email", "", "where the ACME authority writes to")
	f.StringVar(&s.ACMERoots, "acme-roots", "", "PEM file of whom to trust as the ACME authority (default: the system's)")
}

// flags are s as the command line that gives s again.
func (s EdgeSettings) flags() (args []string) {
	for _, f := range []struct{ name, value string }{{"acme", s.ACME}, {"acme-email", s.ACMEEmail}, {"acme-roots", s.ACMERoots}} {
		if f.value != "" {
			args = append(args, "--"+f.name+"="+f.value)
		}
	}
	return args
}

// check says what is wrong with s on a server that has TLS or not.
func (s EdgeSettings) check(https bool) error {
	usage := func(format string, args ...any) error {
		return &exit{code: exitUsage, err: fmt.Errorf(format, args...), hint: "semper server run --help"}
	}
	if s.ACME == "" {
		if s.ACMEEmail != "" || s.ACMERoots != "" {
			return usage("--acme is missing: --acme-email and --acme-roots are for an authority")
		}
		return nil
	}
	if !https {
		return usage("--https is missing: certificates are for it")
	}
	if slices.Contains(ACMENames, s.ACME) {
		return nil
	}
	u, err := url.Parse(s.ACME)
	if err == nil && (u.Scheme != "https" || u.Host == "") {
		err = errors.New("no https URL")
	}
	if err != nil {
		return usage("--acme %q: it is %s, or the https URL of an ACME directory", s.ACME, strings.Join(ACMENames, ", "))
	}
	return nil
}
