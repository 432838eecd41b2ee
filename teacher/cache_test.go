package teacher

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/ledger"
	"github.com/retort-ir/retort/internal/regular"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// lengths scores a passage by its length and remembers what it was asked.
type lengths struct {
	name  string
	mu    sync.Mutex
	asked []string
}

func (l *lengths) Fingerprint() string { return l.name }

func (l *lengths) Score(_ context.Context, q retort.Query, ps []retort.Passage) ([]float64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	scores := make([]float64, len(ps))
	for i, p := range ps {
		l.asked = append(l.asked, q.Text+"/"+p.Content())
		scores[i] = float64(len(p.Content()))
		if p.Text == "unknown" {
			scores[i] = nan
		}
	}
	return scores, nil
}

func storeIn(dir string) string { return filepath.Join(dir, "scores.jsonl") }

func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := OpenStore(t.Context(), storeIn(dir), quiet)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func cache(t testing.TB, inner Teacher, s *Store) Teacher {
	t.Helper()
	c, err := Cached(inner, s)
	require.NoError(t, err)
	return c
}

func score(t testing.TB, teacher Teacher, query string, ps []retort.Passage) []float64 {
	t.Helper()
	scores, err := teacher.Score(t.Context(), retort.Query{ID: "id of " + query, Text: query}, ps)
	require.NoError(t, err)
	return scores
}

func TestCachedAsksOnlyForWhatItLacksAlsoAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	l := &lengths{name: "lengths"}
	c := cache(t, l, s)
	require.Equal(t, []float64{1, 2}, score(t, c, "q", passages("a", "bb")))
	require.Equal(t, []float64{2, 3, 1}, score(t, c, "q", passages("bb", "ccc", "a")))
	require.Equal(t, []string{"q/a", "q/bb", "q/ccc"}, l.asked)
	require.NoError(t, s.Close())

	s = openStore(t, dir)
	require.Equal(t, 3, s.Len())
	require.Equal(t, []float64{3, 2, 1}, score(t, cache(t, l, s), "q", passages("ccc", "bb", "a")))
	require.Len(t, l.asked, 3)
}

func TestCachedIsKeyedByFingerprintQueryTextAndContent(t *testing.T) {
	s := openStore(t, t.TempDir())
	l := &lengths{name: "one"}
	p := retort.Passage{ID: "1", Title: "Vitamin", Text: "D"}
	ask := func(teacher *lengths, query string, p retort.Passage) {
		score(t, cache(t, teacher, s), query, []retort.Passage{p})
	}
	ask(l, "q", p)
	require.Len(t, l.asked, 1)
	ask(l, "q", retort.Passage{ID: "2", Text: "Vitamin D"})
	require.Len(t, l.asked, 1, "the same content under another id")
	ask(l, "another", p)
	require.Len(t, l.asked, 2)
	ask(l, "q", retort.Passage{ID: "1", Title: "Vitamin", Text: "E"})
	require.Len(t, l.asked, 3)
	other := &lengths{name: "two"}
	ask(other, "q", p)
	require.Len(t, other.asked, 1)
	// Parts that run together into the same bytes are still different parts.
	ask(&lengths{name: "x"}, "yz", passages("w")[0])
	runTogether := &lengths{name: "xy"}
	ask(runTogether, "z", passages("w")[0])
	require.Len(t, runTogether.asked, 1)
}

func TestCachedRemembersThatAScoreIsMissing(t *testing.T) {
	s := openStore(t, t.TempDir())
	l := &lengths{name: "lengths"}
	for range 2 {
		scores := score(t, cache(t, l, s), "q", passages("unknown", "b"))
		require.True(t, math.IsNaN(scores[0]))
		require.Equal(t, 1., scores[1])
	}
	require.Len(t, l.asked, 2)
}

func TestCachedNeverKeepsWhatATeacherMustNotReturn(t *testing.T) {
	s := openStore(t, t.TempDir())
	for _, bad := range []Teacher{fixed(1), fixed(1, math.Inf(1))} {
		_, err := cache(t, WithFingerprint(bad, "bad"), s).Score(t.Context(), retort.Query{ID: "q"}, passages("a", "b"))
		require.Error(t, err)
	}
	require.Zero(t, s.Len())
}

func TestCachedEnsembleKeepsRawScoresOfItsMembers(t *testing.T) {
	s := openStore(t, t.TempDir())
	one, two := &lengths{name: "one"}, &lengths{name: "two"}
	e, err := NewEnsemble(Member{Name: "1", Teacher: one}, Member{Name: "2", Teacher: two, Weight: 2})
	require.NoError(t, err)
	c := cache(t, e, s)

	score(t, c, "q", passages("a", "bb", "ccc"))
	require.Equal(t, 6, s.Len())
	raw, ok := s.get(scoreKey("one", "q", "ccc"))
	require.True(t, ok)
	require.Equal(t, 3., raw)
	// In another list the same passages have other z-scores: nothing is asked again, and the sum is right.
	list := passages("ccc", "bb")
	require.Equal(t, score(t, e, "q", list), score(t, c, "q", list))
	require.InDeltaSlice(t, []float64{3, -3}, score(t, c, "q", list), 1e-12)
	require.Len(t, one.asked, 3+2)
}

func TestCachedNeedsAFingerprint(t *testing.T) {
	s := openStore(t, t.TempDir())
	e, err := NewEnsemble(Member{Name: "plain", Teacher: fixed(1)})
	require.NoError(t, err)
	for _, c := range []struct {
		name    string
		teacher Teacher
		want    string
	}{
		{"none", fixed(1), "has no fingerprint: see teacher.WithFingerprint"},
		{"empty", WithFingerprint(fixed(1), ""), "is empty"},
		{"member", e, "member plain of the ensemble: cache a teacher: teacher.Func has no fingerprint"},
		{"fused", WithFingerprint(e, "fused"), "the scores of an ensemble depend on the list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Cached(c.teacher, s)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err = Cached(fixed(1), nil)
	require.ErrorContains(t, err, "no store")
}

func TestCachedKeepsTheFingerprint(t *testing.T) {
	c := cache(t, &lengths{name: "lengths"}, openStore(t, t.TempDir()))
	require.Equal(t, "lengths", c.(encoder.Fingerprinter).Fingerprint())
}

func TestCachedIsSafeForConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	c := cache(t, &lengths{name: "lengths"}, s)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				text := strings.Repeat("x", (i+worker)%20+1)
				scores, err := c.Score(t.Context(), retort.Query{Text: fmt.Sprint(i % 5)}, passages(text, text, "y"))
				if err != nil || scores[0] != float64(len(text)) || scores[1] != scores[0] || scores[2] != 1 {
					t.Errorf("%v, %v for %q", scores, err, text)
				}
			}
		}()
	}
	wg.Wait()
	require.NoError(t, s.Close())
	require.Equal(t, len(readAll(t, dir)), openStore(t, dir).Len(), "a record was written twice")
}

// readAll returns the records of a store's file in order, repeated ones too.
func readAll(t testing.TB, dir string) []record {
	t.Helper()
	f, err := os.Open(storeIn(dir))
	require.NoError(t, err)
	defer f.Close()
	var records []record
	c, err := ledger.Scan(t.Context(), f, func(_ ledger.Place, body []byte) error {
		r, err := parseRecord(body)
		records = append(records, r)
		return err
	})
	require.NoError(t, err)
	require.True(t, c.Whole())
	return records
}

// threeScores makes a store of three records and returns its file.
func threeScores(t testing.TB, dir string) (path string, data []byte) {
	t.Helper()
	s := openStore(t, dir)
	score(t, cache(t, &lengths{name: "lengths"}, s), "q", passages("a", "bb", "ccc"))
	require.NoError(t, s.Close())
	data, err := os.ReadFile(storeIn(dir))
	require.NoError(t, err)
	require.Equal(t, 3, bytes.Count(data, []byte("\n")))
	return storeIn(dir), data
}

func TestAStoreCutAtAnyByteGoesOnFromItsLastWholeScore(t *testing.T) {
	dir := t.TempDir()
	path, data := threeScores(t, dir)
	for cut := range len(data) + 1 {
		require.NoError(t, os.WriteFile(path, data[:cut], 0o644))
		var log bytes.Buffer
		s, err := OpenStore(t.Context(), path, slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, err, "cut at %d", cut)
		require.Equal(t, bytes.Count(data[:cut], []byte("\n")), s.Len(), "cut at %d", cut)
		require.Equal(t, cut == 0 || data[cut-1] == '\n', log.Len() == 0, "cut at %d: %s", cut, &log)
		// What is appended after the repair is found again.
		score(t, cache(t, &lengths{name: "lengths"}, s), "q", passages("a", "bb", "ccc", "dddd"))
		require.NoError(t, s.Close())
		s = openStore(t, dir)
		require.Equal(t, 4, s.Len(), "cut at %d", cut)
		require.NoError(t, s.Close())
	}
}

func TestAStoreRefusesDamageAndLeavesTheFileAsItIs(t *testing.T) {
	dir := t.TempDir()
	path, good := threeScores(t, dir)
	line := bytes.IndexByte(good, '\n') + 1
	change := func(at int) []byte {
		data := bytes.Clone(good)
		data[at] ^= 1
		return data
	}
	for _, c := range []struct {
		name, want string
		data       []byte
	}{
		{"key of the first record", ":1: record at byte offset 0: checksum does not match", change(10)},
		{"checksum of the second record", fmt.Sprintf(":2: record at byte offset %d: checksum", line), change(2*line - 4)},
		{"another file", ":1: record at byte offset 0: ", []byte("{\"_id\": \"1\"}\n")},
		{"a file of the format before", ":1: record at byte offset 0: ", []byte("retort scores 1\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, c.data, 0o644))
			_, err := OpenStore(t.Context(), path, quiet)
			require.ErrorContains(t, err, path+c.want)
			require.ErrorIs(t, err, retort.ErrDamaged)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.data, after)
		})
	}
	answers, err := ledger.Seal(0, map[string]string{"key": "k", "model": "m"})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, answers, 0o644))
	_, err = OpenStore(t.Context(), path, quiet)
	require.ErrorContains(t, err, path+":1: record at byte offset 0: it is not a score")
}

func TestScoresAreReadBackToTheBit(t *testing.T) {
	for _, want := range []float64{0, -0.5, 1. / 3, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN()} {
		line, err := ledger.Seal(3, record{key{1, 255}, want})
		require.NoError(t, err)
		body, ok := ledger.Unseal(3, bytes.TrimSuffix(line, []byte("\n")))
		require.True(t, ok)
		r, err := parseRecord(body)
		require.NoError(t, err)
		require.Equal(t, key{1, 255}, r.key)
		require.Equal(t, math.Float64bits(want), math.Float64bits(r.score))
	}
	_, err := ledger.Seal(0, record{score: math.Inf(1)})
	require.Error(t, err)
}

func TestStoreIsOpenOnce(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	_, err := OpenStore(t.Context(), storeIn(dir), quiet)
	require.ErrorIs(t, err, retort.ErrInUse)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "closing twice is harmless")
	openStore(t, dir)
}

func TestStoreThatIsClosedTakesNoScores(t *testing.T) {
	s := openStore(t, t.TempDir())
	c := cache(t, &lengths{name: "lengths"}, s)
	require.NoError(t, s.Close())
	_, err := c.Score(t.Context(), retort.Query{}, passages("a"))
	require.ErrorContains(t, err, "closed")
}

func TestOpenStoreSaysWhatIsWrongWithThePath(t *testing.T) {
	dir := t.TempDir()
	_, err := OpenStore(t.Context(), dir, quiet)
	require.ErrorIs(t, err, regular.ErrNotRegular)
	require.ErrorContains(t, err, dir)
}

func TestOpenStoreStopsWhenItsContextEnds(t *testing.T) {
	dir := t.TempDir()
	threeScores(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := OpenStore(ctx, storeIn(dir), quiet)
	require.ErrorIs(t, err, context.Canceled)
	openStore(t, dir) // the lock is free again
}

func FuzzRecordsThatAreReadAreNumbers(f *testing.F) {
	f.Add([]byte(`{"key":"00112233445566778899aabbccddeeff","score":0.5}`))
	f.Add([]byte(`{"key":"00112233445566778899aabbccddeeff","score":null}`))
	f.Add([]byte(`{"key":"00","score":}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRecord(body)
		if err != nil {
			return
		}
		again, err := r.MarshalJSON()
		require.NoError(t, err)
		same, err := parseRecord(again)
		require.NoError(t, err)
		require.Equal(t, r.key, same.key)
		require.Equal(t, math.Float64bits(r.score), math.Float64bits(same.score))
	})
}

func BenchmarkCachedHit(b *testing.B) {
	c := cache(b, &lengths{name: "lengths"}, openStore(b, b.TempDir()))
	text := strings.Repeat("The passage has about a thousand characters. ", 22)
	ps := make([]retort.Passage, 20)
	for i := range ps {
		ps[i] = retort.Passage{ID: fmt.Sprint(i), Text: fmt.Sprint(i, text)}
	}
	score(b, c, "q", ps)
	b.ReportAllocs()
	for b.Loop() {
		score(b, c, "q", ps)
	}
}

func BenchmarkOpenStore(b *testing.B) {
	dir := b.TempDir()
	s := openStore(b, dir)
	records := make([]record, 1_000_000)
	for i := range records {
		records[i] = record{scoreKey("f", "q", fmt.Sprint(i)), float64(i)}
	}
	require.NoError(b, s.put(records))
	require.NoError(b, s.Close())
	for b.Loop() {
		s, err := OpenStore(b.Context(), storeIn(dir), quiet)
		require.NoError(b, err)
		require.Equal(b, len(records), s.Len())
		require.NoError(b, s.Close())
	}
}
