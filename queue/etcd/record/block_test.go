package record

import (
	"bytes"
	"testing"
	"time"

	"semper/queue"
)

// TestParts reads back what was written, and takes nothing from a block that is cut off anywhere but between two jobs.
func TestParts(t *testing.T) {
	t.Parallel()
	records := [][]byte{[]byte("first"), {}, bytes.Repeat([]byte("x"), 300)}
	value := []byte{BlockSchema}
	ends := map[int]int{1: 0}
	var ids []queue.ID
	for i, r := range records {
		ids = append(ids, queue.NewID(time.Unix(int64(i), 0)))
		value = AppendPart(value, ids[i], r)
		ends[len(value)] = i + 1
	}
	for n := range len(value) + 1 {
		count := 0
		ok := Parts(value[:n], func(id queue.ID, record []byte) {
			if id != ids[count] || !bytes.Equal(record, records[count]) {
				t.Errorf("%d bytes: part %d is %s, %q", n, count, id, record)
			}
			count++
		})
		if want, whole := ends[n]; ok != whole || ok && count != want {
			t.Errorf("%d bytes: %v with %d parts", n, ok, count)
		}
	}
}

// FuzzParts has nothing of a block that semper did not write make it panic.
func FuzzParts(f *testing.F) {
	f.Add(AppendPart([]byte{BlockSchema}, queue.NewID(time.Unix(1, 0)), []byte("record")))
	f.Add([]byte{BlockSchema, 0xff})
	f.Fuzz(func(_ *testing.T, value []byte) {
		Parts(value, func(_ queue.ID, record []byte) { _, _ = OpenMeta("k", record) })
		_, _ = Marked(Block{}, value)
	})
}
