package diff

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Terms are what a release says of a comparison: what is masked, ignored and meant, and what its messages are. They stand in its spec and go to
// all edges.
type Terms struct {
	Mask     []string `json:"mask,omitempty"`
	Rules    []Rule   `json:"rules,omitempty"`
	Protobuf *Schema  `json:"protobuf,omitempty"`
}

// A Schema is a descriptor set on its way, and the messages of endpoints as [NewDescriptors] has them.
type Schema struct {
	Set      []byte            `json:"set"`
	Messages map[string]string `json:"messages,omitempty"`
}

// ReadTerms reads what was written; of nothing it is nothing.
func ReadTerms(b json.RawMessage) (t Terms, err error) {
	if len(b) > 0 {
		if err := json.Unmarshal(b, &t); err != nil {
			return t, fmt.Errorf("terms of a comparison: %w", err)
		}
	}
	return t, nil
}

// Options are those that the terms ask for.
func (t *Terms) Options() (Options, error) {
	o := Options{Rules: t.Rules, Mask: t.Mask}
	if t.Protobuf == nil {
		return o, nil
	}
	d, err := t.Protobuf.Descriptors()
	if err != nil {
		return o, err
	}
	o.Proto = d
	return o, nil
}

// maxSet bounds a schema, in bytes: every edge gets it with the routes.
const maxSet = 256 << 10

// NewSchema makes a schema of a descriptor set: checked, and without what is of use to people alone.
func NewSchema(set []byte, messages map[string]string) (*Schema, error) {
	s := &Schema{Set: set, Messages: messages}
	if _, err := s.Descriptors(); err != nil {
		return nil, err
	}
	var fds descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &fds); err != nil {
		return nil, err
	}
	for _, f := range fds.File {
		f.SourceCodeInfo = nil
	}
	var err error
	if s.Set, err = (proto.MarshalOptions{Deterministic: true}).Marshal(&fds); err != nil {
		return nil, err
	}
	if len(s.Set) > maxSet {
		return nil, fmt.Errorf("the descriptor set has %d bytes without its comments, and every edge gets it: at most %d. Leave out the files that no answer is of", len(s.Set), maxSet)
	}
	return s, nil
}

// Descriptors are those of the schema.
func (s *Schema) Descriptors() (*Descriptors, error) { return NewDescriptors(s.Set, s.Messages) }
