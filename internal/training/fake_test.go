package training

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/checkpoint"
)

// learner is the smallest model that learns: one weight with a momentum, which moves towards the numbers of its steps'
// items. Its result tells every step, rate and order apart.
type learner struct {
	loop             *Loop
	Weight, Momentum float64
	state            ownState
	events           []Checkpoint
	evaluations      []Evaluation
	damages          []error
	best             float64 // of the end

	// Called before the model changes or is written; an error ends what is at hand.
	hook func(at string) error
	// score replaces the score of an evaluation.
	score func(n int) Evaluation
}

// ownState has a field beside the loop's.
type ownState struct {
	State
	Note string `json:"note"`
}

// settings are those of a test: 4 epochs of 5 steps, evaluated after every third.
type settings struct {
	dir       string
	every     time.Duration
	evaluates bool
	patience  int
	rise      float64
	lr        float64
	score     func(n int) Evaluation
	hook      func(at string) error
	stepError func(step int, err error) error
}

func newLearner(s settings) *learner {
	l := &learner{Weight: 1, hook: s.hook, score: s.score}
	l.state.Run = map[string]string{"LR": "0.1", "items": "the hash of 18"}
	l.state.Note = "own"
	if s.lr == 0 {
		s.lr = .1
	}
	l.loop = &Loop{
		Package: "fake", DirSetting: "Options.Dir", Trainer: l,
		Schedule:  &Schedule{Items: 18, PerStep: 4, Epochs: 4, Seed: 3, LR: s.lr, Warmup: .1, MinLR: .1},
		Evaluates: s.evaluates, EvalSteps: 3, Patience: s.patience, MaxLossRise: s.rise, Dir: s.dir, Every: s.every,
		State: &l.state.State, Saved: &l.state, StepError: s.stepError,
		OnEvaluation: func(e Evaluation) { l.evaluations = append(l.evaluations, e) },
		OnCheckpoint: func(c Checkpoint) { l.events = append(l.events, c) },
		OnDamage:     func(damage error, _ int) { l.damages = append(l.damages, damage) },
	}
	return l
}

// train runs the loop to its end, and takes the best model as a trainer would.
func (l *learner) train(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, l.loop.Close()) }()
	if err := l.loop.Open(map[string]string{"items": "other items"}); err != nil {
		return err
	}
	if err := l.loop.Run(ctx); err != nil {
		return err
	}
	if !l.loop.Evaluates {
		l.best = l.Weight
		return nil
	}
	f, err := l.loop.OpenBest()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return json.NewDecoder(f.Body).Decode(&l.best)
}

func (l *learner) at(what string) error {
	if l.hook == nil {
		return nil
	}
	return l.hook(what)
}

func (l *learner) Step(ctx context.Context, step int) (float64, error) {
	if err := l.at("step"); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var gradient float64
	for _, i := range l.loop.Schedule.Batch(step) {
		gradient += math.Sin(float64(i)) - l.Weight
	}
	l.Momentum = .9*l.Momentum + gradient
	l.Weight += l.loop.Schedule.Rate(step) * l.Momentum
	return gradient * gradient, nil
}

func (l *learner) Evaluate(ctx context.Context, now *Evaluation) (undo func() error, err error) {
	weight := l.Weight
	undo = func() error { l.Weight = weight; return nil }
	if l.score != nil {
		e := l.score(len(l.state.History))
		now.Score, now.Forgot = e.Score, e.Forgot
	} else {
		now.Score = math.Cos(7 * l.Weight)
	}
	if now.Step == 6 { // as where it is drawn back
		l.Weight, now.DrawnBack = l.Weight/2, .5
	}
	if err := l.at("evaluate"); err != nil {
		return undo, err
	}
	return undo, ctx.Err()
}

func (l *learner) Save(w io.Writer) error {
	if _, err := io.WriteString(w, " "); err != nil {
		return err
	}
	if err := l.at("save"); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode([]float64{l.Weight, l.Momentum})
}

func (l *learner) Load(f *checkpoint.File) error {
	var values [2]float64
	if err := json.NewDecoder(f.Body).Decode(&values); err != nil {
		return err
	}
	l.Weight, l.Momentum = values[0], values[1]
	return nil
}

func (l *learner) SaveBest(w io.Writer) error {
	if err := l.at("save best"); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(l.Weight)
}

// rising are scores of which each is the best so far.
func rising(n int) Evaluation { return Evaluation{Score: float64(n)} }

// undisturbed trains without checkpoints.
func undisturbed(t *testing.T, s settings) *learner {
	t.Helper()
	s.dir, s.hook = "", nil
	l := newLearner(s)
	require.NoError(t, l.train(t.Context()))
	return l
}

func requireSame(t *testing.T, want, got *learner) {
	t.Helper()
	require.Equal(t, want.state, got.state)
	require.Equal(t, []float64{want.Weight, want.best}, []float64{got.Weight, got.best})
	require.Equal(t, "own", got.state.Note)
}
