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
	// gotchVersion is the version in Retort's go.mod. A module that requires no gotch gets this version.
	gotchVersion = "v0.9.1"
)

// gotch returns the folder of gotch for the module in the working folder, or of the pinned version without a module. It
// downloads gotch if the module cache lacks it.
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
		return "", fmt.Errorf("%s is not a supported gotch: %w", dir, err)
	}
	return dir, nil
}

// goCommand returns the output of the go command. Its error contains the standard error of the go command.
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
