package main

import (
	"bytes"
	"flag"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/distill/pipeline"
	"github.com/retort-ir/retort/encoder/encodertest"
)

// The command decides nothing about the method: what distill makes by its defaults is what the zero Recipe makes.
func TestDistillIsTheZeroRecipe(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir)
	_, _, err := distillFake(t, t.Context(), args[:len(args)-4]...) // without -epochs and -batch
	require.NoError(t, err)
	corpus, err := retort.LoadCorpus(filepath.Join(dir, "corpus.jsonl"))
	require.NoError(t, err)
	student, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 64, Seed: 1})
	require.NoError(t, err)
	library := filepath.Join(dir, "library")
	_, err = pipeline.Specialise(t.Context(), student, corpus, pipeline.Recipe{Folder: library})
	require.NoError(t, err)
	requireSameModel(t, library, filepath.Join(dir, "run"))
}

// requireSameModel wants the same lists and the same bytes of the model in two runs. Model cards name the runs' parts.
func requireSameModel(t *testing.T, want, got string) {
	t.Helper()
	for _, stage := range []string{"generate.jsonl", "mine.jsonl", "score.jsonl", "filter.jsonl"} {
		require.Equal(t, readString(t, filepath.Join(want, stage)), readString(t, filepath.Join(got, stage)), stage)
	}
	files := filesOf(t, filepath.Join(want, "model"))
	require.NotEmpty(t, files)
	require.Equal(t, files, filesOf(t, filepath.Join(got, "model")))
	for _, file := range files {
		if file != "README.md" {
			require.Equal(t, readString(t, filepath.Join(want, "model", file)),
				readString(t, filepath.Join(got, "model", file)), file)
		}
	}
}

func TestTheDemoHasTheRecipeOfDistill(t *testing.T) {
	f := distillFlags{}
	f.add(flag.NewFlagSet("distill", flag.ContinueOnError))
	want := newJob(f, &bytes.Buffer{}).recipe
	demo, _, err := parseDemo([]string{"-model", "m", "-out", ""})
	require.NoError(t, err)
	got := newJob(demo.distillFlags, &bytes.Buffer{}).recipe
	got.Analyzer, got.Events, want.Events = want.Analyzer, retort.Events{}, retort.Events{}
	require.Equal(t, want, got, "but for the terms of code")
	require.Equal(t, pipeline.Recipe{}.WithDefaults().Mining, want.WithDefaults().Mining)
	require.Equal(t, pipeline.Recipe{}.WithDefaults().Training, want.WithDefaults().Training)
}
