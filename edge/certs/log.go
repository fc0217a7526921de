package certs

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge is a zap core that hands what certmagic logs to slog, from warnings up: what it does well, we tell ourselves.
type bridge struct {
	to     slog.Handler
	fields []zapcore.Field
}

func bridged(to slog.Handler) *zap.Logger { return zap.New(&bridge{to: to}) }

func (b *bridge) Enabled(l zapcore.Level) bool {
	return l >= zapcore.WarnLevel && b.to.Enabled(context.Background(), level(l))
}

func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{to: b.to, fields: slices.Concat(b.fields, fields)}
}

// anybodys are messages that any stranger can bring about with one handshake or request.
var anybodys = map[string]bool{"tls-alpn challenge": true, "looking up info for HTTP challenge": true}

func (b *bridge) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !b.Enabled(e.Level) || anybodys[e.Message] {
		return ce
	}
	return ce.AddCore(e, b)
}

func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range slices.Concat(b.fields, fields) {
		f.AddTo(enc)
	}
	r := slog.NewRecord(e.Time, level(e.Level), "acme: "+e.Message, 0)
	for _, k := range slices.Sorted(maps.Keys(enc.Fields)) {
		r.AddAttrs(slog.Any(k, enc.Fields[k]))
	}
	return b.to.Handle(context.Background(), r)
}

func (b *bridge) Sync() error { return nil }

func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
