package record

import (
	"encoding/binary"
	"fmt"
	"net/http"

	"semper/queue"
)

// compactMark begins a job's record that is not JSON: as the length of a JSON text it would be too little for one. Records of jobs are
// written for each request that is accepted; JSON was an eighth of what that cost.
const compactMark = 1

// AppendJob adds m and r, without the body.
func AppendJob(b []byte, m *Meta, r *Request) []byte {
	b = append(b, compactMark)
	b = binary.AppendUvarint(b, Schema)
	b = appendText(b, m.Key)
	b = binary.AppendVarint(b, int64(m.Priority))
	b = appendTime(b, m.Accepted)
	b = appendTime(b, m.NotBefore)
	b = appendTime(b, m.Expires)
	b = binary.AppendVarint(b, m.Size)
	b = binary.AppendVarint(b, m.Place)
	for _, s := range []string{m.Dedup, m.Body, m.Callback, r.DedupKey, r.Request.Method, r.Request.Target, r.Request.Host} {
		b = appendText(b, s)
	}
	n := 0
	for _, values := range r.Request.Header {
		n += len(values)
	}
	b = binary.AppendUvarint(b, uint64(n))
	for name, values := range r.Request.Header {
		for _, v := range values {
			b = appendText(appendText(b, name), v)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// OpenJob reads a record under job: the body is what of it follows the record.
func OpenJob(key string, record []byte) (m Meta, r Request, body []byte, err error) {
	if len(record) == 0 || record[0] != compactMark {
		body, err = Unpack(key, record, &m, &r) // of a semper before
		return m, r, body, err
	}
	in := reader{b: record[1:]}
	m.Schema = int(min(in.uvarint(), 1<<16))
	if m.Schema > Schema {
		return m, r, nil, Damaged(key, fmt.Errorf("schema %d, and this semper knows %d", m.Schema, Schema))
	}
	m.Key, m.Priority = in.text(), int(in.varint())
	m.Accepted, m.NotBefore, m.Expires = in.time(), in.time(), in.time()
	m.Size, m.Place = in.varint(), in.varint()
	m.Dedup, m.Body, m.Callback, r.DedupKey = in.text(), in.text(), in.text(), in.text()
	r.Request = queue.Request{Method: in.text(), Target: in.text(), Host: in.text()}
	n := in.uvarint()
	if n > 0 && !in.bad {
		r.Request.Header = http.Header{}
	}
	for ; n > 0 && !in.bad; n-- {
		name := in.text()
		r.Request.Header[name] = append(r.Request.Header[name], in.text())
	}
	if in.bad {
		return m, r, nil, Damaged(key, nil)
	}
	return m, r, in.b, nil
}

// OpenMeta is openJob for who does not want the request.
func OpenMeta(key string, record []byte) (Meta, error) {
	m, _, _, err := OpenJob(key, record)
	return m, err
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	return string(r.bytes(int(n)))
}
