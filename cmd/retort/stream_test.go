package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/runfolder"
)

const twoPassages = `{"_id":1,"title":"Kettle","text":"descale the kettle with vinegar","TEXT":"<div>"}
{"_id":"b","text":"empty the crumb \u001b[31mtray\u0000 of the toaster"}
`

// piped runs a command with bytes on its standard input.
func piped(t *testing.T, input []byte, args ...string) *process {
	t.Helper()
	p := newProcess(t, args...)
	p.Stdin = bytes.NewReader(input)
	p.start(t)
	return p
}

func gzipOf(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestACorpusComesFromStandardInput(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "corpus.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(twoPassages), 0o644))
	for name, args := range map[string][]string{
		"search":   {"search", "-bm25", "toaster tray"},
		"generate": {"generate", "-out", filepath.Join(dir, "queries.jsonl")},
	} {
		fromFile := newProcess(t, append(args, "-json", "-corpus", path)...)
		fromFile.start(t)
		require.Equal(t, exitOK, fromFile.code(), fromFile.stderr.String())
		want := withoutSeconds(fromFile.stdout.String())
		for packing, input := range map[string][]byte{"plain": []byte(twoPassages), "gzip": gzipOf(t, []byte(twoPassages))} {
			t.Run(name+"/"+packing, func(t *testing.T) {
				p := piped(t, input, append(args, "-json", "-corpus", "-")...)
				require.Equal(t, exitOK, p.code(), p.stderr.String())
				require.Equal(t, want, withoutSeconds(p.stdout.String()))
			})
		}
	}
	p := piped(t, []byte("id,text\n1,x\n"), "generate", "-corpus", "-", "-out", filepath.Join(dir, "q"))
	require.Equal(t, exitFailure, p.code())
	require.Contains(t, p.stderr.String(),
		"standard input:1: malformed JSON: invalid character 'i' at start of value: is the file CSV?")
	p = piped(t, nil, "search", "-bm25", "-corpus", "-", "x")
	require.Equal(t, exitFailure, p.code())
	require.Contains(t, p.stderr.String(), "standard input: no passages")
}

func withoutSeconds(result string) string {
	before, _, _ := strings.Cut(result, `"seconds"`)
	return before
}

// What is printed cannot steer a terminal, whatever a passage holds.
func TestATextCannotSteerTheTerminal(t *testing.T) {
	p := piped(t, []byte(twoPassages), "search", "-bm25", "-corpus", "-", "toaster tray")
	require.Equal(t, exitOK, p.code(), p.stderr.String())
	require.Contains(t, p.stdout.String(), "empty the crumb [31mtray of the toaster")
	require.NotContains(t, p.stdout.String(), "\x1b")
	require.NotContains(t, p.stdout.String(), "\x00")
}

func TestCtrlCEndsTheWaitForStandardInput(t *testing.T) {
	for name, args := range map[string][]string{
		"in memory": {"search", "-bm25", "-corpus", "-", "x"},
		"in a file": {"generate", "-corpus", "-", "-out", filepath.Join(t.TempDir(), "q")},
	} {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe() // that nobody writes to
			require.NoError(t, err)
			defer w.Close()
			p := newProcess(t, args...)
			p.Stdin = r
			p.start(t)
			require.NoError(t, r.Close())
			// More than a pipe holds: the command has begun to read when it is written.
			_, err = w.WriteString(strings.Repeat(" ", 1<<20))
			require.NoError(t, err)
			require.NoError(t, p.Process.Signal(syscall.SIGINT))
			require.Equal(t, exitInterrupted, p.code(), p.stderr.String())
		})
	}
}

func TestARunGoesOnWithTheCorpusThatWasPiped(t *testing.T) {
	dir := runFolder(t)
	corpus, err := os.ReadFile(filepath.Join(dir, "corpus.jsonl"))
	require.NoError(t, err)
	args := append([]string{"slow-distill"}, fakeArgs(t, dir, "-corpus", "-")...)
	out := filepath.Join(dir, "run")

	p := piped(t, nil, args...)
	require.Equal(t, exitFailure, p.code())
	require.Contains(t, p.stderr.String(), "standard input: no records")

	p = piped(t, gzipOf(t, corpus), args...)
	require.Equal(t, exitOK, p.code(), p.stderr.String())
	want := stagesOf(t, out)
	kept, err := os.ReadFile(filepath.Join(out, runCorpus))
	require.NoError(t, err)
	for name, input := range map[string][]byte{
		"nothing":            nil,
		"the same":           gzipOf(t, corpus),
		"the run's own copy": kept,
	} {
		t.Run(name, func(t *testing.T) {
			p := piped(t, input, args...)
			require.Equal(t, exitOK, p.code(), p.stderr.String())
			require.Equal(t, want, stagesOf(t, out), "nothing is done anew")
			require.Equal(t, input == nil, strings.Contains(p.stderr.String(), "reading the copy of the corpus in"))
		})
	}
	require.NotContains(t, succeed(t, "status", out), "redone")

	// The copy is all that is left of a corpus that was piped: damaged, it decides nothing.
	damaged := bytes.Clone(kept)
	damaged[len(damaged)/2] ^= 1
	require.NoError(t, os.WriteFile(filepath.Join(out, runCorpus), damaged, 0o600))
	p = piped(t, nil, args...)
	require.Equal(t, exitFailure, p.code())
	require.Contains(t, p.stderr.String(), filepath.Join(out, runCorpus)+" is damaged: ")
	require.Contains(t, p.stderr.String(), "pipe the corpus again")
	p = piped(t, gzipOf(t, corpus), args...)
	require.Equal(t, exitOK, p.code(), p.stderr.String())
	require.Equal(t, want, stagesOf(t, out), "the copy is made again, and nothing else")
	require.NotContains(t, succeed(t, "status", "-verify", out), "damaged:")
}

// stagesOf are the stages of a run with what would change were they done anew.
func stagesOf(t *testing.T, dir string) []string {
	t.Helper()
	m, err := runfolder.ReadManifest(dir, runfolder.Pipeline)
	require.NoError(t, err)
	var stages []string
	for _, e := range m.Stages {
		require.Equal(t, runfolder.Complete, e.State, e.Name)
		stages = append(stages, fmt.Sprint(e.Name, e.Key, e.SHA256, e.Seconds))
	}
	require.NotEmpty(t, stages)
	return stages
}
