package distill

import (
	"context"
	"log/slog"
)

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(warnings{slog.Default().Handler()})
	}
	return o.Log
}

// warnings are what a logger is told that nobody asked for.
type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }

func (t *trainer) logEvaluation(ctx context.Context, e Evaluation) {
	attrs := []slog.Attr{
		slog.Int("step", e.Step), slog.Float64("score", e.Score), slog.Float64("train_loss", e.TrainLoss),
		slog.Int("best_step", t.state.Best.Step), slog.Float64("best_score", t.state.Best.Score),
	}
	if t.opts.Floor.Evaluate != nil {
		attrs = append(attrs, slog.Float64("floor", e.Floor), slog.Float64("floor_limit", t.state.FloorLimit))
	}
	t.log.LogAttrs(ctx, slog.LevelInfo, "evaluation", attrs...)
	if e.DrawnBack > 0 {
		t.log.Warn("the student fell below the floor and was drawn back", "step", e.Step, "share", e.DrawnBack, "floor", e.Floor)
	}
	if e.BelowFloor {
		t.log.Warn("the student fell below the floor, training ends", "step", e.Step, "floor", e.Floor, "limit", t.state.FloorLimit)
	}
}
