package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"semper"
	"semper/edge/mirror"
	"semper/verify/diff"
)

// A Shadow has a part of a pool's requests copied to another one, whose answers are compared with those that clients get.
type Shadow struct {
	To    string  // the pool that gets the copies
	Share float64 // of the requests, from 0 to 1
	semper.Shadowing
}

func (c *Config) checkShadow(name string, s *Shadow) error {
	switch {
	case s == nil:
		return nil
	case s.To == name:
		return errors.New("its shadow is itself: copies go to another pool")
	case !(s.Share >= 0 && s.Share <= 1):
		return fmt.Errorf("a share of %v is copied: it is a part, from 0 to 1", s.Share)
	}
	if _, ok := c.Pools[s.To]; !ok {
		return fmt.Errorf("its shadow is pool %q, which is not there", s.To)
	}
	terms, err := diff.ReadTerms(s.Rules)
	if err != nil {
		return err
	}
	o, err := terms.Options()
	if err == nil {
		_, err = diff.New(o)
	}
	return err
}

// Shadows are the pools of c whose requests are copied, by their names. One whose comparison is another than before begins anew.
func (c *Config) Shadows() (all []mirror.Shadowed) {
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		s := c.Pools[name].Shadow
		if s == nil {
			continue
		}
		h := fnv.New32a()
		json.NewEncoder(h).Encode(s.Shadowing) //nolint:errcheck,errchkjson // of values that were read; a hash takes everything
		all = append(all, mirror.Shadowed{
			Pool: semper.PoolKey(name), App: name, Rollout: fmt.Sprintf("%08x", h.Sum32()), Release: semper.ReleaseName(s.To),
			Candidate: semper.PoolKey(s.To), Again: semper.PoolKey(name), Share: s.Share, Shadowing: s.Shadowing,
		})
	}
	return all
}
