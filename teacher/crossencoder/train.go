package crossencoder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/hub"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
	"github.com/retort-ir/retort/internal/training"
)

// TrainResult says how a training went.
type TrainResult struct {
	Best              retort.Evaluation   // of the model that was saved; without TrainOptions.Dev the last step, with Score 0
	Metric            string              // of the evaluations: "nDCG@10", "-loss", or "" without TrainOptions.Dev
	History           []retort.Evaluation // in order, that of the untouched model first
	Steps, TotalSteps int                 // done, and planned
	Truncated         int64               // pairs of this call's steps that were cut to the length limit
}

// Train trains a cross-encoder on the examples and saves the best one that it met in the folder out, as a model that
// Open, transformers (AutoModelForSequenceClassification, one label) and sentence-transformers' CrossEncoder load. out
// must not exist, or be empty or written by Train before; it appears whole or not at all.
//
// start is a folder of Hugging Face's layout: an encoder, such as a bi-encoder, which gets a new classification head (its
// pooler is kept where it has one), or a model that Open reads, which goes on learning; two labels become one. Dropout
// is 0.
//
// In each epoch an example is one group: a positive and GroupSize-1 others of its list, drawn anew. A step's gradient
// is that of the mean loss over its groups, whatever the micro-batches. The order and the groups depend on Seed and the
// epoch alone: the same input gives the same bytes on one machine's CPU, in a run that was killed and went on from Dir
// too.
//
// A loss or gradient that is not finite is an error (encoder.ErrNonFinite, or the loss's own) with the step and its
// queries, and so is a loss that explodes (TrainOptions.MaxLossRise); the model is not saved. When the context ends
// Train stops within a micro-batch, writes a checkpoint where Dir is set, and returns the context's error.
func Train(ctx context.Context, start, out string, corpus retort.Corpus, examples []Example,
	o TrainOptions,
) (*TrainResult, error) {
	t, err := newTrainer(ctx, start, out, corpus, examples, o)
	if err != nil {
		return nil, err
	}
	result, err := t.run(ctx, out)
	return result, errors.Join(err, t.close())
}

// trainer is one run. It is what its loop trains.
type trainer struct {
	*stepper
	options  TrainOptions
	corpus   retort.Corpus
	examples []candidates
	dev      *evaluator // nil without held-out examples
	state    training.State
	loop     *training.Loop
}

func newTrainer(ctx context.Context, start, out string, corpus retort.Corpus, examples []Example,
	o TrainOptions,
) (*trainer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Events = o.Events.WithDefaults()
	o.Events.Stage(retort.Stage{Name: retort.StageSetup, Total: 1})
	if len(examples) == 0 {
		return nil, errors.New("crossencoder: no examples to train on")
	}
	start, err := hub.Resolve(ctx, start, o.Model.Logger)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.CheckFolder(out, start, retortJSON); err != nil {
		return nil, fmt.Errorf("crossencoder: %w", err)
	}
	f, err := readFolder(start, o.Model.MaxTokens)
	if err != nil {
		return nil, err
	}
	train, err := resolve(corpus, examples, "training")
	if err != nil {
		return nil, err
	}
	dev, err := resolve(corpus, o.Dev, "held-out")
	if err != nil {
		return nil, err
	}
	rt, err := torch.Open(torch.Options{Threads: o.Model.Threads, Device: string(o.Model.Device)})
	if err != nil {
		return nil, err
	}
	t := &trainer{
		stepper: &stepper{rt: rt, folder: f, loss: o.loss(), budget: cmp.Or(o.Model.BatchTokens, defaultGraphBatch)},
		options: o, corpus: corpus, examples: train,
	}
	t.loop = t.newLoop(len(dev) > 0)
	if err := t.prepare(ctx, dev); err != nil {
		return nil, errors.Join(err, t.close())
	}
	o.Events.Stage(retort.Stage{Name: retort.StageSetup, Done: 1, Total: 1})
	return t, nil
}

// headStream is the stream of random numbers that a new head's weights come from, beside those of the epochs.
const headStream = 1 << 63

func (t *trainer) prepare(ctx context.Context, dev []candidates) error {
	precision, err := t.options.Model.validate()
	if err != nil {
		return err
	}
	fresh := rand.New(rand.NewPCG(t.options.Seed, headStream))
	if t.net, err = loadNetwork(ctx, t.rt, t.folder, precision, fresh); err != nil {
		return fmt.Errorf("open %s: %w", t.folder.dir, err)
	}
	if len(dev) > 0 {
		if t.dev, err = newEvaluator(ctx, t.stepper, t.corpus, dev); err != nil {
			return err
		}
	}
	if t.state.Run, err = t.identity(ctx, dev); err != nil {
		return err
	}
	return t.loop.Open(differences)
}

func (t *trainer) newLoop(evaluates bool) *training.Loop {
	o := t.options
	return &training.Loop{
		Package: "crossencoder", DirSetting: "TrainOptions.Dir", Trainer: t,
		Schedule: &training.Schedule{
			Items: len(t.examples), PerStep: o.QueriesPerStep, Epochs: o.Epochs, Seed: o.Seed,
			LR: o.LR, Warmup: o.Warmup,
		},
		Evaluates: evaluates, EvalSteps: o.EvalSteps, Patience: o.Patience, MaxLossRise: o.MaxLossRise,
		Dir: o.Dir, Every: o.CheckpointEvery, State: &t.state, Saved: &t.state,
		OnEvaluation: func(e training.Evaluation) { o.Events.Evaluation(retort.Evaluation(e)) },
		OnCheckpoint: func(c training.Checkpoint) { o.Events.Checkpoint(retort.Checkpoint(c)) },
		OnDamage: func(damage error, step int) {
			o.Events.Warning(retort.Warning{
				Message: "the last checkpoint is damaged, training goes on from the one before",
				Attrs:   []slog.Attr{slog.Any("error", damage), slog.Int("step", step)},
			})
		},
	}
}

func (t *trainer) close() error {
	err := t.rt.Run(context.Background(), func(s *torch.Scope) error {
		if t.net != nil {
			t.net.params.Free(s)
		}
		return nil
	})
	return errors.Join(err, t.rt.Close(), t.loop.Close())
}

func (t *trainer) run(ctx context.Context, out string) (*TrainResult, error) {
	t.reportSteps()
	defer t.reportSteps()
	if err := t.loop.Run(ctx); err != nil {
		return nil, err
	}
	steps := t.state.Step
	result := &TrainResult{Steps: steps, TotalSteps: t.loop.Schedule.Steps(), Truncated: t.truncated}
	var weights []safetensors.Tensor
	var err error
	if t.dev == nil {
		result.Best = retort.Evaluation{Step: steps, Epoch: t.loop.Schedule.Passes(steps)}
		weights, err = t.weights()
	} else {
		result.Best, result.Metric = retort.Evaluation(t.state.Best), t.dev.metric()
		weights, err = t.bestWeights()
	}
	if err != nil {
		return nil, fmt.Errorf("crossencoder: %w", err)
	}
	for _, e := range t.state.History {
		result.History = append(result.History, retort.Evaluation(e))
	}
	return result, saveFolder(out, t.folder, weights, t.facts(result))
}

// reportSteps says how far training is.
func (t *trainer) reportSteps() {
	t.options.Events.Stage(retort.Stage{Name: retort.StageTrain, Done: t.state.Step, Total: t.loop.Schedule.Steps()})
}

// facts are what the model card tells.
func (t *trainer) facts(result *TrainResult) [][2]string {
	facts := [][2]string{
		{"Lists", fmt.Sprint(len(t.examples))},
		{"Loss", checkpoint.Describe(t.options.loss())},
		{"Steps", fmt.Sprintf("%d of %d, of %d lists", result.Steps, result.TotalSteps, t.options.QueriesPerStep)},
		{"Learning rate", fmt.Sprint(t.options.LR)},
		{"Seed", fmt.Sprint(t.options.Seed)},
	}
	if len(result.History) > 0 {
		facts = append(facts, [2]string{"Chosen by", fmt.Sprintf(
			"%s of held-out lists: %.4f before, %.4f for the model that was kept, of step %d", result.Metric,
			result.History[0].Score, result.Best.Score, result.Best.Step)})
	}
	return facts
}

// groups draws the groups of a step.
func (t *trainer) groups(step int) ([]group, error) {
	epoch := uint64(t.loop.Schedule.Epoch(step))
	var groups []group
	for _, i := range t.loop.Schedule.Batch(step) {
		// One stream an example and epoch, so that a group does not depend on where its example stands in the order.
		rng := rand.New(rand.NewPCG(t.options.Seed^uint64(i)<<32, epoch))
		g, err := t.examples[i].sample(t.corpus, t.options.GroupSize, rng)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// Step is the loop's.
func (t *trainer) Step(ctx context.Context, step int) (float64, error) {
	start, schedule := time.Now(), t.loop.Schedule
	groups, err := t.groups(step)
	if err != nil {
		return 0, err
	}
	update := encoder.Update{
		LR: schedule.Rate(step), WeightDecay: t.options.WeightDecay,
		Beta1: training.Beta1, Beta2: training.Beta2, Eps: training.Eps, ClipNorm: t.options.ClipNorm,
	}
	loss, norm, err := t.step(ctx, groups, update)
	if err != nil {
		return 0, err
	}
	t.options.Events.Step(retort.Step{
		Step: step + 1, Steps: schedule.Steps(), Epoch: schedule.Passes(step + 1), Loss: loss, GradNorm: norm,
		LR: update.LR, Queries: len(groups), Took: time.Since(start),
	})
	return loss, nil
}

// Evaluate is the loop's.
func (t *trainer) Evaluate(ctx context.Context, now *training.Evaluation) (undo func() error, err error) {
	now.Score, err = t.dev.score(ctx)
	return nil, err
}

// weights copies the model's weights to the host.
func (t *trainer) weights() ([]safetensors.Tensor, error) {
	var all []safetensors.Tensor
	err := t.rt.Run(context.Background(), func(s *torch.Scope) error {
		for i, p := range t.net.params {
			name := p.Name
			if i < len(t.net.body.Params) {
				name = t.folder.config.Family().Prefix + name
			}
			all = append(all, safetensors.Tensor{Name: name, Shape: p.Shape, Values: s.Floats(p.Value)})
		}
		return s.Err()
	})
	return all, err
}
