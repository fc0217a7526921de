package http1

// A Reader finds fields by their names, where those are not known beforehand.
type Reader struct{ *Request }

// Value is the i-th value of the fields of a name, from 0, in the order in which they came. The name is compared without case.
func (r *Reader) Value(name string, i int) (value []byte, ok bool) {
	for n := range r.Fields() {
		_, key, v := r.Field(n)
		if len(key) != len(name) || !sameName(key, name) {
			continue
		}
		if i == 0 {
			return v, true
		}
		i--
	}
	return nil, false
}
