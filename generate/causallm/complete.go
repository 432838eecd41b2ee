package causallm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/parallel"
	"github.com/retort-ir/retort/internal/torch"
)

// Complete implements generate.Completer.
func (m *Model) Complete(ctx context.Context, r generate.Request) (generate.Completion, error) {
	for _, outcome := range m.CompleteBatch(ctx, []generate.Request{r}) {
		return outcome.Completion, outcome.Err
	}
	return generate.Completion{}, cmp.Or(ctx.Err(), errNoAnswer)
}

var errNoAnswer = errors.New("causallm: no answer")

// BatchSize implements generate.BatchCompleter: many times Options.Rows, so that requests of one prompt, whose shared
// part is computed once, come together.
func (m *Model) BatchSize() int { return 16 * m.options.Rows }

// CompleteBatch implements generate.BatchCompleter. Between two tokens the end of ctx is seen.
func (m *Model) CompleteBatch(ctx context.Context, requests []generate.Request) iter.Seq2[int, generate.Outcome] {
	return func(yield func(int, generate.Outcome) bool) {
		prompts, errs := m.readAll(ctx, requests)
		var good []int
		for i := range requests {
			if ctx.Err() != nil {
				return
			}
			if errs[i] == nil {
				good = append(good, i)
				continue
			}
			if !yield(i, generate.Outcome{Err: errs[i]}) {
				return
			}
		}
		slices.SortStableFunc(good, func(a, b int) int { return compare(prompts[a], prompts[b]) })
		for len(good) > 0 {
			n := m.batch(requests, prompts, good)
			if !m.completeRows(ctx, requests, prompts, good[:n], yield) {
				return
			}
			good = good[n:]
		}
	}
}

// batch returns how many of the rows make up the next batch: at most Options.Rows, whose keys and values the network
// has room for, and at least one.
func (m *Model) batch(requests []generate.Request, prompts []prompt, rows []int) int {
	own, write := 0, 0
	for n, r := range rows {
		own, write = max(own, len(prompts[r].ids)-prompts[r].shared), max(write, requests[r].MaxTokens)
		if n == m.options.Rows || n > 0 && (n+1)*(own+write) > m.network.room {
			return n
		}
	}
	return len(rows)
}

// compare puts prompts with the same shared part together, and in these similar lengths.
func compare(a, b prompt) int {
	return cmp.Or(slices.Compare(a.ids[:a.shared], b.ids[:b.shared]), cmp.Compare(len(a.ids), len(b.ids)),
		slices.Compare(a.ids, b.ids))
}

// readAll tokenises the requests' prompts on all cores.
func (m *Model) readAll(ctx context.Context, requests []generate.Request) ([]prompt, []error) {
	prompts, errs := make([]prompt, len(requests)), make([]error, len(requests))
	_ = parallel.Each(ctx, len(requests), func(_, i int) error { // its only error is the context's
		prompts[i], errs[i] = m.text.prompt(requests[i], m.options.Chat, m.options.ContextLength)
		if prompts[i].cut {
			m.cuts.Add(1)
		}
		return nil
	})
	return prompts, errs
}

// answered is an outcome on its way from the runtime's thread.
type answered struct {
	request int
	outcome generate.Outcome
}

// completeRows answers requests that fit into one batch, and says whether to go on. What has been answered is yielded
// while the others are still being written.
func (m *Model) completeRows(
	ctx context.Context, requests []generate.Request, prompts []prompt, rows []int, yield func(int, generate.Outcome) bool,
) bool {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	answers := make(chan answered, len(rows))
	ended := make(chan error, 1)
	go func() {
		ended <- m.rt.Run(ctx, func(s *torch.Scope) error {
			var err error
			s.NoGrad(func() { err = m.write(ctx, s, requests, prompts, rows, answers) })
			m.prefixes.trim(s, m.network.room)
			return err
		})
		close(answers)
	}()
	given := map[int]bool{}
	wanted := true
	for a := range answers { // to the end, so that nothing is left behind
		given[a.request] = true
		if wanted && !yield(a.request, a.outcome) {
			wanted = false
			stop()
		}
	}
	err := <-ended
	if !wanted || ctx.Err() != nil {
		return false
	}
	for _, i := range rows {
		if given[i] {
			continue
		}
		if !yield(i, generate.Outcome{Err: cmp.Or(err, errNoAnswer)}) {
			return false
		}
	}
	return true
}

// writer is a record that is being written.
type writer struct {
	request int
	sampler *sampler
	limit   int
	stop    [][]byte
	text    []byte
	written int
	last    int32
	ended   bool
	outcome generate.Outcome
}

func (m *Model) newWriter(request int, r generate.Request, p prompt) *writer {
	w := &writer{request: request, sampler: newSampler(r.Seed, r.Temperature, m.options.TopP), limit: r.MaxTokens}
	w.outcome.PromptTokens = len(p.ids)
	if m.options.Chat {
		return w
	}
	for _, stop := range r.Stop {
		if stop != "" {
			w.stop = append(w.stop, []byte(stop))
		}
	}
	return w
}

// next draws a token and ends the record where it is complete.
func (w *writer) next(logits []float32, t *text) {
	id, err := w.sampler.next(logits)
	if err != nil {
		w.end(generate.Outcome{Err: fmt.Errorf("causallm: %w", err)})
		return
	}
	w.last = id
	w.written++
	if t.ends[id] {
		w.finish(len(w.text), false)
		return
	}
	before := len(w.text)
	w.text = t.tokenizer.AppendBytes(w.text, id)
	if at := firstStop(w.text, before, w.stop); at >= 0 {
		w.finish(at, false)
		return
	}
	if w.written == w.limit {
		w.finish(len(w.text), true)
	}
}

// firstStop returns where the first stop string begins that ends behind before, -1 where there is none. It may have
// begun in an earlier token.
func firstStop(text []byte, before int, stops [][]byte) int {
	first := -1
	for _, stop := range stops {
		from := max(0, before-len(stop)+1)
		if i := bytes.Index(text[from:], stop); i >= 0 && (first < 0 || from+i < first) {
			first = from + i
		}
	}
	return first
}

func (w *writer) finish(length int, truncated bool) {
	o := w.outcome
	o.Text, o.Truncated, o.Tokens = string(w.text[:length]), truncated, w.written
	w.end(o)
}

func (w *writer) end(o generate.Outcome) { w.outcome, w.ended = o, true }

// write computes one batch: what the rows read, in blocks of similar length, and then a token for all of them at a
// time.
func (m *Model) write(
	ctx context.Context, s *torch.Scope, requests []generate.Request, prompts []prompt, rows []int,
	answers chan<- answered,
) error {
	writers := make([]*writer, len(rows))
	for i, r := range rows {
		writers[i] = m.newWriter(r, requests[r], prompts[r])
	}
	draw := func(first int, logits []float32) {
		vocab := m.network.config.vocab
		_ = parallel.Each(ctx, len(logits)/vocab, func(_, i int) error { // its only error is the context's
			if w := writers[first+i]; !w.ended {
				w.next(logits[i*vocab:(i+1)*vocab], m.text)
			}
			return nil
		})
	}
	c, err := m.prefill(ctx, s, prompts, rows, writers, draw)
	if err != nil {
		return err
	}
	defer c.free(s)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		going := 0
		for _, w := range writers {
			switch {
			case !w.ended:
				going++
			case w.request >= 0:
				answers <- answered{w.request, w.outcome}
				w.request = -1
			}
		}
		if going == 0 {
			return nil
		}
		if going <= len(writers)*3/4 {
			writers = compact(s, c, writers)
		}
		if err := m.advance(s, c, writers, draw); err != nil {
			return err
		}
	}
}

// compact takes the rows out of the batch that are done.
func compact(s *torch.Scope, c *cache, writers []*writer) []*writer {
	var rows []int
	var going []*writer
	for i, w := range writers {
		if !w.ended {
			rows, going = append(rows, i), append(going, w)
		}
	}
	c.keepRows(s, rows)
	return going
}

// draw takes the logits [rows x vocab] of the rows from first on, which are valid until it returns.
type draw func(first int, logits []float32)

// advance reads the token that each row has just written.
func (m *Model) advance(s *torch.Scope, c *cache, writers []*writer, take draw) error {
	tokens := make([]int64, len(writers))
	for i, w := range writers {
		tokens[i] = int64(w.last)
	}
	s.Sub(func(s *torch.Scope) torch.Tensor {
		take.from(s, 0, m.network.step(s, c, tokens))
		return nil
	})
	return s.Err()
}

// from takes the rows of a tensor, without a copy where it is in the host's memory.
func (d draw) from(s *torch.Scope, first int, logits torch.Tensor) {
	var values []float32
	if s.OnCPU() {
		values = s.Memory(logits)
	} else {
		values = s.Floats(logits)
	}
	if s.Err() == nil {
		d(first, values)
	}
}

// prefill computes what the rows read, gives take the logits of each row's first token, and returns the filled cache,
// which the caller frees. Rows with the same shared part are neighbours.
func (m *Model) prefill(
	ctx context.Context, s *torch.Scope, prompts []prompt, rows []int, writers []*writer, take draw,
) (*cache, error) {
	own := make([]int, len(rows))
	var groups []group
	for i, r := range rows {
		p := prompts[r]
		own[i] = len(p.ids) - p.shared
		if i > 0 && slices.Equal(p.ids[:p.shared], prompts[rows[i-1]].ids[:prompts[rows[i-1]].shared]) {
			groups[len(groups)-1].rows++
			continue
		}
		groups = append(groups, group{m.prefixes.get(ctx, s, m.network, p.ids[:p.shared]), 1})
	}
	write := 0
	for _, w := range writers {
		write = max(write, w.limit)
	}
	c := m.network.newCache(s, groups, own, write)
	if c == nil {
		return nil, s.Err()
	}
	first := 0
	for _, g := range groups {
		for _, b := range cutBlocks(own[first:first+g.rows], m.options.BatchTokens) {
			texts := make([][]int32, b)
			for i := range texts {
				p := prompts[rows[first+i]]
				texts[i] = p.ids[p.shared:]
			}
			m.fill(ctx, s, c, first, newBlock(texts, g.prefix), take)
			first += b
		}
	}
	if err := s.Err(); err != nil {
		c.free(s)
		return nil, err
	}
	return c, nil
}

// fill computes a block of rows, puts its keys and values into the cache, and gives take the logits behind each row's
// last token.
func (m *Model) fill(ctx context.Context, s *torch.Scope, c *cache, first int, b block, take draw) {
	b.keep = true
	last := make([]int64, b.rows)
	for i, length := range b.lengths {
		last[i] = int64(i*b.width + length - 1)
	}
	s.Sub(func(s *torch.Scope) torch.Tensor {
		x, kv := m.network.forward(ctx, s, b)
		if kv == nil {
			return nil
		}
		c.put(s, first, kv, b.rows)
		kv.free(s)
		take.from(s, first, m.network.logits(s, s.IndexSelect(x, 0, s.FromInts(last, int64(b.rows)))))
		return nil
	})
}

// cutBlocks cuts texts of these lengths into runs that take at most budget tokens with their padding, or are one text.
func cutBlocks(lengths []int, budget int) []int {
	var runs []int
	rows, width := 0, 0
	for _, length := range lengths {
		if wider := max(width, length); rows > 0 && (rows+1)*wider > budget {
			runs, rows, width = append(runs, rows), 0, 0
		}
		rows, width = rows+1, max(width, length)
	}
	if rows > 0 {
		runs = append(runs, rows)
	}
	return runs
}
