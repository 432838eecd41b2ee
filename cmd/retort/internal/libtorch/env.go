package libtorch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/strictjson"
)

// Variable is an environment variable.
type Variable struct{ Name, Value string }

// Shell returns the line that sets the variable in sh.
func (v Variable) Shell() string { return "export " + v.Name + "=" + shellQuote(v.Value) }

// Env returns the variables that make the go command build with LibTorch, in any module. It keeps the values in the
// user's CGO_LDFLAGS and GOFLAGS. Setting the variables twice changes nothing.
func Env(ctx context.Context, home string) ([]Variable, error) {
	i, err := current(home)
	if err != nil {
		return nil, err
	}
	return i.env(ctx, home)
}

func (i *Installation) env(ctx context.Context, home string) ([]Variable, error) {
	user, err := goEnv(ctx, "CGO_LDFLAGS", "GOFLAGS")
	if err != nil {
		return nil, err
	}
	cxx, err := goQuote(i.CXX())
	if err != nil {
		return nil, err
	}
	ldflags, err := mergeLDFlags(i.ldFlags(), user["CGO_LDFLAGS"], home)
	if err != nil {
		return nil, err
	}
	goflags, err := addTag(user["GOFLAGS"], "libtorch")
	if err != nil {
		return nil, err
	}
	return []Variable{{"CGO_ENABLED", "1"}, {"CXX", cxx}, {"CGO_LDFLAGS", ldflags}, {"GOFLAGS", goflags}}, nil
}

// ldFlags returns the flags that go before gotch's flags. The stubs are first, so that the linker finds them first.
func (i *Installation) ldFlags() []string {
	flags := []string{"-L" + filepath.Join(i.Build, "stubs"), "-L" + i.LibTorch.Lib, "-Wl,-rpath," + i.LibTorch.Lib}
	for _, dir := range i.LibTorch.LinkDirs {
		flags = append(flags, "-Wl,-rpath-link,"+dir)
	}
	if i.LibTorch.CUDA { // no program refers to symbols of the two libraries: they register themselves when loaded
		flags = append(flags, "-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda", "-Wl,--as-needed")
	}
	return flags
}

// mergeLDFlags puts our flags before the user's flags, and removes flags of this or an earlier installation from them.
func mergeLDFlags(ours []string, user, home string) (string, error) {
	words, err := goSplit(user)
	if err != nil {
		return "", fmt.Errorf("CGO_LDFLAGS: %w", err)
	}
	words = slices.DeleteFunc(words, func(w string) bool {
		path := strings.TrimPrefix(strings.TrimPrefix(w, "-L"), "-Wl,-rpath,")
		return slices.Contains(ours, w) || isOurs(home, path)
	})
	return goJoin(slices.Concat(ours, words))
}

// addTag adds a build tag to a value of GOFLAGS. The go command reads only the last -tags.
func addTag(goflags, tag string) (string, error) {
	words, err := goSplit(goflags)
	if err != nil {
		return "", fmt.Errorf("GOFLAGS: %w", err)
	}
	for n, w := range slices.Backward(words) {
		name, value, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		if name != "tags" {
			continue
		}
		tags := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		if !slices.Contains(tags, tag) {
			words[n] = "-tags=" + strings.Join(append(tags, tag), ",")
		}
		return goJoin(words)
	}
	return goJoin(append(words, "-tags="+tag))
}

func opsHash(ops []string) string {
	if ops == nil {
		return allOps
	}
	sum := sha256.Sum256([]byte(strings.Join(ops, "\n")))
	return hex.EncodeToString(sum[:8])
}

func goEnv(ctx context.Context, names ...string) (map[string]string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return nil, errors.New("no go command: install Go (https://go.dev/dl)")
	}
	out, err := goCommand(ctx, append([]string{"env", "-json"}, names...)...)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	if err := strictjson.Unmarshal(out, &env); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	return env, nil
}
