package modelfolder

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Join returns the path of a file or folder that a file of the model folder dir names, "" being dir. A name that leaves
// the folder is an error: one with the element "..", an absolute one, one with a drive. Both kinds of slashes count. A
// link inside the folder may lead out of it, as those of a Hugging Face cache do.
func Join(dir, name string) (string, error) {
	if name == "" {
		return dir, nil
	}
	elements := strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' })
	if !filepath.IsLocal(name) || strings.HasPrefix(name, `\`) || strings.ContainsAny(name, "\x00:") ||
		slices.Contains(elements, "..") {
		return "", fmt.Errorf("path %q leads out of the model folder", name)
	}
	return filepath.Join(dir, filepath.FromSlash(name)), nil
}
