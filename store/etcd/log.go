package etcd

import (
	"context"
	"log/slog"
	"os"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// bridge is a zap core that hands what etcd logs to slog, from warnings up.
type bridge struct {
	to     slog.Handler
	fields []zapcore.Field
}

// bridged is a logger for etcd. Where etcd gives up, it logs why and ends the process; nothing is gained by a
// stack trace of its inside.
func bridged(to slog.Handler) *zap.Logger {
	end := ending{}
	return zap.New(&bridge{to: to}, zap.WithFatalHook(end), zap.WithPanicHook(end))
}

type ending struct{}

func (ending) OnWrite(*zapcore.CheckedEntry, []zapcore.Field) { os.Exit(1) }

func (b *bridge) Enabled(l zapcore.Level) bool {
	return l >= zapcore.WarnLevel && b.to.Enabled(context.Background(), level(l))
}

func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{to: b.to, fields: slices.Concat(b.fields, fields)}
}

func (b *bridge) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !b.Enabled(e.Level) || advice[e.Message] {
		return ce
	}
	return ce.AddCore(e, b)
}

// advice is what etcd logs at the start of a sound single member, and what concerns nobody who reads here.
var advice = map[string]bool{
	"Running http and grpc server on single port. This is not recommended for production.": true,
	// It asks for these before its first write to the database has settled, and again a little later.
	"Failed to detect schema version":  true,
	"failed to update storage version": true,
}

func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range slices.Concat(b.fields, fields) {
		f.AddTo(enc)
	}
	r := slog.NewRecord(e.Time, level(e.Level), "etcd: "+e.Message, 0)
	keys := make([]string, 0, len(enc.Fields))
	for k := range enc.Fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
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
	case l == zapcore.InfoLevel:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
