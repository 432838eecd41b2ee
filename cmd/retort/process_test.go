package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/internal/runfolder"
)

// commandLine is the environment variable that makes this test binary the command, with these arguments in JSON.
const commandLine = "RETORT_COMMAND_TEST"

func TestMain(m *testing.M) {
	text := os.Getenv(commandLine)
	if text == "" {
		os.Exit(m.Run())
	}
	var args []string
	if err := json.Unmarshal([]byte(text), &args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	os.Exit(untilInterrupted(func(ctx context.Context) int {
		if c, ok := processCommands[args[0]]; ok {
			return c.execute(ctx, args[1:], os.Stdout, os.Stderr)
		}
		return run(ctx, args, os.Stdout, os.Stderr)
	}))
}

// processCommands are commands that only the tests' processes have.
var processCommands = map[string]*command{
	"slow-distill": {name: "distill", json: true, resumes: true, run: slowDistill},
	"deaf":         {name: "deaf", run: deaf},
}

// slowDistill is "retort distill" with a small model in memory that takes its time for a step.
func slowDistill(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	a, err := parseDistill(args)
	if err != nil {
		return err
	}
	j := newJob(a.distillFlags, stderr)
	j.settings = a.values()
	open := func() (student, error) {
		model, err := encodertest.New(encodertest.Options{Dim: 8, Buckets: 64, Seed: 1})
		return slowModel{fakeModel{model}}, err
	}
	out, err := j.do(ctx, func() error { return j.load(ctx) }, open)
	if err != nil {
		return err
	}
	return j.printOutcome(stdout, out)
}

type slowModel struct{ fakeModel }

func (m slowModel) Step(u encoder.Update) (float64, error) {
	time.Sleep(20 * time.Millisecond)
	return m.fakeModel.Step(u)
}

// deaf begins a record that does not end.
func deaf(_ context.Context, args []string, stdout, _ io.Writer) error {
	if len(args) > 0 && args[0] == "-h" {
		return nil
	}
	fmt.Fprintln(stdout, "begun")
	time.Sleep(time.Minute)
	return nil
}

// process is a command in a process of its own.
type process struct {
	*exec.Cmd
	stdout, stderr bytes.Buffer
}

func newProcess(t *testing.T, args ...string) *process {
	t.Helper()
	text, err := json.Marshal(args)
	require.NoError(t, err)
	p := &process{Cmd: exec.Command(os.Args[0])}
	p.Env = append(os.Environ(), commandLine+"="+string(text))
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Start())
	limit := time.AfterFunc(time.Minute, func() { _ = p.Process.Kill() })
	t.Cleanup(func() { limit.Stop(); _ = p.Process.Kill() })
}

// code waits for the process and returns its exit code; -1 where a signal killed it.
func (p *process) code() int {
	_ = p.Wait()
	return p.ProcessState.ExitCode()
}

func TestCtrlCEndsACommandWith130(t *testing.T) {
	for name, c := range map[string]struct {
		signal syscall.Signal
		code   int
	}{"Ctrl-C": {syscall.SIGINT, 130}, "SIGTERM": {syscall.SIGTERM, 143}} {
		t.Run(name, func(t *testing.T) {
			fifo := filepath.Join(t.TempDir(), "corpus.jsonl") // that nobody finishes writing
			require.NoError(t, syscall.Mkfifo(fifo, 0o600))
			p := newProcess(t, "search", "-bm25", "-corpus", fifo, "x")
			p.start(t)
			f, err := os.OpenFile(fifo, os.O_WRONLY, 0) // waits for the command
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, p.Process.Signal(c.signal))
			require.Equal(t, c.code, p.code())
			require.Equal(t, "retort search: interrupted\n", p.stderr.String())
			require.Empty(t, p.stdout.String())
		})
	}
}

// Whatever stands where a file is expected, the command says so and ends.
func TestFilesThatAreNoneAreNamed(t *testing.T) {
	tiny := filepath.Join("..", "..", "encoder", "transformer", "testdata", "tiny")
	makers := map[string]func(t *testing.T, path string){
		"not a regular file but a named pipe": func(t *testing.T, path string) {
			require.NoError(t, syscall.Mkfifo(path, 0o600))
		},
		"not a regular file but a device": func(t *testing.T, path string) {
			require.NoError(t, os.Symlink("/dev/zero", path))
		},
		"not a regular file but a folder": func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o755)) },
	}
	embed := "embed -model DIR/model -role query -out DIR/x.npy DIR/queries.jsonl"
	for _, c := range []struct{ file, args string }{
		{"model/config.json", embed},
		{"model/modules.json", embed},
		{"model/tokenizer.json", embed},
		{"model/1_Pooling/config.json", embed},
		{"model/model.safetensors", embed},
		{"retort.yaml", "distill -c DIR/retort.yaml"},
		{"run/manifest.json", "status DIR/run"},
		{"run/report.json", "report DIR/run"},
		{"qrels/test.tsv", "eval -bm25 -collection DIR"},
		{"queries.jsonl", "eval -bm25 -collection DIR"},
		{"corpus.jsonl", "search -bm25 -corpus DIR/corpus.jsonl x"},
	} {
		for want, put := range makers {
			if strings.Contains(want, "pipe") && slices.Contains([]string{"qrels/test.tsv", "queries.jsonl", "corpus.jsonl"},
				c.file) {
				continue // these may be piped
			}
			if strings.Contains(want, "device") && strings.HasPrefix(c.file, "run/manifest") {
				continue // no link leads out of a run
			}
			t.Run(c.file+" "+want, func(t *testing.T) {
				dir := t.TempDir()
				for name, content := range collectionFiles {
					path := filepath.Join(dir, name)
					require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
					require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
				}
				require.NoError(t, os.CopyFS(filepath.Join(dir, "model"), os.DirFS(tiny)))
				path := filepath.Join(dir, c.file)
				require.NoError(t, os.RemoveAll(path))
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				put(t, path)
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				code, _, stderr := cli(ctx, strings.Fields(strings.ReplaceAll(c.args, "DIR", dir))...)
				require.Equal(t, exitFailure, code, stderr)
				require.Contains(t, stderr, path+": "+want)
			})
		}
	}
}

func TestCtrlCTwiceStopsAtOnce(t *testing.T) {
	p := newProcess(t, "deaf")
	p.Stdout = nil
	pipe, err := p.StdoutPipe()
	require.NoError(t, err)
	p.start(t)
	line, err := bufio.NewReader(pipe).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "begun\n", line)
	require.NoError(t, p.Process.Signal(os.Interrupt))
	time.Sleep(500 * time.Millisecond) // it says what a second one does
	require.NoError(t, p.Process.Signal(os.Interrupt))
	start := time.Now()
	require.Equal(t, exitInterrupted, p.code())
	require.Less(t, time.Since(start), 10*time.Second)
	require.Equal(t, "stopping; press Ctrl-C again to stop at once\n", p.stderr.String())
}

func TestCtrlCSavesWhatDistillHasMade(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir, "-epochs", "12", "-keep", "last", "-checkpoint-every", "1h")
	out := filepath.Join(dir, "run")
	p := newProcess(t, append([]string{"slow-distill"}, args...)...)
	p.start(t)
	steps := func() int {
		data, _ := os.ReadFile(out + "/train.jsonl") // not there yet
		return bytes.Count(data, []byte(`"step"`))
	}
	require.Eventually(t, func() bool { return steps() > 3 }, 30*time.Second, 5*time.Millisecond)
	require.NoError(t, p.Process.Signal(os.Interrupt))
	require.Equal(t, exitInterrupted, p.code(), p.stderr.String())
	require.Contains(t, p.stderr.String(),
		"retort distill: interrupted: the work so far is kept; run the same command to resume\n")
	require.Empty(t, p.stdout.String())
	done := steps()
	require.NotEmpty(t, names(t, out+"/checkpoints"), "no checkpoint was due but this one")
	require.Regexp(t, `train +interrupted +\d+ .* resumed`, succeed(t, "status", out))

	p = newProcess(t, append([]string{"slow-distill", "-json"}, args...)...)
	p.start(t)
	require.Equal(t, exitOK, p.code(), p.stderr.String())
	var result distillResult
	require.NoError(t, json.Unmarshal(p.stdout.Bytes(), &result), p.stdout.String())
	require.Equal(t, 1, strings.Count(p.stdout.String(), "\n"))
	requireDocumented(t, p.stdout.Bytes())
	require.Equal(t, result.TotalSteps, result.Steps)
	require.Greater(t, result.Steps, done)
	require.Equal(t, out+"/model", result.Model)
	first := true
	for _, line := range strings.Split(strings.TrimSpace(p.stderr.String()), "\n") {
		var e struct {
			Type, Stage, Text string
			Done, Total       int
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		require.Contains(t, []string{"progress", "message"}, e.Type, line)
		require.NotContains(t, e.Text, "redone")
		if e.Stage == "train" && e.Done > 0 && first {
			require.GreaterOrEqual(t, e.Done, done, "nothing is trained again")
			require.Equal(t, result.TotalSteps, e.Total)
			first = false
		}
	}
	require.False(t, first, p.stderr.String())

	undisturbed := filepath.Join(dir, "undisturbed")
	_, _, err := distillFake(t, t.Context(), append(args, "-out", undisturbed)...)
	require.NoError(t, err)
	for _, name := range []string{"train.jsonl", "train.state", "model"} {
		want, err := runfolder.HashPath(t.Context(), filepath.Join(undisturbed, name))
		require.NoError(t, err)
		got, err := runfolder.HashPath(t.Context(), filepath.Join(out, name))
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
}
