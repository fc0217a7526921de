package diff

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// A record is a message: an object whose keys are names, however many there are.
type record map[string]any

// record is m by the names of its fields. A field without presence that is not set has its zero, which on the wire is the same. A field that the
// descriptor does not have is there by its number, as #7: nothing is overlooked.
func (d *Descriptors) record(m protoreflect.Message, deep int) any {
	if deep == 0 {
		return raw("messages deeper than is read")
	}
	switch m.Descriptor().FullName() {
	case "google.protobuf.Timestamp":
		if s, ok := timestamp(m); ok {
			return s
		}
	case "google.protobuf.Any":
		if v, ok := d.packed(m, deep); ok {
			return v
		}
	}
	out := make(record)
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.HasPresence() && !m.Has(f) {
			continue
		}
		out[string(f.Name())] = d.field(f, m.Get(f), deep)
	}
	unknown(out, m.GetUnknown())
	return out
}

func (d *Descriptors) field(f protoreflect.FieldDescriptor, v protoreflect.Value, deep int) any {
	switch {
	case f.IsMap():
		out := make(map[string]any, v.Map().Len())
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			out[k.String()] = d.scalar(f.MapValue(), v, deep)
			return true
		})
		return out
	case f.IsList():
		out := make([]any, v.List().Len())
		for i := range out {
			out[i] = d.scalar(f, v.List().Get(i), deep)
		}
		return out
	}
	return d.scalar(f, v, deep)
}

// scalar is one value. Of bytes it says how many they are, and no more.
func (d *Descriptors) scalar(f protoreflect.FieldDescriptor, v protoreflect.Value, deep int) any {
	switch x := v.Interface().(type) {
	case bool, string:
		return x
	case int32, int64, uint32, uint64:
		return json.Number(fmt.Sprint(x))
	case float32:
		return float(float64(x), 32)
	case float64:
		return float(x, 64)
	case []byte:
		return hashed(x)
	case protoreflect.EnumNumber:
		if e := f.Enum().Values().ByNumber(x); e != nil {
			return string(e.Name())
		}
		return json.Number(strconv.Itoa(int(x)))
	case protoreflect.Message:
		return d.record(x, deep-1)
	}
	return raw("a value of a kind that is not known here") // there is none
}

func float(x float64, bits int) any {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'g', -1, bits) // which no number in JSON is
	}
	return json.Number(strconv.FormatFloat(x, 'g', -1, bits))
}

// seed keys the hashes of bytes: a PIN is not to be guessed by them.
var seed = maphash.MakeSeed()

// hashed stands for bytes, which may be secret. It is the same for the same bytes as long as this process lives.
func hashed(b []byte) raw {
	return raw(fmt.Sprintf("%d bytes, hash %016x", len(b), maphash.Bytes(seed, b)))
}

// timestamp is a google.protobuf.Timestamp as one value, as people write it.
func timestamp(m protoreflect.Message) (string, bool) {
	f := m.Descriptor().Fields()
	seconds, nanos := f.ByName("seconds"), f.ByName("nanos")
	if seconds == nil || nanos == nil || seconds.Kind() != protoreflect.Int64Kind || nanos.Kind() != protoreflect.Int32Kind || len(m.GetUnknown()) > 0 {
		return "", false
	}
	t := time.Unix(m.Get(seconds).Int(), m.Get(nanos).Int()).UTC()
	return t.Format(time.RFC3339Nano), t.Year() >= 1 && t.Year() <= 9999
}

// packed is what a google.protobuf.Any holds, if the set has its message.
func (d *Descriptors) packed(m protoreflect.Message, deep int) (any, bool) {
	f := m.Descriptor().Fields()
	url, value := f.ByName("type_url"), f.ByName("value")
	if url == nil || value == nil || url.Kind() != protoreflect.StringKind || value.Kind() != protoreflect.BytesKind {
		return nil, false
	}
	name := m.Get(url).String()
	inner := d.named(name[strings.LastIndexByte(name, '/')+1:])
	if inner == nil {
		return nil, false
	}
	msg := dynamicpb.NewMessage(inner)
	if (proto.UnmarshalOptions{AllowPartial: true, RecursionLimit: deep, Resolver: new(protoregistry.Types)}).Unmarshal(m.Get(value).Bytes(), msg) != nil {
		return nil, false
	}
	return record{"type_url": name, "value": d.record(msg, deep-1)}, true
}

// unknown puts fields that no descriptor has into out, by their numbers; one that comes again is a list. They were read once, so that they
// are well formed.
func unknown(out record, b []byte) {
	for len(b) > 0 {
		number, kind, head := protowire.ConsumeTag(b)
		if head < 0 {
			return
		}
		n := protowire.ConsumeFieldValue(number, kind, b[head:])
		if n < 0 {
			return
		}
		key := "#" + strconv.Itoa(int(number))
		v := wire(kind, b[head:head+n])
		switch before := out[key].(type) {
		case nil:
			out[key] = v
		case []any:
			out[key] = append(before, v)
		default:
			out[key] = []any{before, v}
		}
		b = b[head+n:]
	}
}

// wire is a value of which the wire's kind alone is known.
func wire(kind protowire.Type, b []byte) any {
	switch kind {
	case protowire.VarintType:
		x, _ := protowire.ConsumeVarint(b)
		return json.Number(strconv.FormatUint(x, 10))
	case protowire.Fixed32Type:
		x, _ := protowire.ConsumeFixed32(b)
		return json.Number(strconv.FormatUint(uint64(x), 10))
	case protowire.Fixed64Type:
		x, _ := protowire.ConsumeFixed64(b)
		return json.Number(strconv.FormatUint(x, 10))
	case protowire.BytesType:
		x, _ := protowire.ConsumeBytes(b)
		return hashed(x)
	}
	return hashed(b) // a group
}
