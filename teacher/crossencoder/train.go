package crossencoder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/checkpoint"
	"github.com/retort-ir/retort/internal/safetensors"
	"github.com/retort-ir/retort/internal/torch"
)

// TrainResult says how a training went.
type TrainResult struct {
	Best              retort.Evaluation   // of the model that was saved; without TrainOptions.Dev the last step, with Score 0
	Metric            string              // of the evaluations: "nDCG@10", "-loss", or "" without TrainOptions.Dev
	History           []retort.Evaluation // in order, that of the untouched model first
	Steps, TotalSteps int                 // done, and planned
	Truncated         int64               // pairs of this call's steps that were cut to the length limit
}

// Train trains a cross-encoder on the examples and saves the best one that it met in the folder out, as a model that Open,
// transformers (AutoModelForSequenceClassification, one label) and sentence-transformers' CrossEncoder load. out must not
// exist, or be empty or written by Train before; it appears whole or not at all.
//
// start is a folder of Hugging Face's layout: a BERT of any kind, such as a bi-encoder, which gets a new classification head
// (its pooler is kept where it has one), or a model that Open reads, which goes on learning; two labels become one.
// Dropout is 0.
//
// In each epoch an example is one group: a positive and GroupSize-1 others of its list, drawn anew. A step's gradient is that
// of the mean loss over its groups, whatever the micro-batches. The order and the groups depend on Seed and the epoch alone:
// the same input gives the same bytes on one machine's CPU, in a run that was killed and went on from Dir too.
//
// A loss or gradient that is not finite is an error (encoder.ErrNonFinite, or the loss's own) with the step and its
// queries, and nothing is saved. When the context ends Train stops within a micro-batch, writes a checkpoint where Dir is
// set, and returns the context's error.
func Train(ctx context.Context, start, out string, corpus retort.Corpus, examples []Example, o TrainOptions) (*TrainResult, error) {
	t, err := newTrainer(ctx, start, out, corpus, examples, o)
	if err != nil {
		return nil, err
	}
	result, err := t.run(ctx, out)
	return result, errors.Join(err, t.close())
}

// trainer is one run.
type trainer struct {
	*stepper
	options     TrainOptions
	corpus      retort.Corpus
	examples    []candidates
	dev         *evaluator // nil without held-out examples
	state       trainState
	best        []safetensors.Tensor // the weights of state.Best
	checkpoints *checkpoint.Folder   // nil without TrainOptions.Dir
	saved       time.Time            // when the last checkpoint was written, or training began
	savedAt     int                  // its step
	order       []int                // of the examples in orderOf, an epoch
	orderOf     int
}

func newTrainer(ctx context.Context, start, out string, corpus retort.Corpus, examples []Example, o TrainOptions) (*trainer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Events = o.Events.WithDefaults()
	o.Events.Stage(retort.Stage{Name: retort.StageSetup, Total: 1})
	if len(examples) == 0 {
		return nil, errors.New("crossencoder: no examples to train on")
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
	rt, err := torch.Open(torch.Options{Threads: o.Model.Threads, GPU: o.Model.GPU})
	if err != nil {
		return nil, err
	}
	t := &trainer{
		stepper: &stepper{rt: rt, folder: f, loss: o.loss(), budget: cmp.Or(o.Model.BatchTokens, defaultGraphBatch)},
		options: o, corpus: corpus, examples: train, orderOf: -1,
	}
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
	t.state.PartDone = true // the untouched model is evaluated first
	t.saved = time.Now()
	return t.findCheckpoint()
}

func (t *trainer) close() error {
	err := t.rt.Run(context.Background(), func(s *torch.Scope) error {
		if t.net != nil {
			t.net.params.Free(s)
		}
		return nil
	})
	return errors.Join(err, t.rt.Close())
}

func (t *trainer) run(ctx context.Context, out string) (*TrainResult, error) {
	t.reportSteps()
	defer t.reportSteps()
	for !t.state.Done {
		advance := t.trainStep
		if t.state.PartDone {
			advance = t.finishPart
		}
		if err := advance(ctx); err != nil {
			return nil, errors.Join(err, t.checkpointAtEnd(ctx))
		}
	}
	result := &TrainResult{
		Best: t.state.Best, History: t.state.History, Steps: t.state.Step, TotalSteps: t.totalSteps(), Truncated: t.truncated,
	}
	weights := t.best
	if t.dev != nil {
		result.Metric = t.dev.metric()
	} else {
		result.Best = retort.Evaluation{Step: t.state.Step, Epoch: t.epoch()}
		var err error
		if weights, err = t.weights(ctx); err != nil {
			return nil, err
		}
	}
	return result, saveFolder(out, t.folder, weights, t.facts(result))
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

// stepsPerEpoch counts the last, shorter step of an epoch too.
func (t *trainer) stepsPerEpoch() int {
	return (len(t.examples) + t.options.QueriesPerStep - 1) / t.options.QueriesPerStep
}

func (t *trainer) totalSteps() int { return t.options.Epochs * t.stepsPerEpoch() }

// rate returns the learning rate of a step: with w warm-up steps of n, LR (step+1)/w during warm-up, then LR (n-step)/(n-w).
func (t *trainer) rate(step int) float64 {
	n := t.totalSteps()
	w := int(math.Round(t.options.Warmup * float64(n)))
	if step < w {
		return t.options.LR * float64(step+1) / float64(w)
	}
	return t.options.LR * float64(n-step) / float64(n-w)
}

// groups draws the groups of a step.
func (t *trainer) groups(step int) ([]group, error) {
	epoch, n := step/t.stepsPerEpoch(), step%t.stepsPerEpoch()
	if epoch != t.orderOf {
		t.order = rand.New(rand.NewPCG(t.options.Seed, uint64(epoch))).Perm(len(t.examples))
		t.orderOf = epoch
	}
	size := t.options.QueriesPerStep
	var groups []group
	for _, i := range t.order[n*size : min((n+1)*size, len(t.order))] {
		// One stream an example and epoch, so that a group does not depend on where its example stands in the order.
		rng := rand.New(rand.NewPCG(t.options.Seed^uint64(i)<<32, uint64(epoch)))
		g, err := t.examples[i].sample(t.corpus, t.options.GroupSize, rng)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func (t *trainer) trainStep(ctx context.Context) error {
	start, total := time.Now(), t.totalSteps()
	groups, err := t.groups(t.state.Step)
	if err != nil {
		return err
	}
	update := encoder.Update{
		LR: t.rate(t.state.Step), WeightDecay: t.options.WeightDecay, Beta1: beta1, Beta2: beta2, Eps: eps, ClipNorm: t.options.ClipNorm,
	}
	loss, norm, err := t.step(ctx, groups, update)
	if err != nil {
		return fmt.Errorf("crossencoder: step %d of %d: %w", t.state.Step+1, total, err)
	}
	t.state.Step++
	t.state.LossSum += loss
	t.state.LossSteps++
	t.state.PartDone = t.state.Step == total || t.dev != nil && t.state.Step%cmp.Or(t.options.EvalSteps, t.stepsPerEpoch()) == 0
	t.options.Events.Step(retort.Step{
		Step: t.state.Step, Steps: total, Epoch: t.epoch(), Loss: loss, GradNorm: norm, LR: update.LR, Queries: len(groups),
		Took: time.Since(start),
	})
	if time.Since(t.saved) >= t.options.CheckpointEvery {
		return t.checkpoint(ctx)
	}
	return nil
}

// finishPart comes after the steps between two evaluations: it evaluates the model, keeps it if it is the best so far,
// decides whether to stop, and writes a checkpoint.
func (t *trainer) finishPart(ctx context.Context) error {
	if t.dev != nil {
		if err := t.evaluate(ctx); err != nil {
			return fmt.Errorf("crossencoder: evaluation after step %d: %w", t.state.Step, err)
		}
	}
	t.state.PartDone = false
	t.state.Done = t.state.Done || t.state.Step == t.totalSteps()
	return t.checkpoint(ctx)
}

func (t *trainer) evaluate(ctx context.Context) error {
	start := time.Now()
	score, err := t.dev.score(ctx)
	if err != nil {
		return err
	}
	now := retort.Evaluation{Step: t.state.Step, Epoch: t.epoch(), Score: score}
	if t.state.LossSteps > 0 {
		now.TrainLoss = t.state.LossSum / float64(t.state.LossSteps)
	}
	t.state.LossSum, t.state.LossSteps = 0, 0
	if len(t.state.History) > 0 && score <= t.state.Best.Score {
		t.state.Worse++
		t.state.Done = t.options.Patience > 0 && t.state.Worse >= t.options.Patience
	} else {
		if t.best, err = t.weights(ctx); err != nil {
			return err
		}
		if err := t.writeBest(now.Step); err != nil {
			return err
		}
		t.state.Best, t.state.Worse = now, 0
	}
	t.state.History = append(t.state.History, now)
	now.Took = time.Since(start)
	t.options.Events.Evaluation(now)
	return nil
}

// epoch is how far training is, in passes over the examples.
func (t *trainer) epoch() float64 { return float64(t.state.Step) / float64(t.stepsPerEpoch()) }

// reportSteps says how far training is.
func (t *trainer) reportSteps() {
	t.options.Events.Stage(retort.Stage{Name: retort.StageTrain, Done: t.state.Step, Total: t.totalSteps()})
}

// weights copies the model's weights to the host.
func (t *trainer) weights(ctx context.Context) ([]safetensors.Tensor, error) {
	var all []safetensors.Tensor
	err := t.rt.Run(ctx, func(s *torch.Scope) error {
		for i, p := range t.net.params {
			name := p.Name
			if i < len(t.net.body.Params) {
				name = t.folder.family.prefix + name
			}
			all = append(all, safetensors.Tensor{Name: name, Shape: p.Shape, Values: s.Floats(p.Value)})
		}
		return s.Err()
	})
	return all, err
}
