package streamstore

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"semper"
)

// TestIndex holds the index against a map.
func TestIndex(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var x index
		model := map[string]*entry{}
		key := rapid.Custom(func(t *rapid.T) string {
			return fmt.Sprintf("%s/%04d", rapid.SampledFrom([]string{"a", "b", "bb"}).Draw(t, "dir"), rapid.IntRange(0, 2000).Draw(t, "n"))
		})
		for i := range rapid.IntRange(0, 2000).Draw(t, "rising") { // more than a chunk has
			e := &entry{key: fmt.Sprintf("b/%04d", i)}
			x.put(e)
			model[e.key] = e
		}
		for range rapid.IntRange(0, 200).Draw(t, "changes") {
			k := key.Draw(t, "key")
			if rapid.Bool().Draw(t, "remove") {
				if got := x.remove(k); got != model[k] {
					t.Fatalf("removing %s gives %v, want %v", k, got, model[k])
				}
				delete(model, k)
				continue
			}
			e := &entry{key: k}
			if got := x.put(e); got != model[k] {
				t.Fatalf("putting %s gives %v, want %v", k, got, model[k])
			}
			model[k] = e
		}
		prefix := rapid.SampledFrom([]string{"", "a", "a/", "b/", "bb", "b/1", "c"}).Draw(t, "prefix")
		after := rapid.OneOf(rapid.Just(""), rapid.Just("b"), key).Draw(t, "after")
		var got []string
		x.below(prefix, after, func(e *entry) bool {
			got = append(got, e.key)
			return true
		})
		var want []string
		for _, k := range slices.Sorted(maps.Keys(model)) {
			if x.get(k) != model[k] {
				t.Fatalf("%s is not there", k)
			}
			if strings.HasPrefix(k, prefix) && (after == "" || k > after) {
				want = append(want, k)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || x.count != len(model) {
			t.Fatalf("below %q after %q, of %d and %d: %s", prefix, after, x.count, len(model), diff)
		}
	})
}

// TestReplay writes random commits and carries, and reads them from wherever a purge may have left the beginning.
func TestReplay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newState()
		var messages [][]byte
		add := func(r *record) {
			m := r.encode()
			messages = append(messages, m)
			if _, err := s.apply(uint64(len(messages)), m); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "messages") {
			if goal := s.goal(rapid.Int64Range(0, 3000).Draw(t, "slack")); goal > 0 {
				r := &record{base: s.revision, through: goal, carried: []change{}}
				s.items.below("", "", func(e *entry) bool {
					if e.seq <= goal {
						r.carried = append(r.carried, change{key: e.key, version: e.version, value: messages[e.seq-1][e.at : e.at+e.size]})
					}
					return true
				})
				add(r)
				continue
			}
			var txns []semper.Txn
			for range rapid.IntRange(1, 3).Draw(t, "txns") {
				var txn semper.Txn
				for _, k := range rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 4, rapid.ID[int]).Draw(t, "keys") {
					txn.Then = append(txn.Then, semper.Write{Key: fmt.Sprint("k", k), Delete: rapid.Bool().Draw(t, "delete"),
						Value: bytes.Repeat([]byte{byte(k)}, rapid.IntRange(0, 300).Draw(t, "size"))})
				}
				txns = append(txns, txn)
			}
			if _, commits := s.decide(txns); len(commits) > 0 {
				add(&record{base: s.revision + 1, commits: commits})
			}
		}
		from := rapid.IntRange(0, int(s.mark)).Draw(t, "purged")
		again := newState()
		for i, m := range messages[from:] {
			if _, err := again.apply(uint64(from+i+1), m); err != nil {
				t.Fatalf("from %d: %v", from, err)
			}
		}
		if len(messages) == 0 {
			return
		}
		if err := again.whole(uint64(from + 1)); err != nil {
			t.Fatal(err)
		}
		if got, want := show(again, messages), show(s, messages); got != want {
			t.Fatalf("from %d there is %s, want %s", from, got, want)
		}
		if again.live != s.live || s.live < 0 || s.stored < 0 {
			t.Fatalf("%d bytes live, want %d of %d", again.live, s.live, s.stored)
		}
	})
}

func show(s *state, messages [][]byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "revision %d:", s.revision)
	s.items.below("", "", func(e *entry) bool {
		fmt.Fprintf(&b, " %s@%d=%x in %d", e.key, e.version, messages[e.seq-1][e.at:e.at+e.size], e.seq)
		return true
	})
	return b.String()
}

// FuzzDecode: whatever stands in the stream is a record or an error.
func FuzzDecode(f *testing.F) {
	f.Add((&record{base: 2, commits: [][]change{{{key: "a", value: []byte("1")}, {key: "b", deleted: true}}}}).encode())
	f.Add((&record{base: 7, through: 3, carried: []change{{key: "a", value: []byte("1"), version: 5}}}).encode())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := decode(message)
		if err != nil {
			return
		}
		if again := r.encode(); !bytes.Equal(again, message) {
			t.Errorf("it is read and written as %x", again)
		}
	})
}
