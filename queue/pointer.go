package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Pointer is a place in a document of JSON: RFC 6901.
type Pointer []string

// maxDepth is how deep a pointer may go: each step reads what is below once more.
const maxDepth = 16

// ReadPointer reads a pointer that begins with a slash.
func ReadPointer(text string) (Pointer, error) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok {
		return nil, invalid(fmt.Sprintf("%q is no JSON pointer", text), "one begins with a slash: /customer/id")
	}
	p := Pointer(strings.Split(rest, "/"))
	if len(p) > maxDepth {
		return nil, invalid(fmt.Sprintf("a JSON pointer of %d steps is more than %d", len(p), maxDepth), "point at something less deep")
	}
	for i, step := range p {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(step), "~") {
			return nil, invalid(fmt.Sprintf("%q is no JSON pointer", text), "~0 is a tilde in it, ~1 a slash")
		}
		p[i] = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
	}
	return p, nil
}

func (p Pointer) String() string {
	var b strings.Builder
	for _, step := range p {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// Text is what stands at p in a document, where that is text, a number as it is written, true or false. It is empty where there
// is nothing, or null. An error says what is wrong with the document, and where.
func (p Pointer) Text(document []byte) (string, error) {
	if err := json.Unmarshal(document, new(json.RawMessage)); err != nil {
		at := int64(len(document))
		if s, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = s.Offset
		}
		return "", invalid(fmt.Sprintf("the body is no JSON at byte %d: %v", at, err), "its key is to be at "+p.String())
	}
	at := json.RawMessage(document)
	for i, step := range p {
		var err error
		if at, err = below(at, step); err != nil {
			return "", invalid(fmt.Sprintf("the body has nothing below %s: %v", p[:i], err), "its key is to be at "+p.String())
		}
	}
	switch text := strings.TrimSpace(string(at)); {
	case text == "" || text == "null":
		return "", nil
	case text[0] == '{' || text[0] == '[':
		return "", invalid("the body has no plain value at "+p.String(), "its key is text or a number")
	case text[0] == '"':
		var s string
		err := json.Unmarshal(at, &s)
		return s, err
	default:
		return text, nil
	}
}

// below is the member or item of a value that step names; nothing, where there is none.
func below(value json.RawMessage, step string) (json.RawMessage, error) {
	switch text := strings.TrimSpace(string(value)); {
	case text == "" || text == "null":
		return nil, nil
	case text[0] == '{':
		var members map[string]json.RawMessage
		err := json.Unmarshal(value, &members)
		return members[step], err
	case text[0] == '[':
		var items []json.RawMessage
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || step != strconv.Itoa(i) {
			return nil, errors.New("it is a list, and " + strconv.Quote(step) + " no number of an item")
		}
		if err := json.Unmarshal(value, &items); err != nil || i >= len(items) {
			return nil, err
		}
		return items[i], nil
	}
	return nil, errors.New("it is a plain value")
}
