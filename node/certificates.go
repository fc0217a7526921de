package node

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"semper/api"
)

// standings are how it stands with the certificates of all hosts; none without TLS.
func (c *certificates) standings() []api.Certificate {
	out := []api.Certificate{}
	if c == nil {
		return out
	}
	for _, s := range c.Standings() {
		one := api.Certificate{Host: s.Name, Source: string(s.Source), NotAfter: s.NotAfter, Advice: s.Advice}
		if s.Err != nil {
			one.Error, one.Next = s.Err.Error(), s.Next
		}
		out = append(out, one)
	}
	return out
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) //nolint:errcheck // whoever asked is gone
}

// Certificates are those of all hosts, as the edges have them that take new connections.
func (e *edges) Certificates(ctx context.Context) ([]api.Certificate, error) {
	answers, parts, errs, err := asked[[]api.Certificate](ctx, e, "/v1/certificates")
	if err != nil {
		return nil, err
	}
	var of [][]api.Certificate
	for i, a := range answers {
		if parts[i].Draining {
			continue
		}
		if errs[i] != nil {
			return nil, errs[i]
		}
		of = append(of, a)
	}
	return worst(of), nil
}

// worst is one entry for each host: of those that have one, that of the edge which is worst off.
func worst(of [][]api.Certificate) []api.Certificate {
	rank := func(c api.Certificate) int {
		switch {
		case c.Source == "":
			return 0
		case c.Error != "":
			return 1
		case c.Advice != "":
			return 2
		}
		return 3
	}
	by := make(map[string]api.Certificate)
	for _, list := range of {
		for _, c := range list {
			have, ok := by[c.Host]
			if !ok || cmp.Or(cmp.Compare(rank(c), rank(have)), c.NotAfter.Compare(have.NotAfter)) < 0 {
				by[c.Host] = c
			}
		}
	}
	return slices.SortedFunc(maps.Values(by), func(a, b api.Certificate) int { return strings.Compare(a.Host, b.Host) })
}
