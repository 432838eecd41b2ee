package encodertest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
)

func open(t *testing.T) encoder.Trainable {
	e, err := New(Options{Dim: 8, Buckets: 64, Seed: 3})
	require.NoError(t, err)
	t.Cleanup(func() { require.Zero(t, e.OpenPasses()) })
	return e
}

func TestEncoderKeepsTheContract(t *testing.T) {
	Test(t, open)
}

func TestNewNamesTheWrongField(t *testing.T) {
	for field, o := range map[string]Options{
		"Dim": {Dim: -1}, "Buckets": {Buckets: 2}, "MaxQueryTokens": {MaxQueryTokens: -4}, "MaxPassageTokens": {MaxPassageTokens: -4},
	} {
		_, err := New(o)
		require.ErrorContains(t, err, field)
	}
}

func TestSeedDecidesTheWeights(t *testing.T) {
	one, err := New(Options{Seed: 1})
	require.NoError(t, err)
	same, err := New(Options{Seed: 1})
	require.NoError(t, err)
	other, err := New(Options{Seed: 2})
	require.NoError(t, err)
	require.Equal(t, one.Fingerprint(), same.Fingerprint())
	require.NotEqual(t, one.Fingerprint(), other.Fingerprint())
}

func TestOpenReadsWhatSaveWrote(t *testing.T) {
	for _, split := range []bool{false, true} {
		e := open(t).(*Encoder)
		if split {
			require.NoError(t, e.SplitTowers())
		}
		contract{}.train(t, e, encoder.Update{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
		dir := filepath.Join(t.TempDir(), "model")
		require.NoError(t, e.Save(dir))
		opened, err := Open(dir)
		require.NoError(t, err)
		for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
			require.Equal(t, encode(t, e, role, texts), encode(t, opened, role, texts))
		}
		require.Equal(t, e.Fingerprint(), opened.Fingerprint())
	}
}

func TestSaveNeverReplacesWhatIsThere(t *testing.T) {
	e := open(t).(*Encoder)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o644))
	require.Error(t, e.Save(file))
	require.Error(t, e.Save(dir))
	require.FileExists(t, file)
	require.NoError(t, e.Save(t.TempDir()), "an empty folder is taken")
}

func TestOpenOfABrokenFolderIsAnError(t *testing.T) {
	_, err := Open(t.TempDir())
	require.ErrorIs(t, err, os.ErrNotExist)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, fileName), []byte("not a model"), 0o644))
	_, err = Open(dir)
	require.ErrorContains(t, err, fileName)
}

func TestLoadStateRefusesAnotherShape(t *testing.T) {
	small, err := New(Options{Dim: 4})
	require.NoError(t, err)
	e := open(t)
	before := values(t, e)
	require.ErrorContains(t, e.LoadState(readerOf(t, small)), "options")
	require.Equal(t, before, values(t, e))
}

func TestTokensAreCountedAfterTheCut(t *testing.T) {
	e, err := New(Options{MaxQueryTokens: 4, MaxPassageTokens: 6})
	require.NoError(t, err)
	for text, want := range map[string][2]int{
		"":                            {1, 1},
		"Go, go; GO!":                 {4, 4},
		"one two three four":          {4, 5},
		"one two three four five six": {4, 6},
	} {
		require.Equal(t, want[0], prepare(t, e, encoder.Query, []string{text}).Tokens(0), text)
		require.Equal(t, want[1], prepare(t, e, encoder.Passage, []string{text}).Tokens(0), text)
	}
}

func readerOf(t *testing.T, e encoder.Trainable) *bytes.Reader { return bytes.NewReader(save(t, e)) }
