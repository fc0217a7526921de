package http1

import (
	"errors"
	"fmt"
	"strings"
)

// An Edit changes the fields of the messages of a route. It is made once, is never written afterwards, and may be
// shared.
type Edit struct {
	names []string // in lower case; fields with these names are not copied
	lines []byte   // what is added, ready to send
}

// A Line is a field that an Edit sets or adds.
type Line struct{ Name, Value string }

// ErrEdit is what every error of NewEdit is.
var ErrEdit = errors.New("a route cannot change this field")

// NewEdit makes an Edit: fields of set take the place of all with their names, fields of add stand beside them, and
// fields named in remove go. Fields that frame, route or attribute a message, or are hop-by-hop, are refused: they are the
// edge's; so is what no field can have for a name or value.
func NewEdit(set, add []Line, remove []string) (*Edit, error) {
	e := &Edit{}
	for _, name := range remove {
		if err := e.drop(name); err != nil {
			return nil, err
		}
	}
	for _, l := range set {
		if err := e.drop(l.Name); err != nil {
			return nil, err
		}
	}
	for _, l := range append(set[:len(set):len(set)], add...) {
		if err := editable(l.Name); err != nil {
			return nil, err
		}
		var ok bool
		if e.lines, ok = AppendField(e.lines, l.Name, l.Value); !ok {
			return nil, fmt.Errorf("%w: the value of %q has a control character; leave it out", ErrEdit, l.Name)
		}
	}
	return e, nil
}

func (e *Edit) drop(name string) error {
	e.names = append(e.names, strings.ToLower(name))
	return editable(name)
}

// uneditable kinds are written by this engine, or never.
var uneditable = hopByHop | provenance | assigned | setOf(Host, ContentLength, Expect, Via, SemperRelease, SemperError)

func editable(name string) error {
	switch {
	case !validField(name, ""):
		return fmt.Errorf("%w: %q is not a field's name; write it as in: X-Name", ErrEdit, name)
	case uneditable.has(kindOf([]byte(name))):
		return fmt.Errorf("%w: %q frames, routes or attributes messages; leave it to the edge", ErrEdit, name)
	}
	return nil
}

func (e *Edit) drops(name []byte) bool {
	for _, n := range e.names {
		if len(n) == len(name) && sameName(name, n) {
			return true
		}
	}
	return false
}
