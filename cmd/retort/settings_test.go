package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEverySettingIsAFlagAndStandsInTheFileOnce(t *testing.T) {
	a, err := parseDistill(nil)
	require.NoError(t, err)
	text := succeed(t, "distill", "-init")
	count := 0
	a.flags.VisitAll(func(f *flag.Flag) {
		if f.Name == "c" || f.Name == "init" {
			return
		}
		count++
		require.NotNil(t, findSetting(f.Name), f.Name)
		require.Equal(t, 1, strings.Count(strings.ReplaceAll("\n"+text, "\n# "+f.Name+":", "\n"+f.Name+":"), "\n"+f.Name+":"),
			f.Name)
	})
	for _, g := range settingGroups() {
		count -= len(g.settings)
	}
	require.Zero(t, count)
}

func TestTheFileOfInitHasTheDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "retort.yaml")
	require.Empty(t, succeed(t, "distill", "-init", path))
	want, err := parseDistill(nil)
	require.NoError(t, err)
	got, err := parseDistill([]string{"-c", path})
	require.NoError(t, err)
	require.Equal(t, want.distillFlags, got.distillFlags)

	code, _, stderr := cli(t.Context(), "distill", "-init", path)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, path+" exists")

	// A file of other values gives those values, whatever YAML makes of them.
	for _, value := range []string{"query: ", "true", "a: b # c", "1e5", "null", "'", "- x", " ", "é\t", "@x", "%x", "3.5.6", "0x10", ""} {
		set := []string{
			"distill", "-query-prompt", value, "-types", "title", "-lr", "3e-05", "-out", value, "-source-first", "-model",
			value,
		}
		path := filepath.Join(t.TempDir(), "retort.yaml")
		require.NoError(t, os.WriteFile(path, []byte(succeed(t, append(set, "-init")...)), 0o600))
		got, err := parseDistill([]string{"-c", path})
		require.NoError(t, err, "%q", value)
		want, err := parseDistill(set[1:])
		require.NoError(t, err)
		require.Equal(t, want.distillFlags, got.distillFlags, "%q", value)
	}
}

func TestFlagsWinOverTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "retort.yaml")
	require.NoError(
		t,
		os.WriteFile(
			path,
			[]byte(
				"lr: 0.5 # high\nepochs: 7\ntypes: [title, phrase]\nqueries:\nquery-prompt: 'q: '\nseed: 18446744073709551615\n",
			),
			0o600,
		),
	)
	a, err := parseDistill([]string{"-epochs", "2", "-c", path})
	require.NoError(t, err)
	require.Equal(t, .5, a.training.Schedule.LR)
	require.Equal(t, 2, a.training.Schedule.Epochs)
	require.Equal(t, "title,phrase", a.generator.types)
	require.Empty(t, a.queries)
	require.Equal(t, "q: ", *a.model.options.QueryPrompt)
	require.EqualValues(t, uint64(1<<64-1), a.seed)
}

func TestBadSettingsAreNamedWithTheirLine(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"unknown", "lr: 1e-4\n\nround_trips: 3\n", `:3: unknown setting "round_trips": did you mean "round-trip"?`},
		{"unknown in capitals", "LR: 1", `:1: unknown setting "LR": did you mean "lr"?`},
		{"not a number", "epochs: many", `:1: epochs: "many": parse error`},
		{"not whole", "epochs: 1.5", `:1: epochs: "1.5": parse error`},
		{"not a truth", "source-first: perhaps", `:1: source-first: "perhaps": parse error`},
		{"twice", "lr: 1\nseed: 2\nlr: 3", `:3: `},
		{"nested", "lr:\n  peak: 1", `:1: lr: want a single value`},
		{"nested list", "types: [[a], b]", `:1: types: want a single value`},
		{"a list", "- lr", `: want lines of "setting: value"`},
		{"text", "lr", `: want lines of "setting: value"`},
		{"malformed", "lr: 1\nseed: [1\n", `:2: malformed YAML: `},
		{"tabs", "lr: 1\n\tseed: 2\n", `:2: malformed YAML: `},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "retort.yaml")
			require.NoError(t, os.WriteFile(path, []byte(c.file), 0o600))
			code, _, stderr := cli(t.Context(), "distill", "-c", path)
			require.Equal(t, exitFailure, code, stderr)
			require.Contains(t, stderr, path+c.want)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
	code, _, stderr := cli(t.Context(), "distill", "-c", "nowhere.yaml")
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "nowhere.yaml")
}

func TestASettingsFileIsBounded(t *testing.T) {
	dir := t.TempDir()
	start := time.Now()
	for _, c := range []struct{ name, content, want string }{
		{"open lists", strings.Repeat("[", 200_000), ":1: lists or mappings are nested more than 16 deep"},
		{
			"open mappings", "lr: 1\nseed: " + strings.Repeat("{a: ", 50_000),
			":2: lists or mappings are nested more than 16 deep",
		},
		{"lists of lists", strings.Repeat("- ", 100_000), ":1: lists or mappings are nested more than 16 deep"},
		{"keys of keys", strings.Repeat("? ", 100_000), ":1: lists or mappings are nested more than 16 deep"},
		{"values of values", strings.Repeat("a: ", 80_000), ":1: "},
		{"a long name", strings.Repeat("a", 200_000) + ": 1", ":1: unknown setting"},
		{"a long value", "lr: " + strings.Repeat("a", 200_000), ":1: lr: "},
		{"a long file", strings.Repeat("# comment\n", 30_000), ": more than 262144 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, "retort.yaml")
			require.NoError(t, os.WriteFile(path, []byte(c.content), 0o600))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := readSettings(path, newDistillFlags())
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, path+c.want)
			require.Less(t, len(err.Error()), 1000)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(500<<20))
		})
	}
	require.Less(t, time.Since(start), 60*time.Second)
}

func TestSettingsOutOfRangeAreAUsageError(t *testing.T) {
	for _, args := range []string{
		"-depth 0", "-round-trip -1", "-near-duplicate 2", "-top-percentile 101", "-lr -1", "-epochs -1", "-warmup 2", "-gamma -1 -target student-scale",
		"-target other", "-min-words 5 -max-words 2",
	} {
		code, _, stderr := cli(
			t.Context(),
			append([]string{"distill", "-corpus", "c", "-model", "m", "-out", "o"}, strings.Fields(args)...)...)
		require.Equal(t, exitUsage, code, args)
		require.Contains(t, stderr, "\n\nusage: retort distill ", args)
	}
}

func FuzzSettingsFiles(f *testing.F) {
	f.Add(settingsFile(map[string]string{"lr": "1e-4", "out": "a: b"}))
	f.Add([]byte("lr: 1\n"))
	f.Add([]byte("types: [a, b]\nseed: &x 1\nlr: *x\n"))
	f.Add([]byte("? a\n: b\n"))
	f.Add([]byte("types: [[[{a: - - - ? ? b"))
	f.Add([]byte("---\n...\n--- >\n a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "retort.yaml")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		if err := readSettings(path, newDistillFlags()); err != nil {
			require.ErrorContains(t, err, path)
		}
	})
}

func newDistillFlags() *flag.FlagSet {
	flags := flag.NewFlagSet("distill", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	(&distillFlags{}).add(flags)
	return flags
}
