package diff

import (
	"encoding/binary"
	"net/http"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// set describes a service Shop with a method Get that returns an Item of a name and a price.
func set(t *testing.T, fields ...string) []byte {
	t.Helper()
	item := &descriptorpb.DescriptorProto{Name: proto.String("Item")}
	for i, name := range fields {
		item.Field = append(item.Field, &descriptorpb.FieldDescriptorProto{
			Name: proto.String(name), Number: proto.Int32(int32(i + 1)), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Type: descriptorpb.FieldDescriptorProto_TYPE_INT64.Enum(),
		})
	}
	b, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: proto.String("shop.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"), MessageType: []*descriptorpb.DescriptorProto{item},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Shop"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: proto.String("Get"), InputType: proto.String(".shop.Item"), OutputType: proto.String(".shop.Item")},
		}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// item is fields 1, 2 and so on with these values.
func item(values ...byte) (b []byte) {
	for i, v := range values {
		b = append(b, byte(i+1)<<3, v)
	}
	return b
}

func grpc(messages ...[]byte) Response {
	var b []byte
	for _, m := range messages {
		b = append(binary.BigEndian.AppendUint32(append(b, 0), uint32(len(m))), m...)
	}
	return NewResponse(200, http.Header{"Content-Type": {"application/grpc"}}, b)
}

func TestProtobuf(t *testing.T) {
	t.Parallel()
	d, err := NewDescriptors(set(t, "stock", "price"), map[string]string{"GET /item": "shop.Item"})
	if err != nil {
		t.Fatal(err)
	}
	c := comparer(t, Options{Proto: d})
	plain := func(b []byte) Response {
		return NewResponse(200, http.Header{"Content-Type": {"application/x-protobuf"}}, b)
	}
	for _, tc := range []struct {
		endpoint string
		was, is  Response
		want     []string
	}{
		{"/shop.Shop/Get", grpc(item(1, 2)), grpc(item(1, 3)), []string{`body.price changed: 2 → 3`}},
		{"/shop.Shop/Get", grpc(item(1), item(2)), grpc(item(2), item(1)), []string{`body reordered: [{"price":0,"stock":1},{"price":0,"stock":2}] → [{"price":0,"stock":2},{"price":0,"stock":1}]`}},
		{"GET /item", plain(item(1, 2)), plain(slices.Concat(item(1, 2)[2:], item(1))), nil},
		{"GET /item", plain(item(1, 2)), plain(item(1, 2, 3)), []string{"body.#3 added: 3"}}, // no field of the descriptor has it
		{"GET /item", plain(item(1)), plain(item(1, 2)), []string{`body.price changed: 0 → 2`}},
	} {
		if got := words(c.Compare(tc.endpoint, now, tc.was, tc.is)); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.endpoint, got, tc.want)
		}
	}
	// What is cut off, or framed otherwise, is compared as bytes: nothing is overlooked.
	for _, other := range []Response{grpc(item(1, 2)[:3]), {Status: 200, Header: grpc().Header, Kept: true, Body: []byte{0, 0, 0, 0, 9}, Length: 5}} {
		if got := c.Compare("/shop.Shop/Get", now, grpc(item(1, 2)), other); len(got.Differences) != 1 || got.Differences[0].Kind != Retyped {
			t.Errorf("%q", words(got))
		}
	}
	for name, err := range map[string]error{
		"no set":     second(NewDescriptors([]byte{0xff}, nil)),
		"no message": second(NewDescriptors(set(t, "a"), map[string]string{"GET /": "shop.Itme"})),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func second(_ *Descriptors, err error) error { return err }
