package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/runfolder"
)

// changedSettings has for every setting another value than that of fakeArgs and settingOf.
var changedSettings = map[string]string{
	"corpus": "DIR/other.jsonl", "model": "DIR/othermodel", "queries": "DIR/otherqueries.jsonl",
	"qrels": "DIR/qrels/test.tsv", "test-queries": "DIR/tested.jsonl", "towers": "both", "seed": "2",
	"types": "sentence", "max-queries": "10", "min-words": "9", "max-words": "7", "near-duplicate": "0.5", "analyzer": "code",
	"depth": "120", "round-trip": "1", "top": "4", "sample": "7", "keep-source": "false", "min-list": "5", "max-lists": "9", "source-first": "true",
	"top-percentile": "100", "target": "min-max", "loss": "paper", "gamma": "2", "epochs": "3", "batch": "4", "lr": "0.01", "matryoshka": "8,4", "warmup": "0.5",
	"weight-decay": "0.5", "clip-norm": "0.1", "eval-steps": "2", "patience": "1", "keep": "last", "micro-batch-tokens": "50",
	"graph-budget": "50", "profile": "true", "interpolate": "true", "retention": "DIR/otherfloor", "retention-drop": "0.9", "checkpoint-every": "2m0s", "threads": "1", "teacher": "2*bm25+student", "check-queries": "7", "force": "true",
}

// unchanged are settings of which a test with a model in memory can say nothing.
var unchanged = map[string]bool{
	"out": true, "lists": true, "query-prompt": true, "passage-prompt": true, "query-tokens": true, "passage-tokens": true,
	"pooling": true, "dim": true, "precision": true, "device": true, "generator": true, "llm": true, "llm-url": true, "llm-model": true, "llm-api": true,
	"llm-types": true, "llm-passages": true, "llm-per-passage": true,
	"fuse": true, "min-agreement": true, "agreement-weight": true, // of several teachers, which -teacher names
	"rerank-truncate": true, "rerank-extra": true, // of a server
}

// without are settings that make no difference to the test's lists, so that nothing comes out otherwise.
var without = map[string]bool{"source-first": true, "min-list": true, "top-percentile": true}

// What status foretells is what distill does: no stage is redone of which it has not said so, and one of those whose
// own settings have changed is. RETORT_SOAK=1 (make soak) tries every setting.
func TestStatusForetellsWhatIsRedone(t *testing.T) {
	dir := runFolder(t)
	args := append(fakeArgs(t, dir), "-queries", dir+"/queries.jsonl", "-retention", dir, "-retention-drop", "1")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "othermodel"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "othermodel", "seed"), []byte("xx"), 0o600))
	require.NoError(
		t,
		os.WriteFile(filepath.Join(dir, "otherqueries.jsonl"), []byte(`{"_id":"other","text":"how it sorts a channel"}`+"\n"),
			0o600),
	)
	corpus, err := os.ReadFile(filepath.Join(dir, "corpus.jsonl"))
	require.NoError(t, err)
	require.NoError(
		t,
		os.WriteFile(filepath.Join(dir, "other.jsonl"), corpus[:bytes.LastIndexByte(corpus[:len(corpus)*3/4], '\n')+1],
			0o600),
	)
	floor := filepath.Join(dir, "otherfloor")
	require.NoError(t, os.MkdirAll(filepath.Join(floor, "qrels"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(floor, "corpus.jsonl"), corpus, 0o600))
	require.NoError(
		t,
		os.WriteFile(filepath.Join(floor, "queries.jsonl"), []byte(`{"_id":"other","text":"how it sorts a channel"}`+"\n"),
			0o600),
	)
	require.NoError(t, os.WriteFile(filepath.Join(floor, "qrels", "test.tsv"), []byte("other\tp24\t1\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tested.jsonl"),
		[]byte(`{"_id":"tested","text":"Copies of a map?"}`+"\n"), 0o600))
	_, _, err = distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	require.NotContains(t, succeed(t, "status", dir+"/run"), "redone")

	for _, g := range settingGroups() {
		for _, s := range g.settings {
			value, ok := changedSettings[s.name]
			if !ok {
				require.True(t, unchanged[s.name], s.name)
				continue
			}
			if os.Getenv("RETORT_SOAK") == "" && !slices.Contains([]string{
				"corpus", "types", "depth", "max-lists", "target",
				"loss", "lr", "matryoshka", "threads", "teacher", "check-queries", "retention", "test-queries", "keep",
			}, s.name) {
				continue
			}
			t.Run(s.name, func(t *testing.T) {
				t.Parallel() // most of the time goes to syncing files
				run := filepath.Join(t.TempDir(), "run")
				require.NoError(t, os.CopyFS(run, os.DirFS(dir+"/run")))
				args := append(slices.Clone(args), "-out", run)
				switch s.name {
				case "sample":
					args = append(args, "-top", "5")
				case "keep":
					args = append(args, "-retention=")
				}
				_, _, err := distillFake(t, t.Context(), args...)
				require.NoError(t, err)
				foretold(t, s, args, "-"+s.name+"="+strings.ReplaceAll(value, "DIR", dir), run)
			})
		}
	}
}

// foretold compares what status says of a change with what distill does.
func foretold(t *testing.T, s setting, args []string, change, run string) {
	status := succeed(t, "status", run, change)
	_, log, err := distillFake(t, t.Context(), append(args, change)...)
	require.NoError(t, err)
	own := 0
	for _, match := range regexp.MustCompile(`(?m)^a stage is redone: stage (\w+)`).FindAllStringSubmatch(log, -1) {
		stage := match[1]
		require.Regexp(t, `(?m)^`+stage+` .*redone`, status, "%s\n%s", status, log)
		if regexp.MustCompile(`(?m)^` + stage + ` .*redone: `).MatchString(status) {
			own++
		}
	}
	require.Equal(t, len(s.stages) > 0 && !without[s.name], own > 0, "%s\n%s", status, log)
	require.NotContains(t, succeed(t, "status", run), "redone", "what it recorded is the new setting")
}

func TestStatusShowsStagesAndReasons(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir)
	_, _, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	before := names(t, dir+"/run")
	out := succeed(t, "status", dir+"/run")
	require.Regexp(t, `generate +complete +48 +\d+\.\d *\n`, out)
	require.Regexp(t, `evaluate +complete`, out)

	require.NotContains(t, succeed(t, "status", "-lr", "1e-4", dir+"/run"), "redone",
		"the rate that is taken where none is named")
	out = succeed(t, "status", "-lr", "5e-5", dir+"/run")
	require.Regexp(t, `train .* redone: lr was 0.0001, is 5e-05\n`, out)
	require.Regexp(t, `evaluate .* redone if train changes\n`, out)
	require.NotRegexp(t, `filter .*redone`, out)

	manifest := filepath.Join(dir, "run", runfolder.ManifestFile)
	text := readString(t, manifest)
	older := strings.Replace(text, `    "loss": "kl",`+"\n", "", 1)
	require.NotEqual(t, text, older)
	older = regexp.MustCompile(`,\n  "sha256": "[0-9a-f]*"\n}\n$`).ReplaceAllString(strings.Replace(older, `"format": 2`,
		`"format": 1`, 1), "\n}\n")
	require.NoError(t, os.WriteFile(manifest, []byte(older), 0o600))
	require.NotContains(t, succeed(t, "status", dir+"/run"), "redone", "the run of a version without that setting")
	require.Contains(t, succeed(t, "status", "-loss", "paper", dir+"/run"), "; loss is new (paper)")
	require.NoError(t, os.WriteFile(manifest, []byte(text), 0o600))

	require.NoError(t, os.Remove(dir+"/run/score.jsonl"))
	out = succeed(t, "status", dir+"/run")
	require.Regexp(t, `score .* redone: score.jsonl is gone\n`, out)
	require.Regexp(t, `train .* redone: it reads score\n`, out)
	require.NotRegexp(t, `mine .*redone`, out)

	file := filepath.Join(dir, "retort.yaml")
	require.NoError(
		t,
		os.WriteFile(file, []byte("corpus: "+dir+"/corpus.jsonl\nmodel: "+dir+"/model\nepochs: 2\nbatch: 8\nround-trip: 3\n"),
			0o600),
	)
	out = succeed(t, "status", dir+"/run", "-c", file)
	require.Regexp(t, `train .* redone: it reads score\n`, out)
	require.NoError(t, os.WriteFile(dir+"/corpus.jsonl", []byte("{}"), 0o600))
	require.Regexp(t, `generate .*redone: corpus has changed \(`+dir+`/corpus.jsonl\)`, succeed(t, "status", dir+"/run"))

	after := names(t, dir+"/run")
	require.Subset(t, before, after, "status writes nothing")
	require.Len(t, after, len(before)-1)
	code, _, stderr := cli(t.Context(), "status", dir)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, dir+" is not a run folder")
	code, _, _ = cli(t.Context(), "status")
	require.Equal(t, exitUsage, code)
}

// Relative paths of a run begin where it was started, not where status is called.
func TestStatusFromAnotherFolderForetellsTheSame(t *testing.T) {
	dir := runFolder(t)
	fakeArgs(t, dir)
	t.Chdir(dir)
	args := []string{
		"-corpus", "corpus.jsonl", "-model", "model", "-out", "run", "-epochs", "1", "-batch", "8",
		"-queries", "queries.jsonl", "-qrels", "qrels/test.tsv",
	}
	_, _, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	here := succeed(t, "status", "run")
	require.NotContains(t, here, "redone")
	t.Chdir(t.TempDir())
	require.Equal(t, strings.Replace(here, "run, seed", dir+"/run, seed", 1), succeed(t, "status", dir+"/run"))
	t.Chdir(filepath.Join(dir, "run"))
	require.NotContains(t, succeed(t, "status", "."), "redone")

	// A run that was moved together with its files is looked for from here, and what is nowhere is said to be unknown.
	moved := t.TempDir()
	require.NoError(t, os.CopyFS(moved, os.DirFS(dir)))
	for _, name := range []string{"corpus.jsonl", "model", "queries.jsonl", "qrels"} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
	}
	t.Chdir(moved)
	require.NotContains(t, succeed(t, "status", "run"), "redone")
	t.Chdir(t.TempDir())
	status := succeed(t, "status", moved+"/run")
	require.NotContains(t, status, "redone")
	require.Contains(t, status, "corpus: corpus.jsonl does not exist: it may have changed\n")

	// What a flag names begins here.
	require.NoError(t, os.WriteFile("corpus.jsonl", []byte("{}"), 0o600))
	require.Regexp(t, `generate .*redone: corpus has changed \(corpus.jsonl\)`,
		succeed(t, "status", moved+"/run", "-corpus", "corpus.jsonl"))
}

func TestStatusSaysRunningOnlyWhileAProcessWorksOnTheRun(t *testing.T) {
	dir := t.TempDir()
	f, err := runfolder.Open(t.Context(), dir, runfolder.Pipeline, nil)
	require.NoError(t, err)
	stage, err := f.Begin(runfolder.Spec{Name: "before"})
	require.NoError(t, err)
	require.Regexp(t, `before +running`, succeed(t, "status", dir))
	code, _, stderr := cli(t.Context(), "status", "-verify", dir)
	require.Equal(t, exitBusy, code)
	require.Contains(t, stderr, "verify the run when")
	require.NoError(t, stage.Stop())
	require.NoError(t, f.Close())
	require.Regexp(t, `before +interrupted +0 .*resumed`, succeed(t, "status", dir))
}
