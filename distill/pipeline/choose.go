package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/eval"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/mine"
)

// selection is what chooses the best student: judged queries where there are any, or else generated ones of a type that
// is not trained on. It also returns a text that stands for it.
func (r *run) selection(ctx context.Context) (func(context.Context, encoder.Encoder) (float64, error), string, error) {
	if r.Judged == nil {
		var err error
		if r.held, err = r.holdOut(ctx); err != nil {
			return nil, "", err
		}
		r.held.Choose.widths, r.held.Test.widths = r.Widths, r.Widths
		return r.held.Choose.MRR, "held-out items " + r.held.Fingerprint(), nil
	}
	hash, err := hashCollection(r.Judged)
	if err != nil {
		return nil, "", err
	}
	if r.Towers == distill.QueryOnly {
		return r.judgedNDCG(r.Judged), "judged queries " + hash, nil
	}
	pool, err := r.judgedPool(ctx)
	return r.judgedNDCG(pool), "judged queries " + hash, err
}

// HashCollection returns a hash of a collection, its passages included, as the manifest of a run has it. A collection
// without queries is its corpus.
func HashCollection(ctx context.Context, c *eval.Collection) (string, error) {
	corpus, err := hashCorpus(ctx, c.Corpus)
	if err != nil || c.Queries == nil && c.Qrels == nil {
		return corpus, err
	}
	judged, err := hashCollection(c)
	return corpus + " " + judged, err
}

// hashCollection stands for the queries, the judgements, and what is left out of the rankings.
func hashCollection(c *eval.Collection) (string, error) {
	h := sha256.New()
	err := json.NewEncoder(h).Encode([]any{c.Queries, c.Qrels})
	if n := len(c.Itself); n > 0 {
		fmt.Fprintf(h, "without %d queries themselves", n)
	}
	return hex.EncodeToString(h.Sum(nil)), err
}

// The most passages that are held out, and the most items of each: several say more about a passage that can't be
// trained on any more.
const heldOutPassages, itemsEach = 1000, 3

// heldOutTypes are the types of held-out items, the best one first. The first that is not trained on and of which the
// corpus gives enough is taken.
var heldOutTypes = []string{generate.TypeTitle, generate.TypeKeywords, generate.TypePhrase, generate.TypeSentence}

func (r *run) holdOut(ctx context.Context) (*heldOut, error) {
	var why []error
	for _, kind := range heldOutTypes {
		if slices.Contains(r.trainedTypes(), kind) {
			continue
		}
		o := generate.Options{Types: []string{kind}, PerPassage: itemsEach, Seed: r.Seed}
		g, err := generate.NewExtractive(ctx, r.corpus, o)
		if err != nil {
			return nil, err
		}
		held, err := holdOut(ctx, r.corpus, g, heldOutPassages, r.Seed, r.Towers == distill.QueryOnly)
		if !errors.Is(err, errFewItems) {
			return held, err
		}
		why = append(why, fmt.Errorf("%s: %w", kind, err))
	}
	return nil, fmt.Errorf("pipeline: nothing can choose and test the best student, since every type of query is trained on or the "+
		"corpus gives too few of it: set Recipe.Judged, or Recipe.KeepLast to take the last student untested: %w", errors.Join(why...))
}

// trainedTypes are the extractive types that are trained on. Of the user's own lists nobody says: they may be of the
// usual ones.
func (r *run) trainedTypes() []string {
	switch {
	case r.LanguageModel != nil && r.LanguageModel.Alone:
		return nil
	case r.extractive == nil || r.Lists != nil:
		return defaultTypes()
	}
	return extractiveTypes(r.extractive)
}

// judgedNDCG ranks the collection's passages for its queries: the corpus, or where passages change a pool of it.
func (r *run) judgedNDCG(c *eval.Collection) func(context.Context, encoder.Encoder) (float64, error) {
	return func(ctx context.Context, student encoder.Encoder) (float64, error) {
		vectors := r.dense.Vectors()
		if r.Towers == distill.Both {
			dense, err := mine.NewDense(ctx, student, c.Corpus, nil)
			if err != nil {
				return 0, err
			}
			vectors = dense.Vectors()
		}
		dense, err := mine.NewDenseVectors(student, vectors)
		if err != nil {
			return 0, err
		}
		if len(r.Widths) > 0 {
			return meanNDCG(ctx, dense, c, r.Widths)
		}
		_, report, err := measure(ctx, dense, c)
		if err != nil {
			return 0, err
		}
		return report.Mean(eval.NDCG(10)), nil
	}
}

// judgedPoolDepth is how many of the start's best passages a judged query puts into the pool.
const judgedPoolDepth = 10

// judgedPool is made before the student changes, which the fusion would follow.
func (r *run) judgedPool(ctx context.Context) (*eval.Collection, error) {
	in := map[int]bool{}
	rankings, err := r.fusion.Search(ctx, r.Judged.Queries, judgedPoolDepth)
	if err != nil {
		return nil, err
	}
	for i, q := range r.Judged.Queries {
		for _, h := range rankings[i] {
			in[h.Index] = true
		}
		for id := range r.Judged.Qrels[q.ID] {
			if index, ok := r.corpus.Index(id); ok {
				in[index] = true
			}
		}
	}
	var passages []retort.Passage
	for i := range r.corpus.Len() {
		if !in[i] {
			continue
		}
		p, err := r.corpus.At(i)
		if err != nil {
			return nil, err
		}
		passages = append(passages, p)
	}
	pool, err := retort.NewCorpus(passages)
	return &eval.Collection{Corpus: pool, Queries: r.Judged.Queries, Qrels: r.Judged.Qrels, Itself: r.Judged.Itself}, err
}
