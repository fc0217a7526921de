package diff

import (
	"bytes"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// element is what is compared of an HTML element: its name, its attributes, and in their order its texts and elements.
type element struct {
	name       string
	attributes map[string]string
	children   []*element
	text       string // of a text, which has no name
}

// parsePage reads a page as a browser would. Space between words counts as one blank, between elements as none; comments are
// left out.
func parsePage(b []byte) *element {
	n, err := html.Parse(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	return lift(n, 0)
}

// maxDepth bounds how deep a page is looked into.
const maxDepth = 512

func lift(n *html.Node, depth int) *element {
	e := &element{name: n.Data}
	if n.Type == html.DocumentNode {
		e.name = "document"
	}
	for _, a := range n.Attr {
		if e.attributes == nil {
			e.attributes = make(map[string]string, len(n.Attr))
		}
		name, value := a.Key, a.Val
		if name == "class" { // a set
			words := strings.Fields(value)
			slices.Sort(words)
			value = strings.Join(slices.Compact(words), " ")
		}
		e.attributes[name] = value
	}
	for c := n.FirstChild; c != nil && depth < maxDepth; c = c.NextSibling {
		switch c.Type {
		case html.TextNode:
			if text := strings.Join(strings.Fields(c.Data), " "); text != "" {
				e.children = append(e.children, &element{text: text})
			}
		case html.ElementNode:
			e.children = append(e.children, lift(c, depth+1))
		}
	}
	return e
}

// page compares two elements of the same name. Where their children are not the same elements in the same order, that is the
// difference, and nothing below it is compared: any pairing would be a guess.
func (w *walk) page(p Path, a, b *element) {
	for _, name := range names(a.attributes, b.attributes) {
		was, had := a.attributes[name]
		is, has := b.attributes[name]
		switch at := p.with("@" + name); {
		case !has:
			w.add(at, Removed, was, nil)
		case !had:
			w.add(at, Added, nil, is)
		case was != is:
			w.add(at, Changed, was, is)
		}
	}
	if was, is := outline(a), outline(b); !slices.Equal(was, is) {
		w.add(p, Resized, raw(strings.Join(was, " ")), raw(strings.Join(is, " ")))
		return
	}
	for i, child := range a.children {
		switch other := b.children[i]; {
		case child.name != "":
			w.page(p.with(child.name), child, other)
		case child.text != other.text:
			w.add(p.with("text"), Changed, child.text, other.text)
		}
	}
}

// outline are the names of the elements and texts in e.
func outline(e *element) []string {
	var names []string
	for _, c := range e.children {
		if c.name == "" {
			names = append(names, "text")
		} else {
			names = append(names, c.name)
		}
	}
	return names
}

func names(a, b map[string]string) []string {
	var all []string
	for k := range a {
		all = append(all, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	return all
}
