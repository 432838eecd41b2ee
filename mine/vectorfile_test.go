package mine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/mine"
)

func newEncoder(t testing.TB) *encodertest.Encoder {
	t.Helper()
	enc, err := encodertest.New(encodertest.Options{Dim: 8})
	require.NoError(t, err)
	return enc
}

// stoppingEncoder fails after so many texts; it counts them.
type stoppingEncoder struct {
	*encodertest.Encoder
	left, encoded int
}

var errStopped = errors.New("stopped")

func (e *stoppingEncoder) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	if e.left -= len(texts); e.left < 0 {
		return blas32.General{}, errStopped
	}
	e.encoded += len(texts)
	return e.Encoder.Encode(ctx, role, texts)
}

const vectorPassages = 3500 // three blocks and a part

// writtenOnce returns the file that an undisturbed WriteVectors makes.
func writtenOnce(t testing.TB, corpus retort.Corpus) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "v.npy")
	require.NoError(t, mine.WriteVectors(context.Background(), newEncoder(t), corpus, path, nil))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func requireWritten(t testing.TB, want []byte, path string) {
	t.Helper()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, string(want) == string(got), "other vectors")
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "a file is left")
}

func TestWrittenVectorsAreThoseInMemory(t *testing.T) {
	ctx := context.Background()
	corpus := corpusOf(t, randomTexts(21, vectorPassages, 12)...)
	path := filepath.Join(t.TempDir(), "v.npy")
	var reports []int
	require.NoError(t, mine.WriteVectors(ctx, newEncoder(t), corpus, path, func(done, total int) {
		require.Equal(t, vectorPassages, total)
		reports = append(reports, done)
	}))
	require.Equal(t, []int{128, 256}, reports[:2])
	require.Equal(t, vectorPassages, reports[len(reports)-1])

	memory, err := mine.NewDense(ctx, newEncoder(t), corpus, nil)
	require.NoError(t, err)
	require.NoError(t, memory.Close())
	disk, err := mine.OpenDense(newEncoder(t), path)
	require.NoError(t, err)
	require.Equal(t, memory.Vectors(), disk.Vectors())
	require.Equal(t, memory.Fingerprint(), disk.Fingerprint())
	queries := queriesOf(randomTexts(22, 70, 5)...)
	want, err := memory.Search(ctx, queries, 30)
	require.NoError(t, err)
	got, err := disk.Search(ctx, queries, 30)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, disk.Close())
	require.NoError(t, disk.Close(), "twice")
}

func TestWriteVectorsGoesOnWhereItStopped(t *testing.T) {
	ctx := context.Background()
	corpus := corpusOf(t, randomTexts(23, vectorPassages, 12)...)
	want := writtenOnce(t, corpus)
	for _, c := range []struct {
		name    string
		damage  func(path string) error // between the two calls
		encoded int                     // by the second call
	}{
		{"as it was", func(string) error { return nil }, vectorPassages - 2048},
		{"a torn journal line", func(p string) error { return cut(p+".partial.jsonl", 10) }, vectorPassages - 1024},
		{"torn vectors", func(p string) error { return cut(p+".partial", 1) }, vectorPassages - 1024},
		{
			"vectors after the last journal line", func(p string) error { return lengthen(p+".partial", "half a block") },
			vectorPassages - 2048,
		},
		{
			"half a journal line more", func(p string) error { return lengthen(p+".partial.jsonl", `{"texts":"`) },
			vectorPassages - 2048,
		},
		{"other numbers in the first block", func(p string) error { return overwrite(p+".partial", 500) }, vectorPassages},
		{
			"other numbers in the second block", func(p string) error { return overwrite(p+".partial", 128+1024*8*4+5) },
			vectorPassages - 1024,
		},
		{"another header", func(p string) error { return overwrite(p+".partial", 20) }, vectorPassages - 2048},
		{"no journal", func(p string) error { return os.Remove(p + ".partial.jsonl") }, vectorPassages},
		{"no vectors", func(p string) error { return os.Remove(p + ".partial") }, vectorPassages},
		{
			"no journal to speak of", func(p string) error { return os.WriteFile(p+".partial.jsonl", []byte("\n\x00"), 0o644) },
			vectorPassages,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "v.npy")
			first := &stoppingEncoder{Encoder: newEncoder(t), left: 2500}
			require.ErrorIs(t, mine.WriteVectors(ctx, first, corpus, path, nil), errStopped)
			_, err := os.Stat(path)
			require.ErrorIs(t, err, os.ErrNotExist)
			require.NoError(t, c.damage(path))
			second := &stoppingEncoder{Encoder: newEncoder(t), left: 1 << 20}
			require.NoError(t, mine.WriteVectors(ctx, second, corpus, path, nil))
			require.Equal(t, c.encoded, second.encoded)
			requireWritten(t, want, path)
		})
	}
}

func TestWriteVectorsGoesOnOnlyWithTheSameEncoderAndPassages(t *testing.T) {
	ctx := context.Background()
	texts := randomTexts(24, vectorPassages, 12)
	path := filepath.Join(t.TempDir(), "v.npy")
	stop := func() {
		enc := &stoppingEncoder{Encoder: newEncoder(t), left: 2500}
		require.ErrorIs(t, mine.WriteVectors(ctx, enc, corpusOf(t, texts...), path, nil), errStopped)
	}
	goOn := func(corpus retort.Corpus, enc encoder.Encoder) (first int) {
		require.NoError(t, mine.WriteVectors(ctx, enc, corpus, path, func(done, _ int) {
			if first == 0 {
				first = done
			}
		}))
		return first
	}
	stop()
	texts[1500] += " more"
	changed := corpusOf(t, texts...)
	require.Equal(t, 1024, goOn(changed, newEncoder(t)), "up to the block with the other text")
	requireWritten(t, writtenOnce(t, changed), path)
	texts[1500] = strings.TrimSuffix(texts[1500], " more")

	require.NoError(t, os.Remove(path))
	stop()
	shorter := corpusOf(t, texts[:3000]...)
	require.Equal(t, 128, goOn(shorter, newEncoder(t)), "from the start")
	requireWritten(t, writtenOnce(t, shorter), path)

	stop() // path exists now, and stays
	other, err := encodertest.New(encodertest.Options{Dim: 8, Seed: 9})
	require.NoError(t, err)
	require.Equal(t, 128, goOn(corpusOf(t, texts...), other))

	require.ErrorIs(t,
		mine.WriteVectors(ctx, &stoppingEncoder{Encoder: newEncoder(t), left: 2500}, corpusOf(t, texts...), path,
			nil), errStopped)
	require.Equal(t, 128, goOn(corpusOf(t, texts...), wordHash{8}), "without a fingerprint nobody knows")
}

func TestWriteVectorsBadInputIsAnError(t *testing.T) {
	ctx := context.Background()
	corpus := corpusOf(t, "cat", "dog")
	dir := t.TempDir()
	path := filepath.Join(dir, "v.npy")
	require.EqualError(t, mine.WriteVectors(ctx, newEncoder(t), corpusOf(t), path, nil),
		"write vectors: the corpus is empty")
	require.ErrorIs(t, mine.WriteVectors(ctx, newEncoder(t), brokenCorpus{corpus}, path, nil), errUnreadable)
	require.ErrorContains(t, mine.WriteVectors(ctx, brokenEncoder{8, matrix(2, 3), nil}, corpus, path, nil),
		"passages 0 to 1: the encoder returned a [2 x 3] matrix")
	require.ErrorIs(t, mine.WriteVectors(cancelled(), newEncoder(t), corpus, path, nil), context.Canceled)
	missing := filepath.Join(dir, "missing", "v.npy")
	require.ErrorContains(t, mine.WriteVectors(ctx, newEncoder(t), corpus, missing, nil), missing)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	require.ErrorContains(t, mine.WriteVectors(ctx, newEncoder(t), corpus, filepath.Join(dir, "folder"), nil), "folder")
}

func TestTwoCallsOfWriteVectorsForOneFileAreAnError(t *testing.T) {
	ctx := context.Background()
	corpus := corpusOf(t, "cat", "dog")
	path := filepath.Join(t.TempDir(), "v.npy")
	var second error
	require.NoError(t, mine.WriteVectors(ctx, newEncoder(t), corpus, path, func(int, int) {
		second = mine.WriteVectors(ctx, newEncoder(t), corpus, path, nil)
	}))
	require.ErrorContains(t, second, path+".partial.jsonl: locked by another process")
}

// A process that is killed at any moment is gone on with.
func TestWriteVectorsSurvivesKills(t *testing.T) {
	corpus := corpusOf(t, randomTexts(25, 20_000, 12)...)
	if path := os.Getenv("RETORT_TEST_WRITE_VECTORS"); path != "" {
		require.NoError(t, mine.WriteVectors(context.Background(), newEncoder(t), corpus, path, nil))
		return
	}
	kills := 5
	if os.Getenv("RETORT_SOAK") != "" {
		kills = 100
	}
	want := writtenOnce(t, corpus)
	path := filepath.Join(t.TempDir(), "v.npy")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for killed := 0; killed < kills; {
		child := exec.Command(os.Args[0], "-test.run=^TestWriteVectorsSurvivesKills$")
		child.Env = append(os.Environ(), "RETORT_TEST_WRITE_VECTORS="+path)
		require.NoError(t, child.Start())
		timer := time.AfterFunc(time.Duration(r.IntN(1000))*time.Millisecond, func() { child.Process.Kill() })
		err := child.Wait()
		timer.Stop()
		if err != nil {
			killed++
			continue
		}
		requireWritten(t, want, path)
		require.NoError(t, os.Remove(path))
	}
	require.NoError(t, mine.WriteVectors(context.Background(), newEncoder(t), corpus, path, nil))
	requireWritten(t, want, path)
}

func cut(path string, bytes int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size()-bytes)
}

func lengthen(path, more string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(more)
	return errors.Join(err, f.Close())
}

func overwrite(path string, at int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("other"), at)
	return errors.Join(err, f.Close())
}

func ExampleWriteVectors() {
	ctx := context.Background()
	corpus, err := retort.NewCorpus([]retort.Passage{{ID: "a", Text: "sorts a slice"}, {ID: "b", Text: "reads a file"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "vectors")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "vectors.npy")
	if err := mine.WriteVectors(ctx, wordHash{32}, corpus, path, nil); err != nil {
		fmt.Println(err)
		return
	}
	dense, err := mine.OpenDense(wordHash{32}, path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dense.Close()
	rankings, err := dense.Search(ctx, []retort.Query{{ID: "q", Text: "slice"}}, 1)
	fmt.Println(rankings[0][0].Index, err)
	// Output:
	// 0 <nil>
}
