package encodertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/contract"
)

func open() (encoder.Trainable, error) { return New(Options{Dim: 8, Buckets: 64, Seed: 3}) }

// with runs a check that is written for the contract test.
func with(t *testing.T, check func(*contract.T)) {
	t.Helper()
	require.NoError(t, contract.Run(t.Context(), t.Name(), check))
}

func TestEncoderKeepsTheContract(t *testing.T) {
	var opened []*Encoder
	require.NoError(t, TestEncoder(t.Context(), func() (encoder.Trainable, error) {
		e, err := open()
		opened = append(opened, e.(*Encoder))
		return e, err
	}, Tolerances{}))
	for _, e := range opened {
		require.Zero(t, e.OpenPasses())
	}
}

// broken is an encoder that keeps all of the contract but one rule.
type broken struct {
	*Encoder
	rule string
}

func (b broken) Encode(ctx context.Context, role encoder.Role, texts []string) (blas32.General, error) {
	switch b.rule {
	case "panics":
		panic("at once")
	case "ignores its context":
		ctx = context.Background()
	}
	m, err := b.Encoder.Encode(ctx, role, texts)
	if b.rule == "is not normalised" {
		for i := range m.Data {
			m.Data[i] *= 2
		}
	}
	return m, err
}

func (b broken) Step(u encoder.Update) (float64, error) {
	if b.rule == "does not decay" {
		u.WeightDecay = 0
	}
	return b.Encoder.Step(u)
}

func (b broken) SaveState(w io.Writer) error {
	if b.rule == "does not report a failed write" {
		b.Encoder.SaveState(w)
		return nil
	}
	return b.Encoder.SaveState(w)
}

func (b broken) Fingerprint() string {
	if b.rule == "has one fingerprint" {
		return "always"
	}
	return b.Encoder.Fingerprint()
}

// Each broken rule is named, and the checks that do not depend on it find nothing.
func TestAnEncoderThatBreaksTheContractIsNamed(t *testing.T) {
	for rule, want := range map[string]string{
		"is not normalised": "Encode gives one normalised row a text, in order: norm of row 0: got 2",
		"panics":            "panic: at once",
		"ignores its context": "a cancelled context ends Encode with its error: error <nil>, want context " +
			"canceled",
		"does not decay":                 "Step is AdamW: step 1, weight",
		"does not report a failed write": "a broken state is an error and changes nothing: no error",
		"has one fingerprint":            "the fingerprint follows the weights: unchanged: always",
	} {
		err := TestEncoder(t.Context(), func() (encoder.Trainable, error) {
			e, err := open()
			return broken{e.(*Encoder), rule}, err
		}, Tolerances{})
		require.ErrorContains(t, err, want, rule)
		require.NotContains(t, err.Error(), "Prepare counts tokens", rule)
	}
	err := TestEncoder(t.Context(), func() (encoder.Trainable, error) { return nil, errors.New("no model here") },
		Tolerances{})
	require.ErrorContains(t, err, "Encode of no texts gives no rows: opening the model: error no model here")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, TestEncoder(ctx, open, Tolerances{}), context.Canceled)
}

func TestNewNamesTheWrongField(t *testing.T) {
	for field, o := range map[string]Options{
		"Dim": {
			Dim: -1,
		}, "Buckets": {Buckets: 2}, "MaxQueryTokens": {MaxQueryTokens: -4}, "MaxPassageTokens": {MaxPassageTokens: -4},
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
		e := opened(t)
		if split {
			require.NoError(t, e.SplitTowers())
		}
		with(t, func(c *contract.T) {
			suite{}.train(c, e, encoder.Update{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8})
		})
		dir := filepath.Join(t.TempDir(), "model")
		require.NoError(t, e.Save(dir))
		read, err := Open(dir)
		require.NoError(t, err)
		for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
			with(t, func(c *contract.T) { c.Equal(encode(c, e, role, texts), encode(c, read, role, texts)) })
		}
		require.Equal(t, e.Fingerprint(), read.Fingerprint())
	}
}

func TestSaveNeverReplacesWhatIsThere(t *testing.T) {
	e := opened(t)
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
	e := opened(t)
	with(t, func(c *contract.T) {
		before := values(c, e)
		c.ErrorContains(e.LoadState(bytes.NewReader(save(c, small))), "options")
		c.Equal(before, values(c, e))
	})
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
		with(t, func(c *contract.T) {
			c.Equal(want[0], prepare(c, e, encoder.Query, []string{text}).Tokens(0), "%q", text)
			c.Equal(want[1], prepare(c, e, encoder.Passage, []string{text}).Tokens(0), "%q", text)
		})
	}
}

func opened(t *testing.T) *Encoder {
	e, err := open()
	require.NoError(t, err)
	return e.(*Encoder)
}
