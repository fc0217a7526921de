package wsframe

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// frame builds one frame by the letter of RFC 6455, 5.2.
func frame(fin bool, op byte, payload []byte, mask bool) []byte {
	b := []byte{op, 0}
	if fin {
		b[0] |= 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if mask {
		b[1] |= 0x80
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, payload...)
}

func TestBoundariesAtEverySplit(t *testing.T) {
	t.Parallel()
	frames := [][]byte{
		frame(true, 1, []byte("hello"), false),
		frame(true, 2, nil, true),
		frame(false, 1, bytes.Repeat([]byte("x"), 200), true),
		frame(true, 9, []byte("ping"), false),
		frame(true, 0, []byte("end"), true),
		frame(true, 2, bytes.Repeat([]byte{0x81}, 70_000), false),
	}
	atMessage := []bool{true, true, false, false, true, true}
	stream := bytes.Join(frames, nil)
	ends, sum := map[int]bool{}, 0
	for i, f := range frames {
		sum += len(f)
		ends[sum] = atMessage[i]
	}
	for _, step := range []int{1, 2, 3, 7, 131, 4096, len(stream)} {
		var tr Tracker
		for at := 0; at < len(stream); {
			chunk := stream[at:min(at+step, len(stream))]
			n := tr.Next(chunk)
			if n < 1 || n > len(chunk) {
				t.Fatalf("step %d: took %d of %d", step, n, len(chunk))
			}
			at += n
			message, end := ends[at]
			if tr.AtFrame() != end {
				t.Fatalf("step %d: at byte %d: between frames %t, want %t", step, at, tr.AtFrame(), end)
			}
			if end && tr.AtMessage() != message {
				t.Fatalf("step %d: at byte %d: between messages %t, want %t", step, at, tr.AtMessage(), message)
			}
		}
		if tr.Messages() != 4 {
			t.Errorf("step %d: %d messages, want 4", step, tr.Messages())
		}
	}
}

func TestCloseFrame(t *testing.T) {
	t.Parallel()
	plain := Close(ServiceRestart, "restart", nil)
	if want := frame(true, 8, append([]byte{0x03, 0xf4}, "restart"...), false); !bytes.Equal(plain, want) {
		t.Errorf("got %x, want %x", plain, want)
	}
	masked := Close(GoingAway, "", &[4]byte{9, 8, 7, 6})
	if want := []byte{0x88, 0x82, 9, 8, 7, 6, 0x03 ^ 9, 0xe9 ^ 8}; !bytes.Equal(masked, want) {
		t.Errorf("got %x, want %x", masked, want)
	}
	var tr Tracker
	tr.Feed(masked)
	if !tr.Closed() || !tr.AtMessage() {
		t.Error("a close frame was not seen as one")
	}
	if n := len(Close(GoingAway, string(make([]byte, 500)), nil)); n != 127 {
		t.Errorf("a close frame of %d bytes: control frames hold at most 125", n)
	}
}

func TestBrokenLengthIsNeverABoundary(t *testing.T) {
	t.Parallel()
	var tr Tracker
	tr.Feed(append([]byte{0x82, 127}, bytes.Repeat([]byte{0xff}, 64)...))
	if tr.AtFrame() || tr.AtMessage() {
		t.Error("a frame longer than any stream ended")
	}
}

func FuzzTracker(f *testing.F) {
	f.Add(frame(true, 1, []byte("hello"), true), 3)
	f.Add([]byte{0x82, 127, 255, 0, 0}, 1)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		step = 1 + (step&0x7fffffff)%64
		var whole, parts Tracker
		whole.Feed(b)
		for rest := b; len(rest) > 0; {
			n := parts.Next(rest[:min(step, len(rest))])
			if n < 1 {
				t.Fatal("no progress")
			}
			rest = rest[n:]
		}
		if whole.AtFrame() != parts.AtFrame() || whole.Messages() != parts.Messages() || whole.Closed() != parts.Closed() {
			t.Fatalf("whole %+v, in parts %+v", whole, parts)
		}
	})
}
