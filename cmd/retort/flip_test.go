package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
	"github.com/retort-ir/retort/internal/runfolder"
	"github.com/retort-ir/retort/teacher"
)

// flip is a bit of a file of a run.
type flip struct {
	file string
	at   int
	bit  int
}

func (f flip) String() string { return fmt.Sprintf("bit %d of byte %d of %s", f.bit, f.at, f.file) }

// timed are files that hold times, and so differ between runs that are equal otherwise.
var timed = map[string]bool{
	"manifest.json": true, "manifest.backup.json": true, "results.json": true, "report.json": true, "report.html": true,
	"vectors.npy.key": true,
}

// TestEveryFlippedBitOfARunIsNoticedOrHarmless flips a bit of every file of a finished run.
func TestEveryFlippedBitOfARunIsNoticedOrHarmless(t *testing.T) {
	run, again := finishedRun(t)
	rng := rand.New(rand.NewPCG(13, 1))
	var flips []flip
	for _, file := range filesOf(t, run) {
		flips = append(flips, randomFlip(rng, run, file))
	}
	tryFlips(t, run, flips, again)
}

// TestRandomFlippedBitsOfARunAreNoticedOrHarmless flips 200 bits, wherever they are in a finished run: a bit of each
// file is as likely as its file is large. RETORT_SOAK=1 (make soak).
func TestRandomFlippedBitsOfARunAreNoticedOrHarmless(t *testing.T) {
	if os.Getenv("RETORT_SOAK") == "" {
		t.Skip("a minute: make soak")
	}
	run, again := finishedRun(t)
	tryFlips(t, run, randomFlips(t, run, 200), again)
}

// randomFlips are half over all bytes, half over all files, since most bytes are in a few files.
func randomFlips(t *testing.T, run string, n int) []flip {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	files := filesOf(t, run)
	var sizes []int64
	var total int64
	for _, file := range files {
		total += fileSize(filepath.Join(run, file))
		sizes = append(sizes, total)
	}
	var flips []flip
	for i := range n {
		file := files[rng.IntN(len(files))]
		if i%2 == 0 {
			at, _ := slices.BinarySearch(sizes, rng.Int64N(total)+1)
			file = files[at]
		}
		flips = append(flips, randomFlip(rng, run, file))
	}
	return flips
}

func randomFlip(rng *rand.Rand, run, file string) flip {
	return flip{file, rng.IntN(int(fileSize(filepath.Join(run, file)))), rng.IntN(8)}
}

// filesOf returns the paths of a run's files, in order.
func filesOf(t *testing.T, run string) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(run), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return err
	})
	require.NoError(t, err)
	return files
}

// finishedRun makes a run that has every file which a run can have, and returns what calls its command again.
func finishedRun(t *testing.T) (run string, again func(out string) (log string, err error)) {
	t.Helper()
	dir := runFolder(t)
	run = filepath.Join(dir, "run")
	args := fakeArgs(t, dir, "-queries", dir+"/queries.jsonl", "-qrels", dir+"/qrels/test.tsv", "-max-lists",
		"20")
	_, _, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	keepJournals(t, run)
	again = func(out string) (string, error) {
		_, log, err := distillFake(t, t.Context(), append(slices.Clone(args), "-out", out)...)
		return log, err
	}
	_, err = again(run)
	require.NoError(t, err)
	require.Contains(t, succeed(t, "status", "-verify", run), "verified")
	return run, again
}

// keepJournals adds to a run what a language model and a teacher leave in it.
func keepJournals(t *testing.T, run string) {
	t.Helper()
	answers, err := generate.OpenAnswers(t.Context(), filepath.Join(run, ledgers[0]), nil)
	require.NoError(t, err)
	model, err := generate.Recorded(echo{}, answers)
	require.NoError(t, err)
	store, err := teacher.OpenStore(t.Context(), filepath.Join(run, ledgers[1]), nil)
	require.NoError(t, err)
	scored, err := teacher.Cached(teacher.WithFingerprint(teacher.Func(lengths), "lengths"), store)
	require.NoError(t, err)
	for i := range 20 {
		text := strings.Repeat("word ", i+1)
		_, err := model.Complete(t.Context(), generate.Request{Prompt: generate.Prompt{Own: text}, MaxTokens: 9})
		require.NoError(t, err)
		_, err = scored.Score(t.Context(), retort.Query{ID: "q", Text: "words"},
			[]retort.Passage{{ID: fmt.Sprint(i), Text: text}})
		require.NoError(t, err)
	}
	require.NoError(t, errors.Join(answers.Close(), store.Close()))
	write := func() error {
		return os.WriteFile(filepath.Join(run, "costs.json"), []byte(`{"score":{"lengths":{"pairs":20,"seconds":1.5}}}`),
			0o600)
	}
	require.NoError(t, runfolder.Replace(t.Context(), run, runfolder.Pipeline, write, "costs.json"))
}

type echo struct{}

func (echo) Model() string { return "echo" }

func (echo) Complete(_ context.Context, r generate.Request) (generate.Completion, error) {
	return generate.Completion{Text: "what about " + r.Prompt.Own}, nil
}

func lengths(_ context.Context, _ retort.Query, passages []retort.Passage) ([]float64, error) {
	scores := make([]float64, len(passages))
	for i, p := range passages {
		scores[i] = float64(len(p.Text))
	}
	return scores, nil
}

// tryFlips flips each bit in a copy of the run. Damage must be named by status -verify. Then distill, with and without
// a repair, must say so by the file's name or end as if nothing had been; after a repair nothing is damaged any more.
func tryFlips(t *testing.T, run string, flips []flip, again func(out string) (log string, err error)) {
	t.Helper()
	before := contentsOf(t, run)
	var mu sync.Mutex
	counts := map[string]int{}
	count := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		counts[what]++
	}
	t.Run("flips", func(t *testing.T) {
		for _, f := range flips {
			t.Run(f.String(), func(t *testing.T) {
				t.Parallel() // most of the time goes to syncing files
				count("flipped")
				if tryFlip(t, run, f, before, again) {
					count("named by status -verify")
				} else {
					count("without a meaning")
				}
			})
		}
	})
	t.Log(counts)
}

func tryFlip(t *testing.T, run string, f flip, before map[string]string,
	again func(out string) (log string, err error),
) (named bool) {
	out := filepath.Join(t.TempDir(), "run")
	damage := func() {
		require.NoError(t, os.RemoveAll(out))
		require.NoError(t, os.CopyFS(out, os.DirFS(run)))
		path := filepath.Join(out, f.file)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		data[f.at] ^= 1 << f.bit
		require.NoError(t, os.WriteFile(path, data, 0o644))
	}
	damage()
	code, stdout, stderr := cli(t.Context(), "status", "-verify", out)
	if f.file == runfolder.LockFile { // holds the number of a process that has ended
		require.Equal(t, exitOK, code, stderr)
	} else {
		require.Equal(t, exitFailure, code, stdout)
		require.Contains(t, stdout, "damaged: "+f.file, stderr)
		named = true
	}

	log, err := again(out)
	if err != nil {
		require.ErrorContains(t, err, filepath.Join(out, f.file))
	} else {
		changed := differences(before, contentsOf(t, out))
		for _, file := range changed {
			require.Equal(t, f.file, file)
			_, stdout, _ := cli(t.Context(), "status", "-verify", out)
			require.Contains(t, stdout, "damaged: "+file, "what distill does not use is left as it is, and is still named; log: %s", log)
		}
	}

	damage()
	repaired := succeed(t, "repair", out)
	if named {
		require.Contains(t, repaired, filepath.Join(out, f.file))
	}
	log, err = again(out)
	require.NoError(t, err, repaired)
	require.NotContains(t, log, "is damaged")
	changed := differences(before, contentsOf(t, out))
	if strings.Contains(repaired, "run/train.") { // steps that are made again take other times
		changed = slices.DeleteFunc(changed, func(file string) bool { return strings.HasPrefix(file, "metrics/") })
	}
	if !strings.Contains(repaired, "nothing makes it again") && !strings.Contains(repaired, " dropped: ") {
		require.Empty(t, changed, repaired)
	}
	require.NotContains(t, succeed(t, "status", "-verify", out), "damaged:")
	return named
}

// contentsOf returns the contents of a run's files that hold no times.
func contentsOf(t *testing.T, run string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range filesOf(t, run) {
		if timed[file] || file == runfolder.LockFile {
			continue
		}
		all[file] = readString(t, filepath.Join(run, file))
	}
	return all
}

// differences are the names of which the contents differ.
func differences(before, after map[string]string) []string {
	var names []string
	for name, content := range before {
		if after[name] != content {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// What other commands read of a run is compared with its checksum before it decides anything.
func TestCommandsThatReadARunNameADamagedFile(t *testing.T) {
	run, _ := finishedRun(t)
	other := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.CopyFS(other, os.DirFS(run)))
	damage := func(file, from, to string) {
		path := filepath.Join(run, file)
		text := readString(t, path)
		require.Contains(t, text, from, file)
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(text, from, to, 1)), 0o600))
	}
	succeed(t, "compare", run, other)
	succeed(t, "report", run)
	require.NotContains(t, succeed(t, "status", "-verify", run), "damaged",
		"report writes the page anew with its checksum")

	damage("evaluate.jsonl", `"ndcg@10":0`, `"ndcg@10":1`)
	damage("report.json", `"title": "run"`, `"title": "rum"`)
	files, err := filepath.Glob(run + "/model/*")
	require.NoError(t, err)
	model := "model/" + filepath.Base(files[0])
	damage(model, readString(t, files[0])[:1], "x")
	for file, command := range map[string][]string{
		"evaluate.jsonl": {"compare", run, other}, "report.json": {"report", run},
		model: {"search", "-model", run + "/model", "-corpus", run + "/corpus.jsonl", "words"},
	} {
		code, _, stderr := cli(t.Context(), command...)
		require.Equal(t, exitFailure, code, stderr)
		require.Contains(t, stderr, filepath.Join(run, file)+" is damaged: ")
		require.Contains(t, stderr, `run "retort repair `)
	}
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
