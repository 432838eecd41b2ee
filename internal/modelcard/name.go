package modelcard

import (
	"path/filepath"
	"strings"
)

// File is a model card's name in the folder of its model.
const File = "README.md"

// NameOf returns the name of a model folder: ORGANISATION/NAME for .../models--ORGANISATION--NAME/snapshots/REVISION.
func NameOf(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if absolute, err := filepath.Abs(dir); err == nil {
		dir = absolute
	}
	snapshots := filepath.Dir(dir)
	cached, ok := strings.CutPrefix(filepath.Base(filepath.Dir(snapshots)), "models--")
	if ok && filepath.Base(snapshots) == "snapshots" {
		return strings.Replace(cached, "--", "/", 1)
	}
	return filepath.Base(dir)
}
