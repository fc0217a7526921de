package diff

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"

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

// Protobufs turn a body of Protocol Buffers into what a JSON document can hold, numbers as [encoding/json.Number].
type Protobufs interface {
	// Decode reads the body of r, which answers a request of an endpoint. An error says that nothing is known of it: it is bytes then.
	Decode(endpoint string, r *Response) (any, error)
}

// Descriptors are the Protobufs of a descriptor set, as protoc --include_imports --descriptor_set_out writes it, or buf build. They may be
// used by several goroutines at once.
type Descriptors struct {
	files *protoregistry.Files
	types map[string]protoreflect.MessageDescriptor // by endpoint, where a message is not found by its gRPC method
}

// NewDescriptors reads a descriptor set. messages are the full names of response messages by endpoint. A gRPC method needs none, and neither
// does a response whose Content-Type names its message (messageType or proto).
func NewDescriptors(set []byte, messages map[string]string) (*Descriptors, error) {
	var fds descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &fds); err != nil || len(fds.File) == 0 {
		return nil, errors.New("this is no descriptor set: write one by protoc --include_imports --descriptor_set_out=FILE, or buf build -o FILE")
	}
	files, err := protodesc.NewFiles(&fds)
	if err != nil {
		return nil, fmt.Errorf("a descriptor set that is not whole (was it written with --include_imports?): %w", err)
	}
	d := &Descriptors{files: files, types: make(map[string]protoreflect.MessageDescriptor)}
	var all []error
	for endpoint, name := range messages {
		m := d.named(name)
		if m == nil {
			all = append(all, fmt.Errorf("message %q of %s is not in the descriptor set", name, endpoint))
		}
		d.types[endpoint] = m
	}
	return d, errors.Join(all...)
}

// named is the message of a full name; nil if there is none.
func (d *Descriptors) named(name string) protoreflect.MessageDescriptor {
	found, err := d.files.FindDescriptorByName(protoreflect.FullName(strings.TrimPrefix(name, ".")))
	if m, ok := found.(protoreflect.MessageDescriptor); err == nil && ok {
		return m
	}
	return nil
}

// method is what a gRPC method, /package.Service/Method, answers; nil if there is none of this name.
func (d *Descriptors) method(path string) protoreflect.MessageDescriptor {
	service, method, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok {
		return nil
	}
	found, err := d.files.FindDescriptorByName(protoreflect.FullName(service))
	s, isService := found.(protoreflect.ServiceDescriptor)
	if err != nil || !isService {
		return nil
	}
	if m := s.Methods().ByName(protoreflect.Name(method)); m != nil {
		return m.Output()
	}
	return nil
}

var errUnknown = errors.New("nothing says which message this is")

// Decode implements [Protobufs]. A body of gRPC holds any number of messages: one is itself, others are a list.
func (d *Descriptors) Decode(endpoint string, r *Response) (any, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	path := r.Asked
	if path == "" { // what is recorded may have it in the endpoint alone
		path = endpoint[strings.IndexByte(endpoint, ' ')+1:]
	}
	m := d.types[endpoint]
	for _, name := range []string{params["messagetype"], params["proto"]} {
		if m == nil && name != "" {
			m = d.named(name)
		}
	}
	if m == nil {
		m = d.method(path)
	}
	switch {
	case m == nil:
		return nil, errUnknown
	case strings.HasPrefix(media, "application/grpc"):
		return d.framed(m, r)
	case params["encoding"] == "delimited":
		return nil, errors.New("rows of delimited messages are not read")
	}
	return d.one(m, r.Body)
}

// maxMessages bounds what compressed messages of one body may come to, in bytes.
const maxMessages = 16 << 20

// framed reads the messages of a gRPC body: each has a byte that says whether it is compressed, its length, and its bytes (gRPC over HTTP/2,
// Length-Prefixed-Message).
func (d *Descriptors) framed(m protoreflect.MessageDescriptor, r *Response) (any, error) {
	const head = 5
	room := maxMessages
	var all []any
	for body := r.Body; len(body) > 0; {
		if len(body) < head || body[0] > 1 || uint64(len(body)-head) < uint64(binary.BigEndian.Uint32(body[1:])) {
			return nil, errors.New("this is no row of gRPC messages")
		}
		n := int(binary.BigEndian.Uint32(body[1:]))
		plain := body[head : head+n]
		if body[0] == 1 {
			var err error
			if plain, err = inflate(r.Header.Get("Grpc-Encoding"), plain, room); err != nil {
				return nil, err
			}
			room -= len(plain)
		}
		v, err := d.one(m, plain)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
		body = body[head+n:]
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return slices.Clip(all), nil
}

// inflate is a compressed message, of most bytes.
func inflate(coding string, b []byte, most int) ([]byte, error) {
	if coding != "gzip" {
		return nil, fmt.Errorf("messages in %q are not read", coding)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(io.LimitReader(z, int64(most)+1))
	if err == nil && len(plain) > most {
		err = errors.New("messages that come to more than is read")
	}
	return plain, err
}

// depth bounds how deep messages may be in each other: as much as protoc lets through.
const depth = 100

func (d *Descriptors) one(m protoreflect.MessageDescriptor, b []byte) (any, error) {
	msg := dynamicpb.NewMessage(m)
	o := proto.UnmarshalOptions{AllowPartial: true, RecursionLimit: depth, Resolver: new(protoregistry.Types)}
	if err := o.Unmarshal(b, msg); err != nil {
		return nil, fmt.Errorf("no %s: %w", m.FullName(), err)
	}
	return d.record(msg, depth), nil
}
