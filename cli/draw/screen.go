package draw

import (
	"fmt"
	"io"
	"strings"
)

// Screen is a block of lines at the bottom of a terminal that is drawn again and again.
type Screen struct {
	W    io.Writer
	Size func() (width, height int)
	rows int // drawn now
}

// Draw replaces the block. It is one write, so that a terminal never shows half of it.
func (s *Screen) Draw(block []string) {
	width, height := s.Size()
	if height > 3 && len(block) > height-2 {
		block = append(block[:height-3:height-3], fmt.Sprintf("… %d more lines; semper status shows all", len(block)-height+3))
	}
	var b strings.Builder
	s.erase(&b)
	for _, l := range block {
		b.WriteString(Cut(l, width) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	s.rows = len(block)
	_, _ = io.WriteString(s.W, b.String()) // nobody left to tell
}

func (s *Screen) erase(b *strings.Builder) {
	if s.rows > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r", s.rows)
	}
}

// Above writes a line that stays, and leaves the block to be drawn again.
func (s *Screen) Above(line string) {
	width, _ := s.Size()
	var b strings.Builder
	s.erase(&b)
	b.WriteString("\x1b[J" + Cut(line, width) + "\n")
	s.rows = 0
	_, _ = io.WriteString(s.W, b.String()) // nobody left to tell
}

// Keep leaves the block as it is; what is written next comes below.
func (s *Screen) Keep() { s.rows = 0 }
