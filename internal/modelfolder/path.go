package modelfolder

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Join returns the path of name, which a file of the model folder dir gives; "" is dir. A name that leads out of the
// folder is an error: an absolute path, a path with a drive, or one with the element "..", with either kind of slash. A
// link inside the folder may lead out of it, since the links of a Hugging Face cache do.
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
