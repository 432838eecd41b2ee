package libtorch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/internal/strictjson"
)

const (
	gotchModule = "github.com/sugarme/gotch"
	// gotchVersion is the one that Retort itself asks for. A module that asks for none gets it.
	gotchVersion = "v0.9.1"
)

// gotch returns the folder of the gotch that the module in the working folder builds with, or of the pinned one when
// there is no such module, and downloads it when it is not in the module cache.
func gotch(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("go"); err != nil {
		return "", errors.New("no go command: install Go (https://go.dev/dl)")
	}
	version := gotchVersion
	if out, err := goCommand(ctx, "list", "-m", "-f", "{{.Version}}\t{{.Dir}}", gotchModule); err == nil {
		v, dir, _ := strings.Cut(strings.TrimSpace(string(out)), "\t")
		if dir != "" {
			return checkGotch(dir)
		}
		if v != "" {
			version = v
		}
	}
	out, err := goCommand(ctx, "mod", "download", "-json", gotchModule+"@"+version)
	var module struct{ Dir, Error string }
	if jsonErr := strictjson.Unmarshal(out, &module); jsonErr == nil && module.Error != "" {
		return "", fmt.Errorf("download %s: %s", gotchModule, module.Error)
	}
	if err != nil {
		return "", fmt.Errorf("download %s: %w", gotchModule, err)
	}
	return checkGotch(module.Dir)
}

func checkGotch(dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, "libtch", "torch_api.cpp")); err != nil {
		return "", fmt.Errorf("%s is not gotch as Retort knows it: %w", dir, err)
	}
	return dir, nil
}

// goCommand runs the go command and returns what it prints; its error holds what it says.
func goCommand(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(exit.Stderr)))
	}
	return out, err
}

func readSources(gotchDir string) (s sources, err error) {
	for name, to := range map[string]*string{
		"torch_api.cpp": &s.api, "torch_api_generated.cpp.h": &s.generated, "torch_api.h": &s.header,
	} {
		data, err := os.ReadFile(filepath.Join(gotchDir, "libtch", name))
		if err != nil {
			return sources{}, err
		}
		*to = string(data)
	}
	return s, nil
}
