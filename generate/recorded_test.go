package generate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/internal/ledger"
)

// parrot answers with the prompt's own part, and remembers what it was asked.
type parrot struct {
	fingerprint string
	fail        map[string]error // by the prompt's own part

	mu    sync.Mutex
	asked []string
}

func (p *parrot) Model() string       { return "parrot" }
func (p *parrot) Fingerprint() string { return p.fingerprint }

func (p *parrot) Complete(ctx context.Context, r Request) (Completion, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, r.Prompt.Own)
	if err := p.fail[r.Prompt.Own]; err != nil {
		return Completion{}, err
	}
	return Completion{Text: "re: " + r.Prompt.Own, Tokens: len(r.Prompt.Own), Truncated: r.Prompt.Own == "long"}, ctx.Err()
}

// flock is a parrot that takes batches and answers the last request first.
type flock struct{ *parrot }

func (flock) BatchSize() int { return 5 }

func (f flock) CompleteBatch(ctx context.Context, requests []Request) iter.Seq2[int, Outcome] {
	return func(yield func(int, Outcome) bool) {
		for i := len(requests) - 1; i >= 0; i-- {
			c, err := f.Complete(ctx, requests[i])
			if !yield(i, Outcome{c, err}) {
				return
			}
		}
	}
}

func openAnswers(t testing.TB, path string) *Answers {
	t.Helper()
	a, err := OpenAnswers(t.Context(), path, slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

func answersPath(t testing.TB) string { return filepath.Join(t.TempDir(), "answers.jsonl") }

func asks(owns ...string) []Request {
	requests := make([]Request, len(owns))
	for i, own := range owns {
		requests[i] = Request{Prompt: Prompt{Name: "question/0", Own: own}, MaxTokens: 5}
	}
	return requests
}

func TestAnAnswerIsAskedForOnceAlsoAfterARestart(t *testing.T) {
	path := answersPath(t)
	model := &parrot{fingerprint: "v1"}
	for round := range 3 {
		answers := openAnswers(t, path)
		m, err := Recorded(model, answers)
		require.NoError(t, err)
		require.NotImplements(t, (*BatchCompleter)(nil), m)
		require.Equal(t, "parrot", m.Model())
		require.Equal(t, "v1", m.(interface{ Fingerprint() string }).Fingerprint())
		for _, r := range asks("a", "long", "a") {
			c, err := m.Complete(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, Completion{Text: "re: " + r.Prompt.Own, Tokens: len(r.Prompt.Own), Truncated: r.Prompt.Own == "long"}, c)
		}
		require.Equal(t, 2, answers.Len())
		if round == 0 {
			require.Equal(t, 1, answers.Reused())
		} else {
			require.Equal(t, 3, answers.Reused())
		}
		require.NoError(t, answers.Close())
	}
	require.Equal(t, []string{"a", "long"}, model.asked)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(file), `"model":"parrot","prompt":"question/0","text":"re: a","tokens":1,"crc32c":"`)
}

func TestWhatAnAnswerDependsOnIsInItsKey(t *testing.T) {
	answers := openAnswers(t, answersPath(t))
	models := []*parrot{{fingerprint: "v1"}, {fingerprint: "v2"}, {}}
	for range 2 {
		for _, model := range models {
			m, err := Recorded(model, answers)
			require.NoError(t, err)
			r := asks("a")[0]
			for _, seed := range []uint64{0, 1} {
				r.Seed = seed
				_, err := m.Complete(t.Context(), r)
				require.NoError(t, err)
			}
		}
	}
	require.Equal(t, 6, answers.Len())
	for _, model := range models {
		require.Len(t, model.asked, 2)
	}
}

func TestOfABatchTheModelIsAskedForWhatIsMissing(t *testing.T) {
	answers := openAnswers(t, answersPath(t))
	model := &parrot{fail: map[string]error{"bad": errors.New("refused")}}
	m, err := Recorded(flock{model}, answers)
	require.NoError(t, err)
	batch := m.(BatchCompleter)
	require.Equal(t, 5, batch.BatchSize())
	run := func(owns ...string) map[int]string {
		got := map[int]string{}
		for i, o := range batch.CompleteBatch(t.Context(), asks(owns...)) {
			require.NotContains(t, got, i)
			got[i] = o.Text
			if o.Err != nil {
				got[i] = o.Err.Error()
			}
		}
		return got
	}
	require.Equal(t, map[int]string{0: "re: b", 1: "refused", 2: "re: d"}, run("b", "bad", "d"))
	require.Equal(t, map[int]string{0: "re: a", 1: "re: b", 2: "re: c", 3: "refused", 4: "re: d"}, run("a", "b", "c", "bad", "d"))
	require.Equal(t, []string{"d", "bad", "b", "bad", "c", "a"}, model.asked, "errors are not recorded")
	require.Equal(t, map[int]string{0: "re: a", 1: "re: d"}, run("a", "d"))
	require.Equal(t, 4, answers.Len())
	require.Empty(t, run())
}

func TestAnAnswerIsRecordedBeforeItIsSeen(t *testing.T) {
	path := answersPath(t)
	answers := openAnswers(t, path)
	m, err := Recorded(flock{&parrot{}}, answers)
	require.NoError(t, err)
	for range m.(BatchCompleter).CompleteBatch(t.Context(), asks("a", "b", "c")) {
		break
	}
	require.Equal(t, 1, answers.Len())
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(file), "re: c")
}

func TestAnAnswerThatCannotBeRecordedIsAnError(t *testing.T) {
	answers := openAnswers(t, answersPath(t))
	require.NoError(t, answers.Close())
	require.NoError(t, answers.Close())
	m, err := Recorded(flock{&parrot{}}, answers)
	require.NoError(t, err)
	_, err = m.Complete(t.Context(), asks("a")[0])
	require.ErrorContains(t, err, "the file of answers is closed")
	for _, o := range m.(BatchCompleter).CompleteBatch(t.Context(), asks("a")) {
		require.ErrorContains(t, o.Err, "the file of answers is closed")
	}
}

func TestBrokenTextComesBackAsItIsFirstSeen(t *testing.T) {
	answers := openAnswers(t, answersPath(t))
	m, err := Recorded(&parrot{}, answers)
	require.NoError(t, err)
	r := asks("x\xff\xfe<&>\u2028y")[0]
	first, err := m.Complete(t.Context(), r)
	require.NoError(t, err)
	again, err := m.Complete(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, 1, answers.Reused())
}

func TestABatchWithAWrongIndexIsLeftToTheCaller(t *testing.T) {
	m, err := Recorded(wrongIndex{&parrot{}}, openAnswers(t, answersPath(t)))
	require.NoError(t, err)
	for i := range m.(BatchCompleter).CompleteBatch(t.Context(), asks("a")) {
		require.Equal(t, -1, i)
	}
}

type wrongIndex struct{ *parrot }

func (wrongIndex) BatchSize() int { return 1 }

func (wrongIndex) CompleteBatch(context.Context, []Request) iter.Seq2[int, Outcome] {
	return func(yield func(int, Outcome) bool) { yield(7, Outcome{}) }
}

func TestAFileOfAnswersCutAtAnyByteIsRepaired(t *testing.T) {
	path := answersPath(t)
	answers := openAnswers(t, path)
	m, err := Recorded(&parrot{}, answers)
	require.NoError(t, err)
	for _, r := range asks("a", "b", "c") {
		_, err := m.Complete(t.Context(), r)
		require.NoError(t, err)
	}
	require.NoError(t, answers.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for cut := range whole {
		torn := whole[:cut]
		if cut%3 == 0 {
			torn = append(bytes.Clone(torn), 0, 0, 0) // as a power cut does
		}
		require.NoError(t, os.WriteFile(path, torn, 0o644))
		var log bytes.Buffer
		answers, err := OpenAnswers(t.Context(), path, slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, err, "cut at %d", cut)
		lines := bytes.Count(whole[:cut], []byte("\n"))
		require.Equal(t, lines, answers.Len())
		require.Equal(t, len(torn) > 0 && torn[len(torn)-1] != '\n', strings.Contains(log.String(), "cut off"))
		model := &parrot{}
		m, err := Recorded(model, answers)
		require.NoError(t, err)
		for _, r := range asks("a", "b", "c") {
			_, err := m.Complete(t.Context(), r)
			require.NoError(t, err)
		}
		require.Len(t, model.asked, 3-lines)
		require.NoError(t, answers.Close())
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(whole), string(got))
	}
}

func TestAFileOfOtherRecordsIsNoFileOfAnswers(t *testing.T) {
	path := answersPath(t)
	for _, record := range []any{
		map[string]string{"text": "x"},
		recordedAnswer{Key: "00ff"},
		map[string]string{"key": "00112233445566778899aabbccddeeff", "score": "1"},
	} {
		line, err := ledger.Seal(0, record)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, line, 0o644))
		_, err = OpenAnswers(t.Context(), path, nil)
		require.ErrorIs(t, err, retort.ErrDamaged)
		require.ErrorContains(t, err, path+":1: record at byte offset 0: it is not an answer: give the path of another file")
	}
}

func TestAnswersAreOpenOnce(t *testing.T) {
	path := answersPath(t)
	answers := openAnswers(t, path)
	_, err := OpenAnswers(t.Context(), path, nil)
	require.ErrorIs(t, err, retort.ErrInUse)
	require.NoError(t, answers.Close())
	openAnswers(t, path)
	_, err = OpenAnswers(t.Context(), filepath.Join(path, "x"), nil)
	require.ErrorContains(t, err, "open the answers")
	_, err = Recorded(nil, nil)
	require.ErrorContains(t, err, "needs a model")
}

func TestRecordedQueriesAreThoseOfTheModel(t *testing.T) {
	corpus := corpusOf(t, abstracts)
	queries := func(m Completer) (texts []string) {
		g, err := NewPrompted(m, PromptOptions{})
		require.NoError(t, err)
		for q, err := range All(t.Context(), g, corpus, 3) {
			require.NoError(t, err)
			texts = append(texts, q.ID+q.Text)
		}
		return texts
	}
	want := queries(flock{&parrot{fingerprint: "v1"}})
	answers := openAnswers(t, answersPath(t))
	for range 2 {
		m, err := Recorded(flock{&parrot{fingerprint: "v1"}}, answers)
		require.NoError(t, err)
		require.Equal(t, want, queries(m))
	}
	require.Equal(t, answers.Len(), answers.Reused())
	require.Equal(t, len(abstracts)*6, answers.Len())
}

func FuzzAnswersThatAreReadWereWritten(f *testing.F) {
	f.Add([]byte(`{"key":"00112233445566778899aabbccddeeff","model":"m","text":"x","crc32c":"00000000"}` + "\n"))
	f.Add([]byte(`{"key":"00`))
	f.Add([]byte("\x00\x00\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := answersPath(t)
		require.NoError(t, os.WriteFile(path, data, 0o644))
		a, err := OpenAnswers(t.Context(), path, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			require.ErrorIs(t, err, retort.ErrDamaged)
			return
		}
		defer a.Close()
		for key := range a.places {
			_, ok, err := a.get(key)
			require.NoError(t, err)
			require.True(t, ok)
		}
	})
}
