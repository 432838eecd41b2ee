// Package isolatedtest detects programs that run files of the working folder.
package isolatedtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Hostile changes to a folder with files that Python, Maven, a shell or the loader might run, until the test ends.
// PYTHONPATH also names the folder. The test fails if a file was run.
func Hostile(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	trace := filepath.Join(t.TempDir(), "ran")
	t.Cleanup(func() {
		if what, err := os.ReadFile(trace); err == nil {
			t.Errorf("run from the working folder: %s", what)
		}
	})
	python := func(name string) string {
		return "open('" + trace + "', 'a').write('" + name + " ')\n"
	}
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, module := range []string{
		"pip", "site", "sitecustomize", "usercustomize", "json", "os", "importlib", "encodings", "runpy", "socket", "ssl",
	} {
		write(module+".py", python(module), 0o644)
	}
	for _, module := range []string{"torch", "pip", "importlib"} {
		write(module+"/__init__.py", python(module), 0o644)
		write(module+"/__main__.py", python(module), 0o644)
	}
	write("torch/include/ATen/ATen.h", "", 0o644)
	write("torch/lib/libtorch_cpu.so", "", 0o644)
	for _, program := range []string{"python3", "python", "mvn", "g++", "as", "cc1plus", "ldconfig", "nvidia-smi"} {
		script := "#!/bin/sh\necho " + program + " >>'" + trace + "'\n"
		write(program, script, 0o755)
		write("bin/"+program, script, 0o755)
	}
	write(".mvn/extensions.xml", "<extensions/>", 0o644)
	t.Setenv("PYTHONPATH", dir)
	t.Chdir(dir)
}
