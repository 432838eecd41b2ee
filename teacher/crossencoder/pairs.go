package crossencoder

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/retort-ir/retort/encoder/bert"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/parallel"
	"github.com/retort-ir/retort/internal/subword"
	"github.com/retort-ir/retort/teacher"
)

// pair is a query and a passage as token ids. Those from second on are of the second segment; 0: there is but one.
type pair struct {
	ids    []int32
	second int
}

// pairs implement encoder.Inputs.
type pairs []pair

func (p pairs) Len() int         { return len(p) }
func (p pairs) Tokens(i int) int { return len(p[i].ids) }

// all returns the numbers of all rows.
func (p pairs) all() []int {
	rows := make([]int, len(p))
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// tokenizer makes pairs as Hugging Face's fast tokenizers do with truncation "longest_first". It is safe for concurrent use.
type tokenizer interface {
	// pair encodes a pair in at most maxTokens and says whether it was cut.
	pair(query, passage string, maxTokens int) (p pair, cut bool, err error)
	Fingerprint() string
	size() int // the largest id + 1
}

// encode returns the pairs of lists end to end, tokenised on as many cores as there are, and how many were cut. An
// error names the list.
func (f *folder) encode(ctx context.Context, lists []teacher.Work) (all pairs, cut int, err error) {
	type job struct{ list, passage int }
	var jobs []job
	for l := range lists {
		for p := range lists[l].Passages {
			jobs = append(jobs, job{l, p})
		}
	}
	all = make(pairs, len(jobs))
	var cuts atomic.Int64
	err = parallel.Each(ctx, len(jobs), func(_, i int) error {
		list := lists[jobs[i].list]
		p, cut, err := f.tokens.pair(list.Query.Text, list.Passages[jobs[i].passage].Content(), f.maxTokens)
		if err != nil {
			return fmt.Errorf("query %q, passage %q: %w", list.Query.ID, list.Passages[jobs[i].passage].ID, err)
		}
		all[i] = p
		if cut {
			cuts.Add(1)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return all, int(cuts.Load()), nil
}

// wordPieces is BERT's tokenizer: [CLS] query [SEP] passage [SEP].
type wordPieces struct {
	*bert.Tokenizer
	segments bool // the model has two
}

func (t wordPieces) size() int { return t.VocabSize() }

const bertSpecials = 3

func (t wordPieces) pair(query, passage string, maxTokens int) (pair, bool, error) {
	room := maxTokens - bertSpecials
	q, p := t.Encode(query, room+3), t.Encode(passage, room+3)
	if len(q) == room+3 && len(p) == room+3 || t.CutsLeft() {
		// Which of two long texts is the longer one decides an odd token, and one that loses its beginning is needed whole.
		q, p = t.Encode(query, 1<<30), t.Encode(passage, 1<<30)
	}
	cls, sep := q[0], q[len(q)-1]
	q, p = q[1:len(q)-1], p[1:len(p)-1]
	nq, np := longestFirst(len(q), len(p), room)
	cut := nq < len(q) || np < len(p)
	if t.CutsLeft() {
		q, p = q[len(q)-nq:], p[len(p)-np:]
	}
	ids := make([]int32, 0, nq+np+bertSpecials)
	ids = append(append(append(ids, cls), q[:nq]...), sep)
	second := len(ids)
	ids = append(append(ids, p[:np]...), sep)
	if !t.segments {
		second = 0
	}
	return pair{ids, second}, cut, nil
}

// longestFirst returns what is left of two texts of a and b tokens in room: the longer one is cut to the length of the
// other, and then both to a half, where an odd token is the longer one's, or the second's where they are equal.
func longestFirst(a, b, room int) (int, int) {
	if a+b <= room {
		return a, b
	}
	short, long := min(a, b), room-min(a, b)
	if long < short {
		short = room / 2
		long = room - short
	}
	if a > b {
		return long, short
	}
	return short, long
}

// subwords is RoBERTa's or XLM-R's tokenizer: <s> query </s></s> passage </s>.
type subwords struct{ *subword.Tokenizer }

func loadSubwords(dir string) (subwords, error) {
	t, err := subword.Load(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		return subwords{}, err
	}
	files, err := modelfolder.CheckTokenizer(dir)
	if err != nil {
		return subwords{}, err
	}
	if files.CutLeft {
		return subwords{}, fmt.Errorf("%s: truncation_side is left, which is not supported for this kind of tokenizer; set right", dir)
	}
	return subwords{t}, nil
}

func (t subwords) size() int { return t.Len() }

func (t subwords) pair(query, passage string, maxTokens int) (pair, bool, error) {
	ids, _, cut, err := t.EncodePair(query, passage, maxTokens)
	return pair{ids: ids}, cut, err
}
