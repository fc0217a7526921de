package streamstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"semper"
)

// Subject is where the stream of that name takes messages from.
func Subject(stream string) string { return stream + ".log" }

// toldSubject is where processes tell each other, outside of any stream, how far they have come and which roles they have.
func toldSubject(stream string) string { return stream + ".told" }

// remote is the stream in the server. Nothing is repeated here.
type remote struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	name string
}

var (
	errMoved = errors.New("the stream has another last message than expected")
	errGone  = errors.New("the message is not there")
)

// append adds a message behind the one at last, or gives errMoved.
func (r *remote) append(ctx context.Context, last uint64, message []byte) (uint64, error) {
	ack, err := r.js.PublishMsg(ctx, &nats.Msg{Subject: Subject(r.name), Data: message}, jetstream.WithExpectStream(r.name), jetstream.WithExpectLastSequence(last), jetstream.WithRetryAttempts(0))
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return 0, errMoved
		}
	}
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// Codes of the server's errors that no later attempt mends by itself.
const (
	codeAccountLimits  = 10002
	codeInsufficient   = 10023
	codeStorageLimits  = 10047
	codeTooLarge       = 10054
	codeStoreFailed    = 10077 // the stream is at its max_bytes, or its disk is full
	codeStreamNotFound = 10059
)

// final is err in the words of semper where trying again at once is of no use, else nil.
func final(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		if errors.Is(err, nats.ErrMaxPayload) {
			return &semper.Error{Code: semper.Invalid, Op: "queue", Message: "a commit is larger than the messages the server takes", Hint: "raise max_payload of the nats-server to 2MB"}
		}
		return nil
	}
	switch api.ErrorCode {
	case codeAccountLimits, codeInsufficient, codeStorageLimits, codeStoreFailed:
		return &semper.Error{Code: semper.NoSpace, Op: "queue", Message: fmt.Sprintf("the nats-server has no room for more (%d: %s); nothing was written", api.ErrorCode, api.Description),
			Hint: "let jobs be done, or raise max_bytes of the stream, max_store of the server, or the disk"}
	case codeTooLarge:
		return &semper.Error{Code: semper.Invalid, Op: "queue", Message: "a commit is larger than the messages the stream takes", Hint: "remove max_msg_size from the stream"}
	case codeStreamNotFound:
		return &semper.Error{Code: semper.Tampered, Op: "queue", Message: "the stream is gone from the server, with the jobs in it",
			Hint: "restore it from its backup (nats stream restore); semper does not begin an empty one in its place while it runs"}
	}
	return nil
}

// ends is the first and the last sequence of the stream, by its leader.
func (r *remote) ends(ctx context.Context) (first, last uint64, err error) {
	s, err := r.js.Stream(ctx, r.name)
	if err != nil {
		return 0, 0, err
	}
	state := s.CachedInfo().State
	return state.FirstSeq, state.LastSeq, nil
}

// purge removes the messages up to seq.
func (r *remote) purge(ctx context.Context, seq uint64) error {
	s, err := r.js.Stream(ctx, r.name)
	if err != nil {
		return err
	}
	return s.Purge(ctx, jetstream.WithPurgeSequence(seq+1))
}

type getRequest struct {
	Seq      uint64 `json:"seq"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

func (r *remote) direct() string { return "$JS.API.DIRECT.GET." + r.name }

// Headers and statuses of direct gets; NATS architecture decision record 31.
const (
	headerStatus   = "Status"
	headerSequence = "Nats-Sequence"
	statusEnd      = "204"
	statusNone     = "404"
)

// read is the message at seq.
func (r *remote) read(ctx context.Context, seq uint64) ([]byte, error) {
	ask, err := json.Marshal(getRequest{Seq: seq})
	if err != nil {
		return nil, err
	}
	m, err := r.nc.RequestWithContext(ctx, r.direct(), ask)
	switch {
	case err != nil:
		return nil, err
	case m.Header.Get(headerStatus) == statusNone:
		return nil, errGone
	case m.Header.Get(headerStatus) != "":
		return nil, fmt.Errorf("the server answers %s %s", m.Header.Get(headerStatus), m.Header.Get("Description"))
	}
	return m.Data, nil
}

// How much one request of readFrom asks for, and how long it may be silent.
const (
	readMost   = 4096
	readBytes  = 8 << 20
	readSilent = 5 * time.Second
)

// readFrom visits messages from seq on, as many as the server gives at a time: none when it has none.
func (r *remote) readFrom(ctx context.Context, seq uint64, visit func(seq uint64, message []byte) error) error {
	ask, err := json.Marshal(getRequest{Seq: seq, Batch: readMost, MaxBytes: readBytes})
	if err != nil {
		return err
	}
	inbox := r.nc.NewRespInbox()
	sub, err := r.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe() //nolint:errcheck // the connection is closed, and with it the subscription
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	if err := r.nc.PublishRequest(r.direct(), inbox, ask); err != nil {
		return err
	}
	for {
		m, err := next(ctx, sub)
		if err != nil {
			return err
		}
		switch m.Header.Get(headerStatus) {
		case "":
		case statusEnd, statusNone:
			return nil
		default:
			return fmt.Errorf("the server answers %s %s", m.Header.Get(headerStatus), m.Header.Get("Description"))
		}
		at, err := strconv.ParseUint(m.Header.Get(headerSequence), 10, 64)
		if err != nil {
			return fmt.Errorf("a message without its sequence: %w", err)
		}
		if err := visit(at, m.Data); err != nil {
			return err
		}
	}
}

func next(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, readSilent)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}
