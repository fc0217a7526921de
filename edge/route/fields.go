package route

import (
	"fmt"
	"net/textproto"
	"strings"
)

// A Field is a header field to be written.
type Field struct{ Name, Value string }

// Fields are written in their order.
type Fields []Field

// Put appends a field. The error says why it cannot be one.
func (f *Fields) Put(name, value string) error {
	if err := checkField(name, value); err != nil {
		return err
	}
	*f = append(*f, Field{textproto.CanonicalMIMEHeaderKey(name), value})
	return nil
}

// All yields the fields in their order.
func (f Fields) All(yield func(name, value string) bool) {
	for _, one := range f {
		if !yield(one.Name, one.Value) {
			return
		}
	}
}

// checkField refuses what is no field, and what only the edge itself may write: the fields that frame messages, or
// speak of one connection.
func checkField(name, value string) error {
	if err := checkName(name); err != nil {
		return err
	}
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return fmt.Errorf("the value of %s has the character 0x%02x in it: leave it out", name, c)
		}
	}
	if strings.Trim(value, " \t") != value {
		return fmt.Errorf("the value of %s begins or ends with a space: leave it out", name)
	}
	return nil
}

func checkName(name string) error {
	if !isToken(name) {
		return fmt.Errorf("%q is not the name of a field: letters, digits and dashes", name)
	}
	switch strings.ToLower(name) {
	case "host":
		return fmt.Errorf("%s is not changed among the fields: use rewrite.host", name)
	case "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "keep-alive", "proxy-connection", "expect":
		return fmt.Errorf("%s belongs to one connection or one message: the edge writes it itself", name)
	}
	return nil
}

// isToken is RFC 9110, 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
