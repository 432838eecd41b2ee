package generate

import (
	"context"
	"errors"
	"iter"
)

// Recorded returns the model with a memory: each answer is appended to the file as it comes, under the model's
// fingerprint (where it has none, its name) and Request.Key, and equal requests are answered from there. So a kill
// loses at most the answers in flight, and a run that starts again pays for none twice. Errors are not recorded. An
// answer that could not be written is an error, since it would be lost.
//
// What comes back implements BatchCompleter where the model does, and then asks it only for what the file lacks.
// Several models may share one file.
func Recorded(model Completer, answers *Answers) (Completer, error) {
	if model == nil || answers == nil {
		return nil, errors.New("generate: Recorded needs a model and a file of answers")
	}
	r := &recorded{model: model, answers: answers}
	if batch, ok := model.(BatchCompleter); ok {
		return &recordedBatch{r, batch}, nil
	}
	return r, nil
}

type recorded struct {
	model   Completer
	answers *Answers
}

func (r *recorded) Model() string { return r.model.Model() }

// Fingerprint implements encoder.Fingerprinter: the model's own, or "".
func (r *recorded) Fingerprint() string {
	if f, ok := r.model.(interface{ Fingerprint() string }); ok {
		return f.Fingerprint()
	}
	return ""
}

func (r *recorded) identity() string {
	if own := r.Fingerprint(); own != "" {
		return own
	}
	return r.model.Model()
}

func (r *recorded) Complete(ctx context.Context, request Request) (Completion, error) {
	key := keyOf(r.identity(), request)
	if c, ok, err := r.answers.get(key); ok || err != nil {
		return c, errors.Join(err, ctx.Err())
	}
	c, err := r.model.Complete(ctx, request)
	if err != nil {
		return Completion{}, err
	}
	return r.keep(key, request, c)
}

// keep records what came, also where the context has ended since: it is paid for.
func (r *recorded) keep(key answerKey, request Request, c Completion) (Completion, error) {
	c = storable(c)
	record := recordedAnswer{Model: r.model.Model(), Prompt: request.Prompt.Name, Completion: c}
	if err := r.answers.put(key, record); err != nil {
		return Completion{}, err
	}
	return c, nil
}

type recordedBatch struct {
	*recorded
	batch BatchCompleter
}

func (r *recordedBatch) BatchSize() int { return r.batch.BatchSize() }

func (r *recordedBatch) CompleteBatch(ctx context.Context, requests []Request) iter.Seq2[int, Outcome] {
	return func(yield func(int, Outcome) bool) {
		identity := r.identity()
		keys := make([]answerKey, len(requests))
		var missing []Request
		var at []int // their places in requests
		for i, request := range requests {
			if ctx.Err() != nil {
				return
			}
			keys[i] = keyOf(identity, request)
			c, ok, err := r.answers.get(keys[i])
			if !ok && err == nil {
				missing, at = append(missing, request), append(at, i)
				continue
			}
			if !yield(i, Outcome{c, err}) {
				return
			}
		}
		if len(missing) == 0 {
			return
		}
		for n, outcome := range r.batch.CompleteBatch(ctx, missing) {
			if n < 0 || n >= len(missing) {
				yield(-1, outcome) // whoever asked says what is wrong with that
				return
			}
			i := at[n]
			if outcome.Err == nil {
				outcome.Completion, outcome.Err = r.keep(keys[i], requests[i], outcome.Completion)
			}
			if !yield(i, outcome) {
				return
			}
		}
	}
}
