package libtorch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/cmd/retort/internal/isolated/isolatedtest"
)

func TestAFolderTorchIsNoLibTorch(t *testing.T) {
	bare := fakeVenv(t)
	isolatedtest.Hostile(t)
	require.Empty(t, pythonTorch(t.Context()))
	t.Setenv("PYTHONPATH", "")
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("torch", 0o755))
	require.NoError(t, os.WriteFile(filepath.Join("torch", "__init__.py"), nil, 0o644))
	require.Empty(t, pythonTorch(t.Context()))
	require.NoError(t, os.MkdirAll(filepath.Join(bare, "torch", "lib"), 0o755)) // what an uninstalled torch may leave
	require.Empty(t, pythonTorch(t.Context()))
}

func TestTheTorchOfAVirtualEnvironmentIsFound(t *testing.T) {
	packages := fakeVenv(t)
	torch := filepath.Join(packages, "torch")
	require.NoError(t, os.Mkdir(torch, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(torch, "__init__.py"), []byte("raise Exception('imported')\n"), 0o644))
	isolatedtest.Hostile(t)
	require.Equal(t, torch, pythonTorch(t.Context()))
}

func TestTheTorchOfTheUserIsFound(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3")
	}
	t.Setenv("PYTHONUSERBASE", t.TempDir())
	out, err := exec.Command(python, "-c",
		"import site, importlib.util as u; print(site.getusersitepackages(), u.find_spec('torch'))").Output()
	require.NoError(t, err)
	packages, installed, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if installed != "None" {
		t.Skip("this Python has a torch for all")
	}
	torch := filepath.Join(packages, "torch")
	require.NoError(t, os.MkdirAll(torch, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(torch, "__init__.py"), nil, 0o644))
	isolatedtest.Hostile(t)
	require.Equal(t, torch, pythonTorch(t.Context()))
}

// The checks of the small program and of the installation need an installation; the others run all that doctor runs.
func TestDoctorRunsNothingOfTheWorkingFolder(t *testing.T) {
	isolatedtest.Hostile(t)
	t.Setenv("LD_LIBRARY_PATH", ":lib")
	var out bytes.Buffer
	require.ErrorIs(t, Doctor(context.Background(), filepath.Join(t.TempDir(), "home"), &out), ErrUnhealthy)
	require.Contains(t, out.String(), "c++           ok", out.String())
	_, _, err := find(t.Context())
	require.NoError(t, err)
}

// fakeVenv puts a virtual environment first on the path and returns its site-packages.
func fakeVenv(t *testing.T) string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("needs python3")
	}
	out, err := exec.Command(python, "-I", "-c",
		"import sys; print(sys._base_executable, '%d.%d' % sys.version_info[:2])").Output()
	require.NoError(t, err)
	var base, version string
	_, err = fmt.Sscan(string(out), &base, &version)
	require.NoError(t, err)
	dir := t.TempDir()
	packages := filepath.Join(dir, "lib", "python"+version, "site-packages")
	require.NoError(t, os.MkdirAll(packages, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	require.NoError(t, os.Symlink(base, filepath.Join(dir, "bin", "python3")))
	require.NoError(t, os.Symlink(base, filepath.Join(dir, "bin", "python")))
	config := "home = " + filepath.Dir(base) + "\ninclude-system-site-packages = false\nversion = " + version + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pyvenv.cfg"), []byte(config), 0o644))
	t.Setenv("PATH", filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	return packages
}
