package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// posters is how many clients hand in requests at a time, each over one connection.
const posters = 256

// post has clients POST bodies of 1 KB to target at address for a span, and gives how many were answered with 202, a second.
func post(ctx context.Context, address, target string, span time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)
	var accepted atomic.Int64
	errs := make([]error, posters)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range posters {
		wg.Go(func() { errs[i] = poster(ctx, address, request, &accepted) })
	}
	wg.Wait()
	took := time.Since(began).Seconds()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return float64(accepted.Load()) / took, nil
}

// poster asks again as soon as it is answered, until ctx ends. Anything but 202 is an error.
func poster(ctx context.Context, address string, request []byte, accepted *atomic.Int64) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // all of it was read
	r := bufio.NewReader(conn)
	for ctx.Err() == nil {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("%s: %s", resp.Status, text)
		}
		accepted.Add(1)
	}
	return nil
}
