package libtorch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// build describes one compiled copy of the wrappers.
type build struct {
	torch    *LibTorch
	gotch    string // gotch's folder
	sources  sources
	ops      []string // nil: all
	compiler []string
}

// hash identifies all inputs of the build.
func (b *build) hash() string {
	h := sha256.New()
	fmt.Fprintf(h, "%+v\n%q\n%q\n%q\n%s", *b.torch, b.ops, b.compiler, b.gotch, wrapperScript)
	fmt.Fprint(h, errorFunctions, leanHeaders, b.flags("BUILD"))
	fmt.Fprint(h, b.sources.api, b.sources.generated, b.sources.header)
	fmt.Fprint(h, glooCompile, glooLink, glooJoin)
	// Reading embedded files cannot fail.
	_ = writeGloo(func(name string, text []byte) error {
		_, err := fmt.Fprintf(h, "%s %q", name, text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func (b *build) keep(name string) bool {
	if b.ops == nil {
		return true
	}
	_, ok := slices.BinarySearch(b.ops, name)
	return ok
}

func (b *build) flags(dir string) []string {
	abi := "0"
	if b.torch.CXX11ABI {
		abi = "1"
	}
	return []string{
		"-std=" + b.torch.Standard, "-O1", "-fPIC", "-pthread", "-w", "-D_GLIBCXX_USE_CXX11_ABI=" + abi,
		"-I" + dir, "-I" + b.torch.Include, "-I" + filepath.Join(b.torch.Include, "torch", "csrc", "api", "include"),
		"-I" + filepath.Join(b.gotch, "libtch"),
	}
}

// make compiles the wrappers into dir and returns the operations that the compiler rejected. It creates dir only if it
// succeeds.
func (b *build) make(ctx context.Context, dir string, progress io.Writer) (rejected []string, err error) {
	temp, err := os.MkdirTemp(filepath.Dir(dir), temporary)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	if b.ops == nil {
		fmt.Fprintln(progress, "find wrappers that the compiler rejects (one minute)")
		if rejected, err = b.compile(ctx, temp, nil, "-fsyntax-only"); err != nil {
			return nil, err
		}
		fmt.Fprintf(progress, "compile all wrappers except %d (some minutes)\n", len(rejected))
	} else {
		fmt.Fprintf(progress, "compile %d wrappers (up to a minute)\n", len(b.ops))
	}
	again, err := b.compile(ctx, temp, rejected, "-c", "-o", filepath.Join(temp, "torch_api.o"))
	if err != nil {
		return nil, err
	}
	if len(again) > len(rejected) {
		rejected = again
		left, err := b.compile(ctx, temp, rejected, "-c", "-o", filepath.Join(temp, "torch_api.o"))
		if err != nil {
			return nil, err
		}
		if len(left) > len(rejected) {
			return nil, fmt.Errorf("the compiler rejects %q in a second pass", left[len(rejected):])
		}
	}
	if err := b.addGloo(ctx, temp, progress); err != nil {
		return nil, err
	}
	if err := b.writeRest(temp, dir, rejected); err != nil {
		return nil, err
	}
	return rejected, os.Rename(temp, dir)
}

// compile writes the trimmed sources to dir and compiles them. It returns rejected and the further operations that the
// compiler rejects, or an error that belongs to no operation.
func (b *build) compile(ctx context.Context, dir string, rejected []string, args ...string) ([]string, error) {
	t, err := b.sources.trimmed(b.keep, rejected)
	if err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"torch_api.cpp": t.api, "torch_api_generated.cpp.h": t.generated, "torch_api.h": t.header,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	args = slices.Concat(b.compiler[1:], b.flags(dir), args, []string{filepath.Join(dir, "torch_api.cpp")})
	cmd := exec.CommandContext(ctx, b.compiler[0], args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // the driver then ends its compiler too
	cmd.WaitDelay = time.Second
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	var output bytes.Buffer
	cmd.Stderr = &output
	if err = cmd.Run(); err == nil {
		return rejected, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	blamed, blameErr := t.blame(output.String())
	if blameErr != nil || len(blamed) == 0 {
		return nil, errors.Join(fmt.Errorf("compile gotch's wrappers against LibTorch %s: %w\n%s", b.torch.Version, err,
			firstLines(output.String(), 12)), blameErr)
	}
	return slices.Concat(rejected, blamed), nil
}

// diagnostic matches the lines of g++ and clang++ that locate an error in the two wrapper files.
var diagnostic = regexp.MustCompile(`(?m)^(?:.*/)?(torch_api\.cpp|torch_api_generated\.cpp\.h):(\d+):` +
	`(?:\d+:)? +(?:error|required from here)`)

// blame returns the operations in the compiler's errors, sorted.
func (s sources) blame(output string) ([]string, error) {
	api, err := functions(s.api)
	if err != nil {
		return nil, err
	}
	generated, err := functions(s.generated)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range diagnostic.FindAllStringSubmatch(output, -1) {
		in := api
		if m[1] == "torch_api_generated.cpp.h" {
			in = generated
		}
		line, err := strconv.Atoi(m[2])
		if err != nil {
			return nil, err
		}
		if name := operationAt(in, line); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// writeRest writes the files beside the object: gotch's file for comparison, the stub archives, and the CXX wrapper,
// which refers to the folder final.
func (b *build) writeRest(dir, final string, rejected []string) error {
	if err := os.WriteFile(filepath.Join(dir, "original.cpp"), []byte(b.sources.api), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "rejected.txt"), []byte(strings.Join(rejected, "\n")), 0o644); err != nil {
		return err
	}
	stubs := filepath.Join(dir, "stubs")
	if err := os.Mkdir(stubs, 0o755); err != nil {
		return err
	}
	for _, name := range stubArchives(b.torch.CUDA) {
		if err := os.WriteFile(filepath.Join(stubs, "lib"+name+".a"), []byte("!<arch>\n"), 0o644); err != nil {
			return err
		}
	}
	quoted := make([]string, len(b.compiler))
	for i, word := range b.compiler {
		quoted[i] = shellQuote(word)
	}
	script := strings.NewReplacer("@BUILD@", shellQuote(final), "@COMPILER@", strings.Join(quoted, " ")).
		Replace(wrapperScript)
	return os.WriteFile(filepath.Join(dir, "cxx"), []byte(script), 0o755)
}

// stubArchives names libraries in gotch's link flags that a build does not need. Empty archives replace them.
// libtorch.so is among them, because it only loads the CUDA libraries.
func stubArchives(cuda bool) []string {
	names := []string{
		"cuda", "cudart", "cublas", "cudnn", "caffe2_nvrtc", "nvrtc-builtins", "nvrtc", "nvToolsExt", "torch",
	}
	if cuda {
		return names
	}
	return append(names, "c10_cuda", "torch_cuda")
}

// wrapperScript replaces the C++ compiler in Go's builds.
const wrapperScript = `#!/bin/sh
# Written by "retort libtorch install". It is the C++ compiler below, but that gotch's torch_api.cpp is not compiled:
# the object that was compiled at the installation takes its place.
build=@BUILD@
source= output= previous= compiles=
for word in "$@"; do
  case $word in
  -c) compiles=yes ;;
  torch_api.cpp | */torch_api.cpp) [ "$previous" = -o ] || source=$word ;;
  esac
  [ "$previous" = -o ] && output=$word
  previous=$word
done
if [ -n "$compiles" ] && [ -n "$source" ] && [ -n "$output" ] && [ -f "$(dirname "$source")/torch_api_generated.cpp.h" ]; then
  if cmp -s "$source" "$build/original.cpp"; then
    exec cp "$build/torch_api.o" "$output"
  fi
  echo "$PWD: this is not the gotch that LibTorch was installed for: run \"retort libtorch install\" in this module" >&2
  exit 1
fi
exec @COMPILER@ "$@"
`

func firstLines(s string, n int) string {
	lines := strings.SplitN(strings.TrimSpace(s), "\n", n+1)
	return strings.Join(lines[:min(n, len(lines))], "\n")
}
