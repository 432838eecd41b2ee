// Command genops lists the C functions of gotch that Retort's source calls in ops.txt. "go generate" runs it in the
// folder of package libtorch.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/cmd/retort/internal/libtorch"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "genops:", err)
		os.Exit(1)
	}
}

func run() error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sugarme/gotch").Output()
	if err != nil {
		return fmt.Errorf("find gotch: %w", err)
	}
	root, libtch := filepath.Join("..", "..", "..", ".."), filepath.Join(strings.TrimSpace(string(out)), "libtch")
	ops, err := libtorch.UsedOps(root, libtch)
	if err != nil {
		return err
	}
	return os.WriteFile("ops.txt", []byte(strings.Join(ops, "\n")+"\n"), 0o644)
}
