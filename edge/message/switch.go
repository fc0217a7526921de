package message

import (
	"bufio"
	"errors"
	"net/http"

	"semper/edge/route"
)

// WriteSwitch answers 101 with the fields of h, which it makes fit for the next hop and edits by e, and flushes w.
func WriteSwitch(w *bufio.Writer, h http.Header, e route.Edit) error {
	to := h["Upgrade"]
	RemoveHopByHop(h)
	delete(h, ErrorWord)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, to
	Edit(h, e)
	_, err := w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	if err == nil {
		err = h.Write(w)
	}
	if err == nil {
		_, err = w.WriteString("\r\n")
	}
	return errors.Join(err, w.Flush())
}
