package diff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

var protoTypes = []string{
	"application/grpc", "application/grpc+proto", "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf",
}

// Protobufs turn a body of Protocol Buffers into what a JSON document can hold.
type Protobufs interface {
	Decode(endpoint string, body []byte) (any, error)
}

// Descriptors are the Protobufs of a descriptor set, as protoc --include_imports --descriptor_set_out writes it.
type Descriptors struct {
	files *protoregistry.Files
	types map[string]protoreflect.MessageDescriptor // by endpoint, where a message is not found by its gRPC method
}

// NewDescriptors reads a descriptor set. messages are the full names of response messages by endpoint; a gRPC method,
// /package.Service/Method, needs none.
func NewDescriptors(set []byte, messages map[string]string) (*Descriptors, error) {
	var fds descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &fds); err != nil {
		return nil, fmt.Errorf("this is no descriptor set (write one by protoc --include_imports --descriptor_set_out): %w", err)
	}
	files, err := protodesc.NewFiles(&fds)
	if err != nil {
		return nil, fmt.Errorf("a descriptor set that is not whole (was it written with --include_imports?): %w", err)
	}
	d := &Descriptors{files: files, types: make(map[string]protoreflect.MessageDescriptor)}
	for endpoint, name := range messages {
		found, err := files.FindDescriptorByName(protoreflect.FullName(name))
		m, ok := found.(protoreflect.MessageDescriptor)
		if err != nil || !ok {
			return nil, fmt.Errorf("message %q of %s is not in the descriptor set", name, endpoint)
		}
		d.types[endpoint] = m
	}
	return d, nil
}

var errUnknown = errors.New("nothing says which message this is")

// Decode implements [Protobufs]. A body of gRPC may hold several messages; it is a list then. A message with fields that its
// descriptor does not have is an error: it is compared as bytes, since nothing may be overlooked.
func (d *Descriptors) Decode(endpoint string, body []byte) (any, error) {
	m := d.types[endpoint]
	grpc := false
	if service, method, ok := strings.Cut(strings.TrimPrefix(endpoint, "/"), "/"); m == nil && ok {
		found, err := d.files.FindDescriptorByName(protoreflect.FullName(service))
		if s, isService := found.(protoreflect.ServiceDescriptor); err == nil && isService {
			if f := s.Methods().ByName(protoreflect.Name(method)); f != nil {
				m, grpc = f.Output(), true
			}
		}
	}
	if m == nil {
		return nil, errUnknown
	}
	if !grpc {
		return one(m, body)
	}
	var all []any
	for len(body) > 0 {
		const head = 5 // of a gRPC message: whether it is compressed, and its length
		if len(body) < head || body[0] != 0 || uint64(len(body)-head) < uint64(binary.BigEndian.Uint32(body[1:])) {
			return nil, errors.New("this is no row of uncompressed gRPC messages")
		}
		n := int(binary.BigEndian.Uint32(body[1:]))
		v, err := one(m, body[head:head+n])
		if err != nil {
			return nil, err
		}
		all = append(all, v)
		body = body[head+n:]
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return all, nil
}

func one(m protoreflect.MessageDescriptor, b []byte) (any, error) {
	msg := dynamicpb.NewMessage(m)
	if err := (proto.UnmarshalOptions{}).Unmarshal(b, msg); err != nil {
		return nil, fmt.Errorf("no %s: %w", m.FullName(), err)
	}
	if err := known(msg); err != nil {
		return nil, err
	}
	text, err := (protojson.MarshalOptions{UseProtoNames: true}).Marshal(msg)
	if err != nil {
		return nil, fmt.Errorf("a %s that has no form in JSON: %w", m.FullName(), err)
	}
	return decode(text)
}

// known refuses messages with unknown fields, at any depth.
func known(m protoreflect.Message) (err error) {
	if len(m.GetUnknown()) > 0 {
		return fmt.Errorf("%s has fields that its descriptor has not", m.Descriptor().FullName())
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsMap():
			if f.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { err = known(v.Message()); return err == nil })
			}
		case f.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = known(v.List().Get(i).Message())
			}
		default:
			err = known(v.Message())
		}
		return err == nil
	})
	return err
}
