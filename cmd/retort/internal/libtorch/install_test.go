package libtorch

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The tests of this file install a LibTorch and a gotch of a few lines (testdata), which takes the real compiler and
// the real go command a second or two. The real ones are installed by "make test".

func TestALeftOutOperationSaysSoAndAChangedListRebuilds(t *testing.T) {
	m := newMachine(t)

	first := m.install([]string{"atg_twice", "get_and_reset_last_err"})
	require.Empty(t, first.Rejected)
	require.Equal(t, []string{
		"twice 4 ",
		`thrice 0 atg_thrice is not compiled in: run "retort libtorch install -all-ops"`,
		`gone atg_gone is not compiled in: run "retort libtorch install -all-ops"`,
	}, m.goRun(first))

	second := m.install([]string{"atg_thrice", "atg_twice", "get_and_reset_last_err"})
	require.NotEqual(t, first.CXX(), second.CXX())
	require.Equal(t, "thrice 6 ", m.goRun(second)[1], "Go's build cache must not serve the object of the first list")

	require.Equal(t, first, m.install([]string{"atg_twice", "get_and_reset_last_err"}))
	require.NotContains(t, m.progress.String()[strings.LastIndex(m.progress.String(), "LibTorch 2.15.0"):], "compile",
		"what is built stays")
}

func TestAnOperationThatTheCompilerRejectsSaysSo(t *testing.T) {
	for name, ops := range map[string][]string{
		"of the list": {"atg_gone", "atg_thrice", "atg_twice", "get_and_reset_last_err"}, "of all": nil,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			i := m.install(ops)
			require.Equal(t, []string{"atg_gone"}, i.Rejected)
			require.Equal(t, []string{"twice 4 ", "thrice 6 ", "gone atg_gone does not fit this version of LibTorch"},
				m.goRun(i))
			require.Equal(t, []string{"atg_gone"}, m.install(ops).Rejected, "known without compiling too")
		})
	}
}

func TestTheWrapperPassesEveryOtherCallThrough(t *testing.T) {
	m := newMachine(t)
	i := m.install([]string{"atg_twice"})
	source := filepath.Join(t.TempDir(), "torch_api.cpp") // the name alone does not make a file gotch's
	require.NoError(t,
		os.WriteFile(source, []byte("#include <string>\nstd::string twice(std::string s) { return s + s; }\n"), 0o644))
	object := func(compiler string) []byte {
		out := filepath.Join(t.TempDir(), "a b.o")
		cmd := exec.Command(compiler, "-std=c++17", "-O3", "-g", "-DTEXT=\"a 'b'\"", "-c", "-o", out, source)
		cmd.Dir = filepath.Dir(source)
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", output)
		data, err := os.ReadFile(out)
		require.NoError(t, err)
		return data
	}
	require.True(t, bytes.Equal(object("g++"), object(i.CXX())))

	want, wantErr := exec.Command("g++", "-c", "no such file.cpp").CombinedOutput()
	got, gotErr := exec.Command(i.CXX(), "-c", "no such file.cpp").CombinedOutput()
	require.Equal(t, string(want), string(got))
	require.Equal(t, wantErr.Error(), gotErr.Error())
}

func TestASecondModuleWithItsOwnCppBuildsAsWithThePlainCompiler(t *testing.T) {
	m := newMachine(t)
	i := m.install([]string{"atg_twice"})
	t.Chdir(writeModule(t, map[string]string{
		"go.mod":        "module example.com/second\n\ngo 1.24\n",
		"main.go":       "package main\n\n// int answer();\nimport \"C\"\n\nfunc main() { println(C.answer()) }\n",
		"torch_api.cpp": "#include <vector>\nextern \"C\" int answer() { return std::vector<int>(42).size(); }\n",
	}))
	plain := command(t, nil, "go", "run", ".")
	require.Equal(t, "42\n", plain)
	require.Equal(t, plain, command(t, m.environment(i), "go", "run", "."))
}

func TestAnotherGotchIsRefusedByTheWrapper(t *testing.T) {
	m := newMachine(t)
	i := m.install([]string{"atg_twice"})
	api := filepath.Join(m.gotch, "libtch", "torch_api.cpp")
	require.NoError(t, os.WriteFile(api, append(read(t, api), "// changed\n"...), 0o644))
	cmd := exec.Command("go", "build", "-o", os.DevNull, ".")
	cmd.Env = append(os.Environ(), m.environment(i)...)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `run "retort libtorch install" in this module`)
}

func TestEnvTwiceChangesNothing(t *testing.T) {
	m := newMachine(t)
	t.Setenv("CGO_LDFLAGS", "-L/opt/mine '-L/opt/with blank'")
	t.Setenv("GOFLAGS", "-tags=mine")
	i := m.install([]string{"atg_twice"})
	once := m.variables(i)
	require.Contains(t, once[2].Value, "-L/opt/mine '-L/opt/with blank'")
	require.Equal(t, "-tags=mine,libtorch", once[3].Value)
	for _, v := range once {
		t.Setenv(v.Name, v.Value)
	}
	require.Equal(t, once, m.variables(i))
	require.Equal(t, i, m.install([]string{"atg_twice"}), "the compiler behind the wrapper is the same")
	other := m.install([]string{"atg_thrice"})
	require.NotContains(t, m.variables(other)[2].Value, i.Build, "flags of an earlier installation go")
}

func TestAnInterruptedInstallLeavesNothingThatLooksWhole(t *testing.T) {
	m := newMachine(t)
	left := filepath.Join(m.home, "libtorch", temporary+"killed")
	require.NoError(t, os.MkdirAll(left, 0o755))
	ctx, cancel := context.WithCancel(t.Context())
	m.progress.onWrite = func(line string) {
		if strings.HasPrefix(line, "compile") {
			cancel()
		}
	}
	start := time.Now()
	_, err := install(ctx, m.home, []string{"atg_twice"}, m.progress)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(start), 10*time.Second)
	entries, err := filepath.Glob(filepath.Join(m.home, "libtorch", "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(m.home, "libtorch", "lock")}, entries)
	_, err = Env(t.Context(), m.home)
	require.ErrorIs(t, err, ErrNotInstalled)

	m.progress.onWrite = nil
	i := m.install([]string{"atg_twice"})
	require.NoError(t, os.Remove(filepath.Join(i.Build, "torch_api.o")))
	require.ErrorContains(t, i.check(), "incomplete")
	require.NoError(t, m.install([]string{"atg_twice"}).check(), "and the next install mends it")
}

func TestInstallSaysWhatIsMissing(t *testing.T) {
	cases := []struct {
		name string
		mess func(t *testing.T, m *machine)
		want string
	}{
		{"no compiler", func(t *testing.T, _ *machine) { t.Setenv("CXX", "no-such-compiler") }, "Debian: apt install g++"},
		{"an old compiler", func(t *testing.T, m *machine) {
			old := filepath.Join(t.TempDir(), "old")
			require.NoError(t,
				os.WriteFile(old, []byte("#!/bin/sh\necho unrecognized option -std=gnu++20 >&2\nexit 1\n"), 0o755))
			t.Setenv("CXX", old)
		}, "does not compile C++20: install g++ 11 or newer"},
		{
			"LIBTORCH without LibTorch", func(t *testing.T, _ *machine) { t.Setenv("LIBTORCH", t.TempDir()) },
			"holds no LibTorch headers",
		},
		{"an old LibTorch", func(t *testing.T, m *machine) {
			write(t, filepath.Join(m.torch, "include/torch/headeronly/version.h"),
				"#define TORCH_VERSION_MAJOR 1\n#define TORCH_VERSION_MINOR 13\n#define TORCH_VERSION_PATCH 1\n")
		}, "is LibTorch 1.13.1, want 2.1 or newer"},
		{"a library that nothing provides", func(t *testing.T, m *machine) {
			lib := filepath.Join(m.torch, "lib")
			command(t, nil, "g++", "-shared", "-o", filepath.Join(lib, "libgone.so"), "-Wl,-soname,libgone.so", "-x", "c++",
				os.DevNull)
			command(t, nil, "g++", "-shared", "-o", filepath.Join(lib, "libtorch_cpu.so"), "-Wl,--no-as-needed", "-L"+lib,
				"-lgone")
			require.NoError(t, os.Remove(filepath.Join(lib, "libgone.so")))
		}, "lacks libgone.so (needed by libtorch_cpu.so)"},
		{
			"a comma in the home", func(t *testing.T, m *machine) { m.home = filepath.Join(t.TempDir(), "a,b") },
			"set RETORT_HOME to another folder",
		},
		{"an error of the compiler elsewhere", func(t *testing.T, m *machine) {
			write(t, filepath.Join(m.torch, "include/torch/types.h"), "#error broken header\n")
		}, "broken header"},
		{"no go command", func(t *testing.T, _ *machine) { t.Setenv("PATH", t.TempDir()) }, "https://go.dev/dl"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			c.mess(t, m)
			_, err := install(t.Context(), m.home, []string{"atg_twice"}, m.progress)
			require.ErrorContains(t, err, c.want)
			require.NoFileExists(t, manifest(m.home))
		})
	}
}

func TestAChangedLibTorchIsNoticed(t *testing.T) {
	m := newMachine(t)
	i := m.install([]string{"atg_twice"})
	write(t, filepath.Join(m.torch, "include/torch/headeronly/version.h"),
		"#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 16\n#define TORCH_VERSION_PATCH 0\n")
	require.ErrorContains(t, i.check(), `was 2.15.0 and is 2.16.0 now: run "retort libtorch install" again`)
}

func TestDoctorOfAMachineWithoutInstallation(t *testing.T) {
	newMachine(t)
	var out bytes.Buffer
	require.ErrorIs(t, Doctor(t.Context(), filepath.Join(t.TempDir(), "not", "there"), &out), ErrUnhealthy)
	require.Regexp(t, `(?m)^go +ok +go`, out.String())
	require.Regexp(t, `(?m)^c\+\+ +ok `, out.String())
	require.Regexp(t, `(?m)^installation +FAILS .*run "retort libtorch install"`, out.String())
}

// machine is a machine with the small LibTorch and a module that uses the small gotch, which is the working folder.
type machine struct {
	t                  *testing.T
	home, torch, gotch string
	progress           *recorder
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("LibTorch is supported on Linux only")
	}
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("needs g++: install it to run this test")
	}
	dir := t.TempDir()
	m := &machine{
		t: t, home: filepath.Join(dir, "home 'of' me"), torch: filepath.Join(dir, "torch"), gotch: filepath.Join(dir, "gotch"),
		progress: &recorder{},
	}
	for _, name := range []string{"CGO_CXXFLAGS", "CGO_LDFLAGS", "GOFLAGS"} {
		t.Setenv(name, "")
	}
	t.Setenv("CXX", "g++")
	t.Setenv("CGO_ENABLED", "1")
	t.Setenv("GOWORK", "off")
	t.Setenv("LIBTORCH", m.torch)
	require.NoError(t, os.CopyFS(m.gotch, os.DirFS("testdata/gotch")))
	require.NoError(t, os.CopyFS(m.torch, os.DirFS("testdata/torch")))
	require.NoError(t, os.Mkdir(filepath.Join(m.torch, "lib"), 0o755))
	for _, name := range []string{"torch_cpu", "c10"} {
		command(t, nil, "g++", "-shared", "-fPIC", "-o", filepath.Join(m.torch, "lib", "lib"+name+".so"),
			filepath.Join(m.torch, name+".cpp"))
	}
	t.Chdir(writeModule(t, map[string]string{
		"go.mod": "module example.com/user\n\ngo 1.24\n\nrequire " + gotchModule + " " + gotchVersion +
			"\n\nreplace " + gotchModule + " => " + m.gotch + "\n",
		"main.go": string(read(t, "testdata/user/main.go.txt")),
	}))
	return m
}

func (m *machine) install(ops []string) *Installation {
	m.t.Helper()
	i, err := install(m.t.Context(), m.home, ops, m.progress)
	require.NoError(m.t, err)
	return i
}

func (m *machine) variables(i *Installation) []Variable {
	m.t.Helper()
	v, err := i.env(m.t.Context(), m.home)
	require.NoError(m.t, err)
	return v
}

// environment lets sh evaluate the printed lines, as a user does.
func (m *machine) environment(i *Installation) []string {
	m.t.Helper()
	var lines, names []string
	for _, v := range m.variables(i) {
		lines = append(lines, v.Shell())
		names = append(names, v.Name)
	}
	script := strings.Join(lines, "\n") + "\nfor n in " + strings.Join(names, " ") + `; do eval "echo $n=\$$n"; done`
	return strings.Split(strings.TrimSpace(command(m.t, nil, "sh", "-c", script)), "\n")
}

func (m *machine) goRun(i *Installation) []string {
	m.t.Helper()
	return strings.Split(strings.TrimSuffix(command(m.t, m.environment(i), "go", "run", "."), "\n"), "\n")
}

// recorder keeps what is written to it.
type recorder struct {
	bytes.Buffer
	onWrite func(line string)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.onWrite != nil {
		r.onWrite(string(p))
	}
	return r.Buffer.Write(p)
}

func writeModule(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

// command runs a command and returns what it prints, on stderr too.
func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}
