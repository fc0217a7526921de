package words

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"semper/edge/route"
)

// WrongRules reports what [route.Compile] refuses of the rules that routes are, at the route or the defaults that say so. What is told already, most likely in
// better words, is left out.
func (s Source) WrongRules(err error) {
	type problem struct{ at, reason string }
	var found []problem
	all, _ := errors.AsType[route.Errors](err)
	for _, e := range all {
		path := fmt.Sprintf("routes[%d]", e.Rule)
		top := e.Key[:len(e.Key)-len(strings.TrimLeft(e.Key, "abcdefghijklmnopqrstuvwxyz_"))]
		switch {
		case e.Key == "to" && s.Wrong(path):
			continue
		case e.Key == "path" && s.Given(path+".exact"):
			top = "exact"
		case !s.Given(path+"."+top) && s.Given("defaults."+top):
			path = "defaults"
		}
		p := problem{path + "." + top + strings.TrimPrefix(e.Key, top), e.Reason}
		if top == "exact" {
			p.at = path + ".exact"
		}
		if e.Other >= 0 {
			p.reason = fmt.Sprintf("the route in line %d is for the same requests, so this one never wins: remove one, or add a condition to it", s.Line(fmt.Sprintf("routes[%d]", e.Other)))
		}
		if !s.Wrong(path+"."+top) && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	for _, p := range found {
		s.Problem(p.at, p.reason, "")
	}
}
