// Package llamacpptest starts a real llama.cpp server for tests of HTTP clients.
package llamacpptest

import (
	"bufio"
	"bytes"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

//go:embed llamacpp.py
var script string

// The environment variables that the tests need: the folder of the Python package xllamacpp, and a model in GGUF.
// "make test" sets both.
const (
	FolderVariable = "RETORT_LLAMACPP"
	ModelVariable  = "RETORT_LLM"
)

// Model is the server's name of the model. Requests may give another name.
const Model = "smollm2"

// Mode is what a server serves.
type Mode string

// The modes.
const (
	Complete Mode = "complete" // /v1/completions and /v1/chat/completions
	Rerank   Mode = "rerank"   // /v1/rerank, with scores that make no sense
)

// Start starts a server that ends with the test, and returns its address. The server requires the key unless the key is
// "". Start skips the test if the environment names no server or model.
func Start(t testing.TB, mode Mode, key string) string {
	t.Helper()
	folder, model := os.Getenv(FolderVariable), os.Getenv(ModelVariable)
	if folder == "" || model == "" {
		t.Skipf("needs a llama.cpp server and a model: %s is the folder of pip install --target FOLDER xllamacpp, "+
			"%s a GGUF file; make test sets both", FolderVariable, ModelVariable)
	}
	cmd := exec.Command("python3", "-I", "-c", script, absolute(t, folder), absolute(t, model), string(mode))
	cmd.Dir = t.TempDir()
	cmd.Env = append(cmd.Environ(), "LLAMACPP_TEST_KEY="+key)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		kill.Stop()
		if t.Failed() {
			t.Logf("llama.cpp said:\n%s", tail(log.String()))
		}
	})
	giveUp := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer giveUp.Stop()
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "http://") {
			go func() { // the server would block without a reader
				for lines.Scan() {
				}
			}()
			return lines.Text()
		}
	}
	t.Fatal("the llama.cpp server did not start")
	return ""
}

func absolute(t testing.TB, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func tail(log string) string {
	const most = 4000
	return log[max(0, len(log)-most):]
}
