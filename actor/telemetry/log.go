package telemetry

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// LogHandler is a handler that writes events to l, or to the logger of log/slog that is the default at the time when l is
// nil: the name of the event is the message, measurements and metadata are the attributes.
func LogHandler(l *slog.Logger, level slog.Level) Handler {
	return func(ctx context.Context, e Event) {
		to := l
		if to == nil {
			to = slog.Default()
		}
		if ctx == nil {
			ctx = context.Background()
		}
		if to.Enabled(ctx, level) {
			to.LogAttrs(ctx, level, e.Name, slices.Concat(Attrs(e.Measurements), Attrs(e.Metadata))...)
		}
	}
}

// Attrs takes measurements or metadata apart, whatever they are: the fields of a struct, named in snake case, the
// elements of a map, sorted, what a slog.LogValuer says, or attributes as they are. An error is one attribute "error",
// anything else one attribute "value", and nil none.
func Attrs(of any) []slog.Attr {
	switch of := of.(type) {
	case nil:
		return nil
	case []slog.Attr:
		return of
	case slog.LogValuer:
		v := slog.AnyValue(of).Resolve()
		if v.Kind() == slog.KindGroup {
			return v.Group()
		}
		return []slog.Attr{{Key: "value", Value: v}}
	case error:
		return []slog.Attr{slog.Any("error", of)}
	case map[string]any:
		all := make([]slog.Attr, 0, len(of))
		for _, k := range slices.Sorted(maps.Keys(of)) {
			all = append(all, slog.Any(k, of[k]))
		}
		return all
	}
	v := reflect.ValueOf(of)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct {
		if all := fields(v); len(all) > 0 || v.NumField() == 0 {
			return all
		}
	}
	return []slog.Attr{slog.Any("value", of)}
}

func fields(v reflect.Value) []slog.Attr {
	var all []slog.Attr
	for f, x := range v.Fields() {
		if f.IsExported() {
			all = append(all, slog.Any(snake(f.Name), x.Interface()))
		}
	}
	return all
}

// snake is the name of a field as logs write it: MaxIdle is max_idle, URLPath is url_path.
func snake(name string) string {
	var out strings.Builder
	rs := []rune(name)
	for i, r := range rs {
		up := unicode.IsUpper(r)
		begins := i > 0 && up && (!unicode.IsUpper(rs[i-1]) || i+1 < len(rs) && unicode.IsLower(rs[i+1]))
		if begins {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
