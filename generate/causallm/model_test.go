//go:build libtorch

package causallm

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/torch"
)

func openModel(t testing.TB, path string, o Options) *Model {
	t.Helper()
	m, err := Open(context.Background(), path, o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, m.Close())
		require.Zero(t, m.rt.Live(), "tensors left behind")
	})
	return m
}

// golden is what testdata/tiny.py wrote: the reference is transformers 5.24 on PyTorch 2.15.
type golden struct {
	Texts []struct {
		Text        string
		IDs         []int32
		First, Last []float32 // logits
		Sums        []float64 // of the logits behind each token
		Greedy      []int32
		GreedyText  string `json:"greedy_text"`
	}
	Likelihoods []struct {
		Prefix, Continuation string
		Sum                  float64
		Tokens               int
	}
}

func readGoldens(t testing.TB) map[string]golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/tiny.json")
	require.NoError(t, err)
	var goldens map[string]golden
	require.NoError(t, json.Unmarshal(raw, &goldens))
	require.Len(t, goldens, 9)
	return goldens
}

func tiny(name string) string { return filepath.Join("testdata", name) }

// allLogits computes the logits behind each token of a text at once, [tokens x vocab].
func allLogits(t testing.TB, m *Model, ids []int32) []float32 {
	t.Helper()
	var logits []float32
	require.NoError(t, m.rt.Run(t.Context(), func(s *torch.Scope) error {
		s.NoGrad(func() {
			x, _ := m.network.forward(t.Context(), s, newBlock([][]int32{ids}, nil))
			logits = s.Floats(m.network.logits(s, x))
		})
		return s.Err()
	}))
	return logits
}

func TestLogitsEqualTransformers(t *testing.T) {
	for name, g := range readGoldens(t) {
		t.Run(name, func(t *testing.T) {
			m := openModel(t, tiny(name), Options{})
			for _, text := range g.Texts {
				require.Equal(t, text.IDs, must(m.text.encode(text.Text)))
				logits := allLogits(t, m, text.IDs)
				vocab := m.network.config.vocab
				require.InDeltaSlice(t, text.First, logits[:vocab], 1e-4)
				require.InDeltaSlice(t, text.Last, logits[len(logits)-vocab:], 1e-4)
				for i, want := range text.Sums {
					got := 0.0
					for _, v := range logits[i*vocab : (i+1)*vocab] {
						got += float64(v)
					}
					require.InDelta(t, want, got, 2e-3, "token %d", i)
				}
			}
		})
	}
}

// The files are those of the folders, so are the numbers.
func TestGGUFFilesComputeWhatTheirFoldersDo(t *testing.T) {
	for name, stored := range map[string]string{
		"llama-tied": "llama-tied", "qwen2": "qwen2", "llama3-sharded": "llama3", "qwen3": "qwen3", "gemma": "gemma",
		"gemma2": "gemma2", "gemma3": "gemma3",
	} {
		folder, file := openModel(t, tiny(name), Options{Chat: true}), openModel(t, tiny(stored+".gguf"), Options{Chat: true})
		require.Equal(t, stored, file.Model())
		require.Equal(t, folder.network.digest, file.network.digest, "the same weights")
		for _, text := range readGoldens(t)[name].Texts {
			require.Equal(t, text.IDs, must(file.text.encode(text.Text)))
			logits := allLogits(t, file, text.IDs)
			require.InDeltaSlice(t, text.Last, logits[len(logits)-len(text.Last):], 1e-4)
		}
		r := generate.Request{Prompt: chat("green tea"), MaxTokens: 20, Seed: 3, Temperature: 1}
		want, err := folder.Complete(t.Context(), r)
		require.NoError(t, err)
		got, err := file.Complete(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// Rows behind different prefixes and of different lengths, written one token at a time, a row leaving in the middle: the logits
// are those of the whole text at once.
func TestCachedDecodingEqualsTheWholeTextAtOnce(t *testing.T) {
	for name, g := range readGoldens(t) {
		t.Run(name, func(t *testing.T) {
			m := openModel(t, tiny(name), Options{BatchTokens: 40})
			a, b := g.Texts[0], g.Texts[1]
			prompts := []prompt{
				{ids: a.IDs, shared: 5},
				{ids: append(a.IDs[:5:5], b.IDs[5:]...), shared: 5},
				{ids: a.IDs[:6], shared: 5},
				{ids: b.IDs, shared: 9},
				{ids: b.IDs[:12], shared: 0},
				{ids: g.Texts[2].IDs, shared: 0},
			}
			rows := []int{0, 1, 2, 3, 4, 5}
			writers := make([]*writer, len(rows))
			for i := range rows {
				writers[i] = &writer{limit: 8}
			}
			texts := make([][]int32, len(rows))
			for i := range texts {
				texts[i] = append([]int32(nil), prompts[i].ids...)
			}
			vocab := m.network.config.vocab
			require.NoError(t, m.rt.Run(t.Context(), func(s *torch.Scope) (err error) {
				s.NoGrad(func() {
					var c *cache
					var logits []float32
					keep := func(first int, some []float32) {
						logits = append(logits[:min(first*vocab, len(logits))], some...)
					}
					c, err = m.prefill(t.Context(), s, prompts, rows, writers, keep)
					require.NoError(t, err)
					defer c.free(s)
					for step := range 8 {
						for i := range texts {
							x, _ := m.network.forward(t.Context(), s, newBlock([][]int32{texts[i]}, nil))
							want := s.Floats(m.network.logits(s, x))
							require.InDeltaSlice(t, want[len(want)-vocab:], logits[i*vocab:(i+1)*vocab], 1e-4, "row %d, step %d", i, step)
						}
						if step == 7 {
							return
						}
						if step == 3 {
							writers[1].ended, writers[3].ended = true, true
							writers = compact(s, c, writers)
							texts = [][]int32{texts[0], texts[2], texts[4], texts[5]}
						}
						for i, w := range writers {
							w.last = int32((step*31 + i*17) % vocab)
							texts[i] = append(texts[i], w.last)
						}
						err = m.advance(s, c, writers, keep)
						require.NoError(t, err)
					}
				})
				return err
			}))
		})
	}
}

func TestABatchIsAsLargeAsItsKeysAndValuesAllow(t *testing.T) {
	prompts := []prompt{
		{ids: make([]int32, 30), shared: 20}, {ids: make([]int32, 40), shared: 20}, {ids: make([]int32, 20)},
	}
	requests := []generate.Request{{MaxTokens: 5}, {MaxTokens: 5}, {MaxTokens: 30}}
	for _, c := range []struct{ rows, room, want int }{
		{64, 1000, 3},
		{64, 150, 3}, // three rows of 20 and 30
		{64, 149, 2},
		{64, 50, 2},
		{64, 49, 1},
		{64, 0, 1}, // one in any case
		{2, 1000, 2},
	} {
		m := &Model{options: Options{Rows: c.rows}, network: &network{room: c.room}}
		require.Equal(t, c.want, m.batch(requests, prompts, []int{0, 1, 2}), "%+v", c)
	}
}

func TestKeysAndValuesBesideQuantisedWeightsTakeHalf(t *testing.T) {
	for _, c := range []struct {
		precision     torch.Type
		weights       int
		quantised     bool
		stored        torch.Type
		bytesPerToken int
		bytes         int
	}{
		{torch.Float32, 1 << 20, false, torch.Float32, 4 * 2 * 3 * 2 * 8, leastRoom},
		{torch.Float32, 1 << 20, true, torch.Float16, 2 * 2 * 3 * 2 * 8, leastRoom},
		{torch.BFloat16, 1 << 30, true, torch.BFloat16, 2 * 2 * 3 * 2 * 8, 1 << 27},
	} {
		n := &network{precision: c.precision, config: config{layers: 3, kvHeads: 2, headDim: 8}}
		n.keep(c.weights, c.quantised)
		require.Equal(t, c.stored, n.stored)
		require.Equal(t, c.bytes/c.bytesPerToken, n.room)
	}
}

func raw(text string) generate.Prompt { return generate.Prompt{Own: text} }

func TestGreedyTextEqualsTransformers(t *testing.T) {
	for name, g := range readGoldens(t) {
		t.Run(name, func(t *testing.T) {
			m := openModel(t, tiny(name), Options{})
			m.text.ends = nil // as the golden was made
			for _, text := range g.Texts {
				c, err := m.Complete(t.Context(), generate.Request{Prompt: raw(text.Text), MaxTokens: len(text.Greedy)})
				require.NoError(t, err)
				var want []byte
				for _, id := range text.Greedy {
					want = m.text.tokenizer.AppendBytes(want, id)
				}
				require.Equal(t, string(want), c.Text)
				require.True(t, c.Truncated)
				require.Equal(t, len(text.Greedy), c.Tokens)
				require.Equal(t, len(text.IDs), c.PromptTokens)
			}
		})
	}
}

// requests are of three prompts, several lengths, and all temperatures.
func requests(n int) []generate.Request {
	words := "green tea is made of leaves that were steamed soon after the harvest so that they keep their colour"
	prefixes := []string{"Passage: a retort is a vessel of glass\nQuestion: what is a retort used for\n\nPassage:", "Write a claim.\n\nPassage:", ""}
	out := make([]generate.Request, n)
	for i := range out {
		out[i] = generate.Request{
			Prompt:    generate.Prompt{Prefix: prefixes[i%3], Own: " " + words[:1+(i*37)%len(words)] + "\nQuestion:"},
			MaxTokens: 1 + (i*7)%30, Temperature: []float64{0, .8, 1.5}[i/3%3], Seed: uint64(i), Stop: []string{"\n", "qu"},
		}
	}
	return out
}

func collect(t testing.TB, m *Model, rs []generate.Request) []generate.Completion {
	t.Helper()
	out := make([]generate.Completion, len(rs))
	seen := map[int]bool{}
	for i, o := range m.CompleteBatch(t.Context(), rs) {
		require.NoError(t, o.Err)
		require.False(t, seen[i])
		seen[i], out[i] = true, o.Completion
	}
	require.Len(t, seen, len(rs))
	return out
}

func TestAnAnswerDoesNotDependOnItsBatch(t *testing.T) {
	rs := requests(60)
	var wants [][]generate.Completion
	for _, o := range []Options{{}, {Rows: 7, BatchTokens: 100}, {Rows: 1}, {TopP: .9}, {TopP: .9, Rows: 13}} {
		m := openModel(t, tiny("llama-tied"), o)
		together := collect(t, m, rs)
		for i, r := range rs {
			alone, err := m.Complete(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, alone, together[i], "request %d", i)
		}
		wants = append(wants, together)
	}
	require.Equal(t, wants[0], wants[1])
	require.Equal(t, wants[0], wants[2])
	require.Equal(t, wants[3], wants[4])
	require.NotEqual(t, wants[0], wants[3])
	again := openModel(t, tiny("llama-tied"), Options{})
	require.Equal(t, wants[0], collect(t, again, rs), "the same in the next process")
	rs[12].Seed++ // of temperature .8
	require.NotEqual(t, wants[0][12], collect(t, again, rs)[12], "another seed, another text")
}

func TestStopStringsEndATextWhereverTokensEnd(t *testing.T) {
	m := openModel(t, tiny("qwen2"), Options{})
	r := generate.Request{Prompt: raw("Passage: tea"), MaxTokens: 40, Seed: 3, Temperature: 1}
	whole, err := m.Complete(t.Context(), r)
	require.NoError(t, err)
	require.Greater(t, len(whole.Text), 20)
	// Every piece of the text, so also those that begin and end within a token.
	for from := 3; from+4 < len(whole.Text); from++ {
		stop := whole.Text[from : from+4]
		r.Stop = []string{"never, ever", stop}
		c, err := m.Complete(t.Context(), r)
		require.NoError(t, err)
		want := whole.Text[:indexOf(whole.Text, stop)]
		require.Equal(t, want, c.Text, "stop %q", stop)
		require.False(t, c.Truncated)
		require.LessOrEqual(t, c.Tokens, whole.Tokens)
	}
}

func indexOf(s, sub string) int {
	for i := range len(s) {
		if i+len(sub) <= len(s) && s[i:i+len(sub)] == sub {
			return i
		}
	}
	return -1
}

func TestLikelihoodsEqualTransformers(t *testing.T) {
	for name, g := range readGoldens(t) {
		t.Run(name, func(t *testing.T) {
			m := openModel(t, tiny(name), Options{BatchTokens: 60})
			var premises []premise
			var continuations [][]string
			for _, l := range g.Likelihoods {
				if n := len(premises); n == 0 || premises[n-1].Head != l.Prefix {
					premises, continuations = append(premises, premise{Head: l.Prefix}), append(continuations, nil)
				}
				continuations[len(continuations)-1] = append(continuations[len(continuations)-1], l.Continuation)
				alone, err := m.logLikelihood(t.Context(), l.Prefix, []string{l.Continuation})
				require.NoError(t, err)
				require.InDelta(t, l.Sum, alone[0].Sum, 1e-3)
				require.Equal(t, l.Tokens, alone[0].Tokens)
			}
			all, err := m.logLikelihoods(t.Context(), premises, continuations)
			require.NoError(t, err)
			at := 0
			for i := range all {
				for j := range all[i] {
					l := g.Likelihoods[at]
					require.InDelta(t, l.Sum, all[i][j].Sum, 1e-3, "%q behind %q", l.Continuation, l.Prefix)
					require.Equal(t, l.Tokens, all[i][j].Tokens)
					at++
				}
			}
			require.Equal(t, len(g.Likelihoods), at)
		})
	}
}

func TestLongPassagesAreCutAndCounted(t *testing.T) {
	m := openModel(t, tiny("llama-tied"), Options{ContextLength: 40})
	long := generate.Prompt{Prefix: "Passage:", Own: " "}
	for i := range 100 {
		long.Own += fmt.Sprintf("word%d ", i)
	}
	long.Own += "\nQuestion:"
	c, err := m.Complete(t.Context(), generate.Request{Prompt: long, MaxTokens: 10, Temperature: 1})
	require.NoError(t, err)
	require.Equal(t, 30, c.PromptTokens)
	require.EqualValues(t, 1, m.Truncated())
	p, err := m.text.prompt(generate.Request{Prompt: long, MaxTokens: 10}, false, 40)
	require.NoError(t, err)
	require.Regexp(t, `^Passage: word0 .*\nQuestion:$`, m.text.tokenizer.Decode(p.ids))

	l, err := m.logLikelihoods(t.Context(), []premise{{long.Prefix + long.Own, "\nQuestion:"}}, [][]string{{" green tea", " tea"}})
	require.NoError(t, err)
	require.EqualValues(t, 2, m.Truncated())
	require.False(t, math.IsNaN(l[0][0].Mean()))

	_, err = m.Complete(t.Context(), generate.Request{Prompt: long, MaxTokens: 39})
	require.ErrorContains(t, err, "raise Options.ContextLength or ask for fewer tokens")
}

func TestContinuationsMayTogetherBeLongerThanTheContext(t *testing.T) {
	m := openModel(t, tiny("llama-tied"), Options{ContextLength: 40})
	premises := []premise{{Head: "Passage: green tea.\nQuestion:"}, {Head: "Passage: tea.\nQuestion:"}}
	many := slices.Repeat([]string{" what is green tea", " where does tea grow", " who drinks tea", " is tea healthy"}, 4)
	together, err := m.logLikelihoods(t.Context(), premises, [][]string{many, many[:1]})
	require.NoError(t, err)
	for i, p := range premises {
		alone, err := m.logLikelihood(t.Context(), p.Head, many[:1])
		require.NoError(t, err)
		require.InDelta(t, alone[0].Mean(), together[i][0].Mean(), 1e-4)
	}
}

func TestBadRequestsAreErrorsOfTheirOwn(t *testing.T) {
	m := openModel(t, tiny("llama-tied"), Options{})
	rs := requests(4)
	rs[1].MaxTokens = 0
	rs[2].Prompt = generate.Prompt{}
	errs := map[int]error{}
	for i, o := range m.CompleteBatch(t.Context(), rs) {
		errs[i] = o.Err
	}
	require.Len(t, errs, 4)
	require.NoError(t, errs[0])
	require.ErrorContains(t, errs[1], "MaxTokens is 0")
	require.ErrorContains(t, errs[2], "the prompt is empty")
	require.NoError(t, errs[3])

	_, err := m.logLikelihood(t.Context(), "x", []string{"a", ""})
	require.ErrorContains(t, err, "continuation 1 is empty")
	_, err = m.logLikelihood(t.Context(), "", []string{"a"})
	require.ErrorContains(t, err, "the premise is empty")
	_, err = m.logLikelihoods(t.Context(), nil, [][]string{{"a"}})
	require.ErrorContains(t, err, "0 premises and 1 lists")
}

func TestTheEndOfTheContextStopsWriting(t *testing.T) {
	m := openModel(t, tiny("llama-tied"), Options{Rows: 4})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for range m.CompleteBatch(ctx, requests(60)) {
		n++
		cancel()
	}
	require.Less(t, n, 10)
	_, err := m.Complete(ctx, requests(1)[0])
	require.ErrorIs(t, err, context.Canceled)
	_, err = m.logLikelihood(ctx, "x", []string{"a"})
	require.ErrorIs(t, err, context.Canceled)
	for range m.CompleteBatch(t.Context(), requests(60)) {
		break // whoever has enough leaves
	}
}

func TestFingerprintFollowsWhatAnAnswerDependsOn(t *testing.T) {
	base := openModel(t, tiny("llama-tied"), Options{}).Fingerprint()
	require.Len(t, base, 64)
	require.Equal(t, base, openModel(t, tiny("llama-tied"), Options{Rows: 3, Name: "x"}).Fingerprint())
	seen := map[string]bool{base: true}
	for _, f := range []string{
		openModel(t, tiny("llama-tied"), Options{TopP: .5}).Fingerprint(),
		openModel(t, tiny("llama-tied"), Options{ContextLength: 100}).Fingerprint(),
		openModel(t, tiny("llama-tied"), Options{Chat: true}).Fingerprint(),
		openModel(t, tiny("llama-tied"), Options{Precision: "bf16"}).Fingerprint(),
		openModel(t, tiny("qwen2"), Options{}).Fingerprint(),
	} {
		require.False(t, seen[f])
		seen[f] = true
	}
}

func TestBF16IsNearFP32(t *testing.T) {
	g := readGoldens(t)["qwen2-tied"].Texts[0]
	exact := allLogits(t, openModel(t, tiny("qwen2-tied"), Options{}), g.IDs)
	half := allLogits(t, openModel(t, tiny("qwen2-tied"), Options{Precision: "bf16"}), g.IDs)
	size, difference := 0.0, 0.0
	for i := range exact {
		size = math.Hypot(size, float64(exact[i]))
		difference = math.Hypot(difference, float64(exact[i]-half[i]))
	}
	require.Less(t, difference, .05*size)
	require.NotZero(t, difference)
}

func TestOpenNamesTheWeightThatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		changes map[string]any
		want    string
	}{
		{map[string]any{"num_hidden_layers": 40}, `no tensor "model.layers.`},
		{map[string]any{"intermediate_size": 16}, `tensor "model.layers.0.mlp.gate_proj.weight" has shape`},
		{map[string]any{"head_dim": 4}, `tensor "model.layers.0.self_attn.q_proj.weight" has shape`},
		{map[string]any{"tie_word_embeddings": false}, `no tensor "lm_head.weight"`},
	} {
		dir := copyOf(t, "llama-tied", "config.json", c.changes)
		_, err := Open(t.Context(), dir, Options{})
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, dir)
	}
}

func TestClosedModel(t *testing.T) {
	m, err := Open(t.Context(), tiny("llama-tied"), Options{})
	require.NoError(t, err)
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	_, err = m.Complete(t.Context(), requests(1)[0])
	require.ErrorIs(t, err, torch.ErrClosed)
	require.Equal(t, "llama-tied", m.Model())
}

// logLikelihood is logLikelihoods of one prefix.
func (m *Model) logLikelihood(ctx context.Context, prefix string, continuations []string) ([]likelihood, error) {
	all, err := m.logLikelihoods(ctx, []premise{{Head: prefix}}, [][]string{continuations})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}
