package live

import (
	"context"
	"errors"
	"fmt"

	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
	"github.com/retort-ir/retort/teacher"
)

// Job makes the query tower of a model good at a corpus whose passage vectors stay as they are. Start from NewJob.
type Job struct {
	Corpus  retort.Corpus
	Vectors blas32.General // [Corpus.Len() x d], by the student as it is before the job
	BM25    *mine.BM25     // over the corpus; together with the student it is the teacher
	Queries []retort.Query // that people asked; they have no judgements
	// Generated is the most queries made of the passages; 0 means all.
	Generated int
	// MaxP is the p-value below which held-out queries must be found better for the student to be taken; 1: by any gain.
	MaxP float64
	// Last takes the student as it is after the last step, whatever the held-out queries say.
	Last     bool
	Training distill.Options // Run sets Towers and Evaluate
	// Progress, where set, is told how far a stage is.
	Progress func(stage distill.Stage, done, total int)
}

// NewJob returns a job like that of examples/specialise, but smaller steps over fewer queries: at most 2,000 generated
// ones, 3 epochs of 32 lists a step at 2e-4.
func NewJob(corpus retort.Corpus, vectors blas32.General, bm25 *mine.BM25) Job {
	j := Job{Corpus: corpus, Vectors: vectors, BM25: bm25, Generated: 2000, MaxP: 0.05, Training: distill.DefaultOptions()}
	j.Training.Schedule.LR, j.Training.Selection.DevFraction = 2e-4, 0
	j.Training.Memory.MicroBatchTokens = 512 // a job that is cancelled ends with a micro-batch
	return j
}

// Outcome says what came of a job. Before and After are MRR@10 over queries of held-out passages, which were made as
// the generated ones are, but are of another type. They had no part in choosing the best student.
type Outcome struct {
	Lists   int     `json:"lists"`    // trained on
	Queries int     `json:"held_out"` // passages that judged
	Before  float64 `json:"mrr_before"`
	After   float64 `json:"mrr_after"`
	P       float64 `json:"p"` // of the difference, paired
	// Taken says whether the gain is more than chance explains (P < Job.MaxP), or Job.Last was set. A student that is not
	// taken is best thrown away.
	Taken bool `json:"taken"`
}

// heldOut is the most passages that judge the student, and itemsEach the most queries made of each.
const heldOut, itemsEach = 1000, 3

// rankedDepth is how many passages of each ranking the teacher's scores are standardised by.
const rankedDepth = 100

// Run trains the student, which belongs to it until it returns, and stops soon after ctx ends. The student must implement
// encoder.Splitter and make the vectors of Job.Vectors. Whatever the outcome, its passage tower is unchanged.
func (j Job) Run(ctx context.Context, student encoder.Trainable) (*Outcome, error) {
	held, err := j.holdOut(ctx)
	if err != nil {
		return nil, err
	}
	before, err := held.Test.ReciprocalRanks(ctx, student)
	if err != nil {
		return nil, err
	}
	trained, err := j.train(ctx, student, held)
	if err != nil {
		return nil, err
	}
	after, err := held.Test.ReciprocalRanks(ctx, student)
	if err != nil {
		return nil, err
	}
	gain, err := eval.Paired(ctx, before, after, 1)
	if err != nil {
		return nil, err
	}
	return &Outcome{
		Lists: trained.Funnel.Lists, Queries: gain.N, Before: mean(before), After: mean(after), P: gain.P,
		Taken: j.Last || gain.Delta > 0 && (gain.P < j.MaxP || j.MaxP >= 1),
	}, nil
}

func (j Job) train(ctx context.Context, student encoder.Trainable, held *distill.HeldOut) (*distill.Outcome, error) {
	dense, err := mine.NewDenseVectors(student, j.Vectors)
	if err != nil {
		return nil, err
	}
	fusion, err := mine.NewZScoreFusion(rankedDepth, j.BM25, dense)
	if err != nil {
		return nil, err
	}
	made, err := generate.NewExtractive(ctx, j.Corpus, generate.Options{
		Types: []string{generate.TypeSentence, generate.TypeTitle, generate.TypePhrase, generate.TypeHowTo},
	})
	if err != nil {
		return nil, err
	}
	p := distill.Pipeline{
		Student: student, Corpus: j.Corpus, Generator: made, Queries: j.Queries, Ranker: fusion, Vectors: j.Vectors,
		Teacher: teacher.FromIndex(j.Corpus, j.BM25),
		Mining:  distill.DefaultMiningOptions(), Training: j.Training, Progress: j.Progress,
		HeldOut: held.Passages, TestQueries: held.Queries(),
	}
	p.Mining.MaxQueries = j.Generated
	p.Training.Towers = distill.QueryOnly
	if !j.Last {
		p.Training.Selection.Evaluate = held.Choose.MRR
	}
	if j.Progress != nil {
		evaluations := 0
		p.Training.Events.Step = func(s retort.Step) { j.Progress(distill.StageTrain, s.Step, s.Steps) }
		p.Training.Events.Evaluation = func(retort.Evaluation) {
			evaluations++
			j.Progress(distill.StageEvaluate, evaluations, evaluations)
		}
	}
	return p.Run(ctx)
}

// holdOut makes known items of a type that is not trained on.
func (j Job) holdOut(ctx context.Context) (*distill.HeldOut, error) {
	made, err := generate.NewExtractive(ctx, j.Corpus, generate.Options{
		Types:      []string{generate.TypeKeywords},
		PerPassage: itemsEach,
	})
	if err != nil {
		return nil, err
	}
	held, err := distill.HoldOut(ctx, j.Corpus, made, heldOut, 1, true)
	if errors.Is(err, distill.ErrNoKnownItems) {
		return nil, fmt.Errorf("the corpus of %d passages gives too few queries to judge a student by: it is too small, its texts are too short, "+
			"or their words have no spaces between them: %w", j.Corpus.Len(), err)
	}
	return held, err
}

func mean(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
