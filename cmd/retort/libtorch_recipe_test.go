//go:build libtorch

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The program of the README and the command's defaults make the same model of a real BERT, though a tiny one.
func TestTheReadmesProgramMakesTheModelOfDistill(t *testing.T) {
	dir := runFolder(t)
	program := filepath.Join(dir, "specialise")
	out, err := exec.Command("go", "build", "-o", program, "../../examples/specialise").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "all-MiniLM-L6-v2"), os.DirFS(tiny)))
	cmd := exec.Command(program)
	cmd.Dir = dir
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	succeed(t, "distill", "-corpus", dir+"/corpus.jsonl", "-model", dir+"/all-MiniLM-L6-v2", "-out", dir+"/run")
	requireSameModel(t, filepath.Join(dir, "runs", "mine"), filepath.Join(dir, "run"))
}
