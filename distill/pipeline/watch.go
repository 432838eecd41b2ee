package pipeline

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/retort-ir/retort"
)

// The stages that Events.Stage reports besides those with records and those of distill.Train.
const (
	stageEncode = "encode passages"
	stageReport = "write the report"
)

// watched calls the caller's events.
type watched struct{ retort.Events }

func watch(e retort.Events) watched { return watched{e.WithDefaults()} }

// warn says what needs attention.
func (w watched) warn(message string, attrs ...slog.Attr) {
	w.Warning(retort.Warning{Message: message, Attrs: attrs})
}

// note says what people may want to know.
func (w watched) note(format string, args ...any) { w.Note(fmt.Sprintf(format, args...)) }

// stage reports a stage of that name.
func (w watched) stage(name string) func(done, total int) {
	return func(done, total int) { w.Stage(retort.Stage{Name: name, Done: done, Total: total}) }
}

// piece reports a stage that has one piece of work, which is over when done is called.
func (w watched) piece(name string) (done func()) {
	w.stage(name)(0, 1)
	return func() { w.stage(name)(1, 1) }
}

// logger is for parts that log: what they say becomes warnings, and notes below that level.
func (w watched) logger() *slog.Logger { return slog.New(eventsHandler{w}) }

type eventsHandler struct{ events watched }

func (eventsHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h eventsHandler) Handle(_ context.Context, r slog.Record) error {
	warning := retort.Warning{Message: r.Message}
	r.Attrs(func(a slog.Attr) bool {
		warning.Attrs = append(warning.Attrs, a)
		return true
	})
	if r.Level < slog.LevelWarn {
		h.events.Note(warning.String())
		return nil
	}
	h.events.Warning(warning)
	return nil
}

func (h eventsHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h eventsHandler) WithGroup(string) slog.Handler      { return h }
