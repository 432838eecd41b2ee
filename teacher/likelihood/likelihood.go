package likelihood

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/teacher"
)

// LanguageModel says how likely texts are. It is safe for concurrent use.
type LanguageModel interface {
	// MeanLogLikelihoods returns, for each of continuations[i], the mean over its tokens of the natural logarithm of
	// their probabilities behind prompts[i], aligned with continuations. A prompt is a head and a tail that follow
	// each other; where it is too long for the model the head loses its end. What is computed for a prompt serves all
	// its continuations.
	MeanLogLikelihoods(ctx context.Context, prompts [][2]string, continuations [][]string) ([][]float64, error)
	// Fingerprint is a digest of all that the likelihoods depend on.
	Fingerprint() string
}

// defaultPrompt is UPR's, with a word before the query that models without instruction tuning understand too.
const defaultPrompt = "Passage: " + passageMark + "\nPlease write a question based on this passage.\nQuestion:"

const passageMark = "{passage}"

// Options are the settings of a Teacher. The zero value is valid.
type Options struct {
	// Prompt is what the query follows, behind a space. It holds {passage} once; "" means defaultPrompt. Where
	// queries are no questions, say what they are: "... Please write a claim that this passage supports or
	// refutes.\nClaim:".
	Prompt string
	// BatchSize is how many lists are asked for at once, so that a passage that is in several is read once; 0
	// means 16.
	BatchSize int
}

// Validate returns an error that names the field with a value out of range.
func (o Options) Validate() error {
	if n := strings.Count(o.Prompt, passageMark); o.Prompt != "" && n != 1 {
		return fmt.Errorf("likelihood: Options.Prompt holds %s %d times, want it once", passageMark, n)
	}
	if o.BatchSize < 0 {
		return fmt.Errorf("likelihood: Options.BatchSize is %d, want it >= 0", o.BatchSize)
	}
	return nil
}

// Teacher scores passages by the likelihood of the query. It is safe for concurrent use where its model is.
type Teacher struct {
	model     LanguageModel
	head      string // before the passage
	tail      string // behind it
	batchSize int
}

var (
	_ teacher.BatchTeacher  = (*Teacher)(nil)
	_ encoder.Fingerprinter = (*Teacher)(nil)
)

// New returns a teacher that asks the model.
func New(model LanguageModel, o Options) (*Teacher, error) {
	if model == nil {
		return nil, errors.New("likelihood: New needs a model")
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	t := &Teacher{model: model, batchSize: cmp.Or(o.BatchSize, 16)}
	t.head, t.tail, _ = strings.Cut(cmp.Or(o.Prompt, defaultPrompt), passageMark)
	return t, nil
}

// Fingerprint is a digest of the model's fingerprint and the prompt.
func (t *Teacher) Fingerprint() string {
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "retort likelihood 1\n%q %q\n%s", t.head, t.tail,
		t.model.Fingerprint())))
}

// BatchSize implements teacher.BatchTeacher.
func (t *Teacher) BatchSize() int { return t.batchSize }

// Score implements teacher.Teacher. A passage without text cannot be scored and gets NaN; a query without text is an
// error.
func (t *Teacher) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	for _, scored := range t.ScoreBatch(ctx, []teacher.Work{{Query: q, Passages: passages}}) {
		return scored.Scores, scored.Err
	}
	return nil, cmp.Or(ctx.Err(), errors.New("likelihood: no scores"))
}

// ScoreBatch implements teacher.BatchTeacher: a passage in several lists is read once for all their
// queries.
func (t *Teacher) ScoreBatch(ctx context.Context, lists []teacher.Work) iter.Seq2[int, teacher.Scored] {
	return func(yield func(int, teacher.Scored) bool) {
		b := newBatch(lists)
		if !b.yieldDone(yield) {
			return
		}
		// Lists become complete one after the other, so chunks are small enough to see them do so.
		const chunk = 32
		for first := 0; first < len(b.passages); first += chunk {
			some := b.passages[first:min(first+chunk, len(b.passages))]
			err := t.score(ctx, some)
			if ctx.Err() != nil {
				return
			}
			b.settle(some, err)
			if !b.yieldDone(yield) {
				return
			}
		}
	}
}

// score asks the model about some passages.
func (t *Teacher) score(ctx context.Context, passages []*passage) error {
	prompts, continuations := make([][2]string, len(passages)), make([][]string, len(passages))
	for i, p := range passages {
		prompts[i] = [2]string{t.head + p.content, t.tail}
		for _, q := range p.queries {
			continuations[i] = append(continuations[i], " "+q)
		}
	}
	means, err := t.model.MeanLogLikelihoods(ctx, prompts, continuations)
	if err != nil {
		return err
	}
	if len(means) != len(passages) {
		return fmt.Errorf("the model answered %d prompts, %d were asked", len(means), len(passages))
	}
	for i, p := range passages {
		if len(means[i]) != len(p.queries) {
			return fmt.Errorf("the model answered %d continuations, %d were asked", len(means[i]), len(p.queries))
		}
		p.scores = means[i]
	}
	return nil
}

// passage is a distinct passage of a batch with the queries that it is to be scored for.
type passage struct {
	content string
	queries []string
	index   map[string]int // of the queries
	scores  []float64      // aligned with queries
	wanted  []place        // of each list that it is in
}

// place is a list's index and an index in it.
type place struct{ list, at, query int }

// batch is the lists of one call on their way.
type batch struct {
	passages []*passage // in the order in which lists need them
	scored   []teacher.Scored
	missing  []int // passages that a list waits for
	yielded  []bool
}

func newBatch(lists []teacher.Work) *batch {
	b := &batch{scored: make([]teacher.Scored, len(lists)), missing: make([]int, len(lists)), yielded: make([]bool,
		len(lists))}
	byContent := map[string]*passage{}
	for i, list := range lists {
		query := oneLine(list.Query.Text)
		if query == "" {
			b.scored[i].Err = fmt.Errorf("likelihood: query %q has no text", list.Query.ID)
			continue
		}
		b.scored[i].Scores = make([]float64, len(list.Passages))
		for j, p := range list.Passages {
			content := oneLine(p.Content())
			if content == "" {
				b.scored[i].Scores[j] = math.NaN()
				continue
			}
			entry := byContent[content]
			if entry == nil {
				entry = &passage{content: content, index: map[string]int{}}
				byContent[content] = entry
				b.passages = append(b.passages, entry)
			}
			entry.wanted = append(entry.wanted, place{i, j, entry.add(query)})
			b.missing[i]++
		}
	}
	return b
}

// add returns the query's index among those that the passage is scored for.
func (p *passage) add(query string) int {
	if i, ok := p.index[query]; ok {
		return i
	}
	p.index[query] = len(p.queries)
	p.queries = append(p.queries, query)
	return len(p.queries) - 1
}

// settle hands out the scores of passages, or the error that there is in place of them.
func (b *batch) settle(passages []*passage, err error) {
	for _, p := range passages {
		for _, w := range p.wanted {
			b.missing[w.list]--
			if err != nil {
				b.scored[w.list] = teacher.Scored{Err: fmt.Errorf("likelihood: %w", err)}
				continue
			}
			if scores := b.scored[w.list].Scores; scores != nil {
				scores[w.at] = p.scores[w.query]
			}
		}
		p.scores = nil
	}
}

// yieldDone yields the lists that wait for nothing any more, and says whether to go on.
func (b *batch) yieldDone(yield func(int, teacher.Scored) bool) bool {
	for i, missing := range b.missing {
		if missing > 0 || b.yielded[i] {
			continue
		}
		b.yielded[i] = true
		if !yield(i, b.scored[i]) {
			return false
		}
	}
	return true
}

// oneLine joins the words of a text with single spaces, since a line break ends a passage of the prompt.
func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(text, " ")), " ")
}
