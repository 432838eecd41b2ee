package retort_test

import (
	"bytes"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// recorded returns events that note what they are called with.
func recorded(name string, calls *[]string) retort.Events {
	note := func(what string) { *calls = append(*calls, name+" "+what) }
	return retort.Events{
		Stage:      func(s retort.Stage) { note(s.Name) },
		Step:       func(retort.Step) { note("step") },
		Evaluation: func(retort.Evaluation) { note("evaluation") },
		Checkpoint: func(retort.Checkpoint) { note("checkpoint") },
		Warning:    func(w retort.Warning) { note(w.Message) },
	}
}

func callAll(e retort.Events) {
	e.Stage(retort.Stage{Name: "stage"})
	e.Step(retort.Step{})
	e.Evaluation(retort.Evaluation{})
	e.Checkpoint(retort.Checkpoint{})
	e.Warning(retort.Warning{Message: "warning"})
}

func TestTeeCallsAllInTheirOrder(t *testing.T) {
	var calls []string
	callAll(retort.Tee(recorded("a", &calls), retort.Events{}, recorded("b", &calls)))
	require.Equal(t, []string{
		"a stage", "b stage", "a step", "b step", "a evaluation", "b evaluation",
		"a checkpoint", "b checkpoint", "a warning", "b warning",
	}, calls)

	e := reflect.ValueOf(retort.Tee(retort.Events{}, retort.Events{}))
	for i := range e.NumField() {
		require.True(t, e.Field(i).IsNil(), "%s: what nobody listens to stays nil", e.Type().Field(i).Name)
	}
}

func TestAWarningThatNobodyListensToGoesToTheDefaultLogger(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))

	e := retort.Events{}.WithDefaults()
	callAll(e)
	e.Warning(retort.Warning{Message: "damaged", Attrs: []slog.Attr{slog.Int("step", 3)}})
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
	require.Contains(t, log.String(), "level=WARN msg=damaged step=3\n")

	log.Reset()
	var calls []string
	callAll(recorded("a", &calls).WithDefaults())
	require.Empty(t, log.String())
	require.Len(t, calls, 5, "each is called once")
}

func TestLogEventsWritesEachAtItsLevel(t *testing.T) {
	var log bytes.Buffer
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}
	e := retort.LogEvents(slog.New(slog.NewTextHandler(&log, options)))
	e.Stage(retort.Stage{Name: retort.StageTrain, Done: 2, Total: 9})
	e.Step(retort.Step{Step: 3, Steps: 9, Loss: 0.5, GradNorm: 2, LR: 0.1})
	e.Evaluation(retort.Evaluation{Step: 3, Score: 0.25, TrainLoss: 0.5})
	e.Evaluation(retort.Evaluation{Step: 4, Score: 0.25, Retention: 0.75})
	e.Checkpoint(retort.Checkpoint{Step: 3, Dir: "run"})
	e.Checkpoint(retort.Checkpoint{Step: 3, Dir: "run", Saved: true, Took: time.Second})
	e.Warning(retort.Warning{Message: "damaged", Attrs: []slog.Attr{slog.Int("step", 3)}})
	require.Equal(t, `level=DEBUG msg=stage stage=train done=2 total=9
level=DEBUG msg=step step=3 steps=9 loss=0.5 grad_norm=2 lr=0.1
level=INFO msg=evaluation step=3 score=0.25 train_loss=0.5
level=INFO msg=evaluation step=4 score=0.25 train_loss=0 retention=0.75
level=DEBUG msg=checkpoint step=3 dir=run took=1s
level=WARN msg=damaged step=3
`, log.String())
}

func TestAWarningIsALine(t *testing.T) {
	w := retort.Warning{Message: "damaged"}
	require.Equal(t, "damaged", w.String())
	w.Attrs = []slog.Attr{slog.Int("step", 3), slog.String("file", "x y")}
	require.Equal(t, "damaged: step 3, file x y", w.String())
}

func TestSharesOfAStep(t *testing.T) {
	s := retort.Step{Passages: 16, Listed: 64, Masked: 3, Candidates: 12, Tokens: 900, Padded: 1000}
	require.Equal(t, []float64{0.25, 0.25, 0.1}, []float64{s.DistinctShare(), s.MaskedShare(), s.PaddingShare()})
	s = retort.Step{}
	require.Equal(t, []float64{0, 0, 0}, []float64{s.DistinctShare(), s.MaskedShare(), s.PaddingShare()})
}
