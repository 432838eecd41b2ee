package transformer

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/internal/matrix"
	"github.com/retort-ir/retort/internal/torch"
)

func TestPureGoKeepsTheContract(t *testing.T) {
	for _, name := range append([]string{"tiny", "tiny-cls"}, mapped(families, familyFolder)...) {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, encodertest.TestEncode(t.Context(), func() (encoder.Encoder, error) {
				return openPure(t, filepath.Join("testdata", name), Options{BatchTokens: 128}), nil
			}, encodertest.Tolerances{}))
		})
	}
}

func mapped(names []string, f func(string) string) []string {
	var all []string
	for _, name := range names {
		all = append(all, f(name))
	}
	return all
}

// A text's vector depends on no other text, on no micro-batch and on no number of processors.
func TestPureGoGivesTheSameBitsInEveryBatch(t *testing.T) {
	for _, name := range append([]string{"tiny"}, mapped(families, familyFolder)...) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", name)
			texts := append(queries(20), longText(200))
			m := openPure(t, dir, Options{})
			all := encode(t, m, encoder.Passage, texts)
			for i, text := range texts {
				require.Equal(t, matrix.Row(all, i), encode(t, m, encoder.Passage, []string{text}).Data, text)
			}
			for _, o := range []Options{{BatchTokens: 1}, {BatchTokens: 100, Threads: 3}, {Threads: 1}} {
				require.Equal(t, all, encode(t, openPure(t, dir, o), encoder.Passage, texts))
			}
		})
	}
}

// Equal fingerprints mean that vectors of one engine may be searched with those of the other.
func TestBothEnginesHaveOneFingerprintAndOneVector(t *testing.T) {
	if !torch.Available {
		t.Skip("there is no LibTorch to compare with")
	}
	dirs := []string{"testdata/tiny", "testdata/tiny-cls", "testdata/tiny-router", denseFolder(t, func(string) {})}
	for _, name := range families {
		dirs = append(dirs, filepath.Join("testdata", familyFolder(name)))
	}
	if dir := os.Getenv("RETORT_MODEL"); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want, got := openModel(t, dir, Options{}), openPure(t, dir, Options{})
			require.Equal(t, want.Fingerprint(), got.Fingerprint())
			for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
				texts := append(queries(20), longText(20), longText(500))
				requireRows(t, rowsOf(encode(t, want, role, texts)), encode(t, got, role, texts))
			}
		})
	}
}

func TestPureGoRefusesWhatOnlyLibTorchDoes(t *testing.T) {
	open := func(o Options) error {
		f, err := ReadFolder("testdata/tiny", o)
		require.NoError(t, err)
		_, err = openInGo(t.Context(), f, o)
		return err
	}
	for want, o := range map[string]Options{
		"Options.Device is cuda": {Device: "cuda"}, "Options.Precision is bf16": {Precision: retort.BF16},
	} {
		err := open(o)
		require.ErrorContains(t, err, want)
		require.ErrorIs(t, err, retort.ErrNoLibTorch)
	}
	require.ErrorContains(t, open(Options{Threads: -1}), "Options.Threads is -1")
	m := openPure(t, "testdata/tiny", Options{Device: "cpu", Precision: retort.FP32})
	in, err := m.Prepare(t.Context(), encoder.Query, []string{"text"})
	require.NoError(t, err)
	_, err = m.Forward(t.Context(), in, []int{0}, true)
	require.ErrorIs(t, err, retort.ErrNoLibTorch)
	_, err = m.Step(encoder.Update{Eps: 1})
	require.ErrorIs(t, err, retort.ErrNoLibTorch)
	for name, use := range map[string]func() error{
		"CheckTraining": m.CheckTraining,
		"ZeroGradients": m.ZeroGradients,
		"SplitTowers":   m.SplitTowers,
		"SaveState":     func() error { return m.SaveState(io.Discard) },
		"LoadState":     func() error { return m.LoadState(bytes.NewReader(nil)) },
	} {
		require.ErrorIs(t, use(), retort.ErrNoLibTorch, name)
	}
	require.Positive(t, m.GraphBytes(in, []int{0}))
}

func TestAModelOfPureGoIsSavedAsItCame(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-router"} {
		m := openPure(t, filepath.Join("testdata", name), Options{})
		dir := filepath.Join(t.TempDir(), name)
		require.NoError(t, m.Save(dir))
		again := openPure(t, dir, Options{})
		require.Equal(t, encode(t, m, encoder.Query, queries(3)), encode(t, again, encoder.Query, queries(3)))
	}
}

func TestAClosedModelOfPureGoSaysSo(t *testing.T) {
	m := openPure(t, "testdata/tiny", Options{})
	require.NoError(t, m.Close())
	require.NoError(t, m.Close())
	_, err := m.Encode(t.Context(), encoder.Query, []string{"text"})
	require.ErrorIs(t, err, errClosed)
	require.Empty(t, m.Fingerprint())
}

// Close beside calls waits for the micro-batches at work; the calls end whole or with the error.
func TestCloseBesideCallsOfPureGo(t *testing.T) {
	m := openPure(t, "testdata/tiny", Options{Threads: 2, BatchTokens: 16})
	want := encode(t, m, encoder.Passage, queries(40))
	var callers group
	for range 4 {
		callers.Go(func() {
			for {
				got, err := m.Encode(t.Context(), encoder.Passage, queries(40))
				if err != nil {
					require.ErrorIs(t, err, errClosed)
					return
				}
				require.Equal(t, want, got)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	require.NoError(t, m.Close())
	callers.Wait()
}

func TestCallersOfPureGoDoNotDisturbEachOther(t *testing.T) {
	m := openPure(t, "testdata/tiny-router", Options{Threads: 2})
	texts := queries(24)
	want := map[encoder.Role]blas32.General{
		encoder.Query: encode(t, m, encoder.Query, texts), encoder.Passage: encode(t, m, encoder.Passage, texts),
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ended group
	for range 4 {
		ended.Go(func() {
			for ctx.Err() == nil {
				if _, err := m.Encode(ctx, encoder.Passage, slices.Repeat(texts, 8)); err != nil {
					require.ErrorIs(t, err, context.Canceled)
				}
			}
		})
	}
	var callers group
	for i := range texts {
		callers.Go(func() {
			for role, rows := range want {
				got, err := m.Encode(t.Context(), role, texts[i:i+1])
				require.NoError(t, err)
				require.Equal(t, matrix.Row(rows, i), got.Data)
			}
		})
	}
	callers.Wait()
	cancel()
	ended.Wait()
}

// The file of the weights may be replaced while the model is open: the mapped one lives on.
func TestAFolderThatIsReplacedBesideAnOpenModel(t *testing.T) {
	dir := changedFolder(t, "tiny", func(string) {})
	m := openPure(t, dir, Options{})
	want, print := encode(t, m, encoder.Query, queries(5)), openPure(t, dir, Options{}).Fingerprint()
	require.NoError(t, os.CopyFS(dir+".other", os.DirFS("testdata/tiny-cls")))
	require.NoError(t, os.Rename(filepath.Join(dir+".other", weightsFile), filepath.Join(dir, weightsFile)))
	require.Equal(t, want, encode(t, m, encoder.Query, queries(5)))
	require.Equal(t, print, m.Fingerprint())
	require.NotEqual(t, print, openPure(t, dir, Options{}).Fingerprint())
}
