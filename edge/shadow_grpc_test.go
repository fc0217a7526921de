package edge

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"semper"
	"semper/verify/diff"
)

// prices is a service shop.Prices with a method Get, which answers an Item of a price and a stamp.
func prices(t *testing.T) []byte {
	t.Helper()
	field := func(name string, n int32) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &n, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(), Type: descriptorpb.FieldDescriptorProto_TYPE_UINT64.Enum(),
		}
	}
	set, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: proto.String("shop.proto"), Package: proto.String("shop"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Item"), Field: []*descriptorpb.FieldDescriptorProto{field("price", 1), field("stamp", 2)}}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("PricesOfTheWholeAssortment"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: proto.String("Get"), InputType: proto.String(".shop.Item"), OutputType: proto.String(".shop.Item")},
		}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestShadowReadsGRPC: copies of calls are compared by the fields of their answers, and by the status that comes behind them.
func TestShadowReadsGRPC(t *testing.T) {
	t.Parallel()
	f := h2cFixture(t)
	var stamp atomic.Uint64
	item := func(price byte) []byte {
		m := binary.AppendUvarint([]byte{1 << 3, price, 2 << 3}, 1000+stamp.Add(1))
		return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
	}
	answers := func(price byte, missing string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" || err != nil || len(b) != 7 {
				http.Error(w, fmt.Sprintf("%s %v %d %v", r.Proto, r.Header, len(b), err), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			if b[6] == 9 {
				w.Header().Set("Grpc-Status", missing)
				return
			}
			w.Write(item(price)) //nolint:errcheck // a test's
			w.Header().Set("Grpc-Status", "0")
		})
	}
	one, two := h2App(t, answers(7, "5")), h2App(t, answers(8, "13"))
	one.ID, two.ID = "bar/web.r1.1", "bar/web.r2.1"
	schema, err := diff.NewSchema(prices(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	terms, err := json.Marshal(diff.Terms{Protobuf: schema})
	if err != nil {
		t.Fatal(err)
	}
	f.table(1, func(tab *semper.Table) {
		shadowed(semper.Shadowing{Rules: terms}, two.Backend)(tab)
		tab.Routes[0].Policy = raw(`{"shadow":"all"}`)
		for i := range tab.Pools {
			tab.Pools[i].Protocol = semper.ProtocolH2C
		}
	}, one.Backend)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	const asked = 20
	for i := range asked {
		call := []byte{0, 0, 0, 0, 2, 1 << 3, byte(8 + i%2)}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url("/shop.PricesOfTheWholeAssortment/Get"), bytes.NewReader(call))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // it was read
		if want := []string{"0", "5"}[i%2]; err != nil || resp.StatusCode != http.StatusOK || resp.Trailer.Get("Grpc-Status") != want {
			t.Fatalf("%s %v %v %q %v", resp.Status, resp.Header, resp.Trailer, b, err)
		}
	}
	got := f.compared()
	at := map[string]diff.Tally{}
	for _, p := range got.Places {
		at[strings.Join(p.Path, ".")+" "+string(p.Kind)] = p
	}
	if price := at["body.price changed"]; price.Seen == 0 || price.Noise != 0 || len(price.Examples) == 0 || price.Examples[0].Was != "7" || price.Examples[0].Is != "8" {
		t.Errorf("the price: %+v of\n%+v", price, got)
	}
	if status := at["header.grpc-status changed"]; status.Seen == 0 || status.Noise != 0 {
		t.Errorf("the status behind the answer: %+v of\n%+v", status, got)
	}
	if noise := at["body.stamp changed"]; noise.Noise == 0 || noise.Candidate != 0 || len(at) != 3 {
		t.Errorf("what differs by itself: %+v", got.Places)
	}
}
