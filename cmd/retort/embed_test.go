package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/cmd/retort/internal/progress"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/internal/npy"
	"github.com/retort-ir/retort/mine"
)

// quiet shows no progress.
func quiet() *progress.Progress { return progress.New(progress.Quiet) }

func inMemoryEncoder(t *testing.T) *encodertest.Encoder {
	t.Helper()
	enc, err := encodertest.New(encodertest.Options{Seed: 1})
	require.NoError(t, err)
	return enc
}

// passagesFile writes n passages and returns the file, and what is encoded of them.
func passagesFile(t *testing.T, n int) (path string, contents []string) {
	t.Helper()
	var lines strings.Builder
	for i := range n {
		title, text := fmt.Sprintf("title %d", i%7), fmt.Sprintf("text %d of %d", rand.IntN(1000), i)
		fmt.Fprintf(&lines, `{"_id":"p%d","title":%q,"text":%q}`+"\n", i, title, text)
		contents = append(contents, title+" "+text)
	}
	return filepath.Join(collection(t, map[string]string{"corpus.jsonl": lines.String()}), "corpus.jsonl"), contents
}

func embedFile(t *testing.T, ctx context.Context, enc encoder.Encoder, role encoder.Role, file, path string) error {
	t.Helper()
	texts, err := readTexts(t.Context(), role, file)
	require.NoError(t, err)
	defer func() { require.NoError(t, texts.Close()) }()
	return texts.embed(ctx, enc, path, quiet())
}

func TestEmbedWritesARowAText(t *testing.T) {
	enc := inMemoryEncoder(t)
	corpus, contents := passagesFile(t, 1024+3) // more than one block
	path := filepath.Join(t.TempDir(), "vectors.npy")
	require.NoError(t, embedFile(t, t.Context(), enc, encoder.Passage, corpus, path))
	got, err := npy.ReadFile(path)
	require.NoError(t, err)
	want, err := enc.Encode(t.Context(), encoder.Passage, contents)
	require.NoError(t, err)
	require.Equal(t, want, got)

	dir := collection(t, nil)
	require.NoError(t, embedFile(t, t.Context(), enc, encoder.Query, dir+"/queries.jsonl", path))
	got, err = npy.ReadFile(path)
	require.NoError(t, err)
	want, err = enc.Encode(t.Context(), encoder.Query, []string{"line by line", "separator", "slurp", "file"})
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestEmbedOfPassagesGoesOnWhereItWasCutOff(t *testing.T) {
	corpus, _ := passagesFile(t, 3*1024)
	path := filepath.Join(t.TempDir(), "vectors.npy")
	encoded := 0
	fail := true
	enc := fingerprinted{interrupted{inMemoryEncoder(t), func() error {
		if encoded++; fail && encoded > 20 {
			return errors.New("out of memory")
		}
		return nil
	}}}
	require.ErrorContains(t, embedFile(t, t.Context(), enc, encoder.Passage, corpus, path), "out of memory")
	require.NoFileExists(t, path)
	fail, encoded = false, 0
	require.NoError(t, embedFile(t, t.Context(), enc, encoder.Passage, corpus, path))
	again := encoded
	require.NoError(t, embedFile(t, t.Context(), enc, encoder.Passage, corpus, filepath.Join(t.TempDir(), "whole.npy")))
	require.Less(t, again, encoded-again, "what was encoded before is not encoded again")
}

// fingerprinted says of an encoder that it is always the same.
type fingerprinted struct{ encoder.Encoder }

func (fingerprinted) Fingerprint() string { return "the same" }

func TestEmbedOfNoPassagesNamesTheFile(t *testing.T) {
	path := collection(t, map[string]string{"corpus.jsonl": ""}) + "/corpus.jsonl"
	_, err := readTexts(t.Context(), encoder.Passage, path)
	require.EqualError(t, err, path+": no records: the file is empty or blank; want JSON Lines, one object per line")
}

func TestEmbedThatEndsEarlyLeavesNothingBehind(t *testing.T) {
	failure := errors.New("out of memory")
	for _, c := range []struct {
		name string
		end  func(context.CancelFunc) error
		want error
	}{
		{"failure", func(context.CancelFunc) error { return failure }, failure},
		{"interrupt", func(cancel context.CancelFunc) error { cancel(); return nil }, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			blocks := 0
			enc := interrupted{inMemoryEncoder(t), func() error {
				if blocks++; blocks == 2 {
					return c.end(cancel)
				}
				return nil
			}}
			dir := t.TempDir()
			err := embedQueries(ctx, enc, make([]string, 3*embedBlock), filepath.Join(dir, "vectors.npy"), quiet())
			require.ErrorIs(t, err, c.want)
			require.Empty(t, names(t, dir))
			require.LessOrEqual(t, blocks, 3)
		})
	}
}

func TestDenseVectorsFromAFileRankAsThoseEncodedNow(t *testing.T) {
	enc := inMemoryEncoder(t)
	corpus, err := loadCorpus(t.Context(), collection(t, nil)+"/corpus.jsonl")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "vectors.npy")
	require.NoError(t, embedFile(t, t.Context(), enc, encoder.Passage, collection(t, nil)+"/corpus.jsonl", path))

	queries := []retort.Query{{ID: "1", Text: "reads a file"}, {ID: "2", Text: "separator"}}
	encoded, err := newDense(t.Context(), enc, corpus, "", quiet())
	require.NoError(t, err)
	want, err := encoded.Search(t.Context(), queries, 4)
	require.NoError(t, err)
	read, err := newDense(t.Context(), enc, corpus, path, quiet())
	require.NoError(t, err)
	got, err := read.Search(t.Context(), queries, 4)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestQuantizedVectorsRankWithTheScoresOfFloat32(t *testing.T) {
	enc := inMemoryEncoder(t)
	corpus, err := loadCorpus(t.Context(), collection(t, nil)+"/corpus.jsonl")
	require.NoError(t, err)
	queries := []retort.Query{{ID: "1", Text: "reads a file"}, {ID: "2", Text: "separator"}}
	exact, err := (&rankerFlags{as: exactVectors}).openDense(t.Context(), enc, corpus, quiet())
	require.NoError(t, err)
	want, err := exact.Search(t.Context(), queries, 4)
	require.NoError(t, err)
	for _, as := range vectorPrecisions()[1:] {
		index, err := (&rankerFlags{as: as}).openDense(t.Context(), enc, corpus, quiet())
		require.NoError(t, err)
		require.IsType(t, &mine.Quantized{}, index)
		got, err := index.Search(t.Context(), queries, 4)
		require.NoError(t, err)
		require.Equal(t, want, got, as)
	}
}

func TestDenseVectorsThatDoNotFitAreRefused(t *testing.T) {
	enc := inMemoryEncoder(t)
	corpus, err := loadCorpus(t.Context(), collection(t, nil)+"/corpus.jsonl")
	require.NoError(t, err)
	for _, c := range []struct {
		name       string
		rows, cols int
		want       string
	}{
		{"too few", 3, enc.Dim(), "has 3 vectors, but the corpus has 4 passages"},
		{"too wide", 4, enc.Dim() + 1, fmt.Sprintf("passage vectors have %d dimensions, but the encoder returns %d", enc.Dim()+1, enc.Dim())},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "vectors.npy")
			m := blas32.General{Rows: c.rows, Cols: c.cols, Stride: c.cols, Data: make([]float32, c.rows*c.cols)}
			require.NoError(t, npy.WriteFile(path, m))
			_, err := newDense(t.Context(), enc, corpus, path, quiet())
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, path)
		})
	}
}

func TestVectorsOfAnotherLengthAreBroughtToOne(t *testing.T) {
	enc := inMemoryEncoder(t)
	folder := collection(t, nil)
	corpus, err := loadCorpus(t.Context(), folder+"/corpus.jsonl")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "vectors.npy")
	require.NoError(t, embedFile(t, t.Context(), enc, encoder.Passage, folder+"/corpus.jsonl", path))
	unit, err := npy.ReadFile(path)
	require.NoError(t, err)
	change := func(edit func(row []float32)) {
		m := blas32.General{Rows: unit.Rows, Cols: unit.Cols, Stride: unit.Stride, Data: slices.Clone(unit.Data)}
		edit(m.Data[2*m.Stride : 2*m.Stride+m.Cols])
		require.NoError(t, npy.WriteFile(path, m))
	}

	change(func(row []float32) {
		for i := range row {
			row[i] *= 7
		}
	})
	var log bytes.Buffer
	read, err := newDense(t.Context(), enc, corpus, path, progress.New(&log))
	require.NoError(t, err)
	require.InDeltaSlice(t, unit.Data, read.Vectors().Data, 1e-6)
	require.Contains(t, log.String(), "1 of the 4 vectors do not have length 1")

	change(func(row []float32) { clear(row) })
	_, err = newDense(t.Context(), enc, corpus, path, quiet())
	require.ErrorContains(t, err, "the vector in row 2 is zero")
	change(func(row []float32) { row[0] = float32(math.NaN()) })
	_, err = newDense(t.Context(), enc, corpus, path, quiet())
	require.ErrorContains(t, err, path)
}

// interrupted calls before ahead of every Encode.
type interrupted struct {
	encoder.Encoder
	before func() error
}

func (e interrupted) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	if err := e.before(); err != nil {
		return blas32.General{}, err
	}
	return e.Encoder.Encode(ctx, role, texts)
}

// requireEmbedsAsInPython compares embed with the golden file beside a model folder, which a script there has made.
func requireEmbedsAsInPython(t *testing.T, model string) {
	t.Helper()
	var golden map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(readString(t, model+".json")), &golden))
	for _, role := range []string{"query", "passage"} {
		t.Run(role, func(t *testing.T) {
			var want struct {
				Texts      []string
				Embeddings [][]float32
			}
			require.NoError(t, json.Unmarshal(golden[role], &want))
			records, out := filepath.Join(t.TempDir(), "records.jsonl"), filepath.Join(t.TempDir(), "vectors.npy")
			rows := writeRecords(t, records, want.Texts)
			succeed(t, "embed", records, "-model", model, "-role", role, "-out", out, "-threads", "1")
			got, err := npy.ReadFile(out)
			require.NoError(t, err)
			require.Equal(t, len(rows), got.Rows)
			for i, row := range rows {
				require.InDeltaSlice(t, want.Embeddings[row], got.Data[i*got.Stride:][:got.Cols], 1e-5, want.Texts[row])
			}
		})
	}
}

// writeRecords writes a record a text that is one for queries and for passages, and returns their indices. A query
// needs a text, and a passage's text is trimmed.
func writeRecords(t *testing.T, path string, texts []string) (rows []int) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	for i, text := range texts {
		if text == "" || text != strings.TrimSpace(text) {
			continue
		}
		require.NoError(t, json.NewEncoder(f).Encode(map[string]string{"_id": string(rune('a' + i)), "text": text}))
		rows = append(rows, i)
	}
	return rows
}
