package diff

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// known is a set of messages that the runtime itself has: between them they have every kind of field.
func known(t testing.TB) []byte {
	t.Helper()
	var fds descriptorpb.FileDescriptorSet
	for _, f := range []protoreflect.FileDescriptor{
		descriptorpb.File_google_protobuf_descriptor_proto, anypb.File_google_protobuf_any_proto, structpb.File_google_protobuf_struct_proto,
		timestamppb.File_google_protobuf_timestamp_proto,
	} {
		fds.File = append(fds.File, protodesc.ToFileDescriptorProto(f))
	}
	b, err := proto.Marshal(&fds)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// typed is a response that says itself which message it is.
func typed(t *testing.T, m proto.Message, more ...byte) Response {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return NewResponse(200, http.Header{"Content-Type": {`application/x-protobuf; messageType="` + string(m.ProtoReflect().Descriptor().FullName()) + `"`}}, append(b, more...))
}

func object(t *testing.T, text string) *structpb.Struct {
	t.Helper()
	s := new(structpb.Struct)
	if err := s.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var keyed = regexp.MustCompile("hash [0-9a-f]{16}")

// TestMessagesByField: a difference is at the path of its field, whatever kind the field is of.
func TestMessagesByField(t *testing.T) {
	t.Parallel()
	d, err := NewDescriptors(known(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := comparer(t, Options{Proto: d})
	moment := time.Date(2026, 11, 21, 12, 0, 0, 5, time.UTC)
	field := func(f *descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: proto.String("M"), Field: []*descriptorpb.FieldDescriptorProto{{Name: proto.String("first")}, f}}
	}
	option := func(o *descriptorpb.UninterpretedOption) *descriptorpb.FieldOptions {
		return &descriptorpb.FieldOptions{UninterpretedOption: []*descriptorpb.UninterpretedOption{o}}
	}
	unknown := slices.Concat(
		protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 7),
		protowire.AppendFixed64(protowire.AppendTag(nil, 901, protowire.Fixed64Type), 8),
		protowire.AppendBytes(protowire.AppendTag(nil, 902, protowire.BytesType), []byte("hunter2")),
		protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 9),
	)
	for _, tc := range []struct {
		name    string
		was, is Response
		want    []string
	}{
		{"enum, in a list", typed(t, field(&descriptorpb.FieldDescriptorProto{Type: descriptorpb.FieldDescriptorProto_TYPE_INT32.Enum()})),
			typed(t, field(&descriptorpb.FieldDescriptorProto{Type: descriptorpb.FieldDescriptorProto_TYPE_BOOL.Enum()})),
			[]string{`body.field[*].type changed: "TYPE_INT32" → "TYPE_BOOL"`}},
		{"presence", typed(t, field(&descriptorpb.FieldDescriptorProto{})), typed(t, field(&descriptorpb.FieldDescriptorProto{Number: proto.Int32(0)})),
			[]string{"body.field[*].number added: 0"}},
		{"bytes", typed(t, option(&descriptorpb.UninterpretedOption{StringValue: []byte("hunter2")})), typed(t, option(&descriptorpb.UninterpretedOption{StringValue: []byte("hunter3")})),
			[]string{"body.uninterpreted_option[*].string_value changed: 7 bytes, hash H → 7 bytes, hash H"}},
		{"no number", typed(t, option(&descriptorpb.UninterpretedOption{DoubleValue: proto.Float64(1)})), typed(t, option(&descriptorpb.UninterpretedOption{DoubleValue: proto.Float64(math.NaN())})),
			[]string{`body.uninterpreted_option[*].double_value retyped: 1 → "NaN"`}},
		{"map and oneof", typed(t, object(t, `{"price":1,"tags":["a","b"],"token":"s3cret"}`)), typed(t, object(t, `{"price":"1","tags":["b","a"],"token":"t0ken"}`)),
			[]string{"body.fields.price.number_value removed: 1", `body.fields.price.string_value added: "1"`,
				`body.fields.tags.list_value.values reordered: [{"string_value":"a"},{"string_value":"b"}] → [{"string_value":"b"},{"string_value":"a"}]`,
				"body.fields.token.string_value changed: (masked, 6 characters) → (masked, 5 characters)"}},
		{"time", typed(t, timestamppb.New(moment)), typed(t, timestamppb.New(moment.Add(time.Second))), []string{`body changed: "2026-11-21T12:00:00.000000005Z" → "2026-11-21T12:00:01.000000005Z"`}},
		{"what Any holds", typed(t, packed(t, object(t, `{"a":true}`))), typed(t, packed(t, object(t, `{"a":false}`))), []string{"body.value.fields.a.bool_value changed: true → false"}},
		{"an Any of another", typed(t, packed(t, timestamppb.New(moment))), typed(t, &anypb.Any{TypeUrl: "type.example.com/shop.Cart", Value: []byte{1}}),
			[]string{`body.type_url changed: "type.googleapis.com/google.protobuf.Timestamp" → "type.example.com/shop.Cart"`, `body.value retyped: "2026-11-21T12:00:00.000000005Z" → 1 bytes, hash H`}},
		{"fields without a name", typed(t, object(t, `{}`)), typed(t, object(t, `{}`), unknown...),
			[]string{"body.#900 added: [7,9]", "body.#901 added: 8", "body.#902 added: 7 bytes, hash H"}},
		{"another order on the wire", typed(t, object(t, `{}`), unknown...), typed(t, object(t, `{}`), slices.Concat(unknown[3:], unknown[:3])...), []string{"body.#900 reordered: [7,9] → [9,7]"}},
	} {
		got := words(c.Compare("GET /", now, tc.was, tc.is))
		for i := range got {
			got[i] = keyed.ReplaceAllString(got[i], "hash H")
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", tc.name, strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
		}
	}
}

// TestCompressedMessages: of gRPC the frames are compressed, and not the body.
func TestCompressedMessages(t *testing.T) {
	t.Parallel()
	d, err := NewDescriptors(set(t, "stock", "price"), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := comparer(t, Options{Proto: d})
	press := func(coding string, m []byte) Response {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(m)
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		r := NewResponse(200, http.Header{"Content-Type": {"application/grpc+proto"}, "Grpc-Encoding": {coding}, "Grpc-Status": {"0"}},
			append(binary.BigEndian.AppendUint32([]byte{1}, uint32(b.Len())), b.Bytes()...))
		r.Asked = "/shop.Shop/Get"
		return r
	}
	failed := press("gzip", item(1, 2))
	failed.Header = failed.Header.Clone()
	failed.Header["Grpc-Status"], failed.Header["Grpc-Message"] = []string{"5"}, []string{"no such item"}
	for _, tc := range []struct {
		is   Response
		want []string
	}{
		{press("gzip", item(1, 2)), nil},
		{press("gzip", item(1, 3)), []string{"body.price changed: 2 → 3"}},
		{failed, []string{`header.grpc-status changed: "0" → "5"`, `header.grpc-message added: "no such item"`}},
		{press("snappy", item(1, 2)), nil}, // the same bytes
	} {
		if got := words(c.Compare("POST /shop.Shop/{}", now, press("gzip", item(1, 2)), tc.is)); !slices.Equal(got, tc.want) {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
	bomb := press("gzip", make([]byte, maxMessages+1))
	if got := words(c.Compare("", now, press("gzip", item(1)), bomb)); len(got) != 1 || !strings.HasPrefix(got[0], "body retyped: ") {
		t.Errorf("more than is read is told as %q", got)
	}
}

// TestTerms: what a release says arrives at an edge, and what is too large for that is refused.
func TestTerms(t *testing.T) {
	t.Parallel()
	s, err := NewSchema(known(t), map[string]string{"GET /": "google.protobuf.Struct"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(Terms{Mask: []string{"iban"}, Rules: []Rule{{Path: "body.a"}}, Protobuf: s})
	if err != nil {
		t.Fatal(err)
	}
	terms, err := ReadTerms(b)
	if err != nil {
		t.Fatal(err)
	}
	o, err := terms.Options()
	if err != nil || o.Proto == nil || len(o.Rules) != 1 || len(o.Mask) != 1 {
		t.Errorf("%+v: %v", o, err)
	}
	large := set(t, slices.Collect(func(yield func(string) bool) {
		for i := range 9000 {
			if !yield(fmt.Sprintf("a_field_with_a_long_name_%05d", i)) {
				return
			}
		}
	})...)
	if _, err := NewSchema(large, nil); err == nil || !strings.Contains(err.Error(), "at most 262144") {
		t.Errorf("of %d bytes: %v", len(large), err)
	}
	if _, err := ReadTerms([]byte(`{"rules":7}`)); err == nil {
		t.Error("rules that are none are read")
	}
}

// FuzzMessages: whatever a body is, it is compared, and with itself it does not differ.
func FuzzMessages(f *testing.F) {
	d, err := NewDescriptors(known(f), nil)
	if err != nil {
		f.Fatal(err)
	}
	c, err := New(Options{Proto: d})
	if err != nil {
		f.Fatal(err)
	}
	names := []string{"google.protobuf.FileDescriptorProto", "google.protobuf.Struct", "google.protobuf.Any", "google.protobuf.Timestamp"}
	f.Add([]byte("\x0a\x04\x0a\x01a\x12\x00"), []byte("\xff\x01\x01"), byte(1))
	f.Add([]byte("\x0a\x25type.googleapis.com/google.protobuf.Any\x12\x02\x12\x00"), []byte{0x0b, 0x0c}, byte(2))
	f.Fuzz(func(t *testing.T, was, is []byte, which byte) {
		h := http.Header{"Content-Type": {"application/x-protobuf; proto=" + names[int(which)%len(names)]}}
		a, b := NewResponse(200, h, was), NewResponse(200, h, is)
		c.Compare("", now, a, b)
		a.Length++ // so that it is read
		b.Body, b.Length, b.Sum = was, int64(len(was)), [32]byte{}
		if got := c.Compare("", now, a, b); len(got.Differences) > 0 && got.Differences[0].Kind != Changed || len(got.Differences) > 1 {
			t.Fatalf("%x differs from itself: %v", was, words(got))
		}
	})
}
