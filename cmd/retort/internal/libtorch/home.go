package libtorch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
)

// Home returns the folder for installations: $RETORT_HOME, or retort in the user's cache folder.
func Home() (string, error) {
	if dir := os.Getenv("RETORT_HOME"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: set RETORT_HOME to a folder of your choice", err)
	}
	return filepath.Join(dir, "retort"), nil
}

// Installation is the result of Install, recorded in libtorch/installed.json of the home folder.
type Installation struct {
	LibTorch LibTorch `json:"libtorch"`
	Build    string   `json:"build"`    // the folder with CXX, stubs and the compiled wrappers
	Ops      string   `json:"ops"`      // hash of the operation list, or allOps
	Gotch    string   `json:"gotch"`    // gotch's folder
	Compiler []string `json:"compiler"` // the C++ compiler behind CXX, with its arguments
	Rejected []string `json:"rejected"` // functions of the list that the compiler rejected
}

// CXX returns the path of the compiler wrapper.
func (i *Installation) CXX() string { return filepath.Join(i.Build, "cxx") }

// ErrNotInstalled means that there is no installation.
var ErrNotInstalled = errors.New(`LibTorch is not installed: run "retort libtorch install"`)

// Installed returns the installation in home, or ErrNotInstalled.
func Installed(home string) (*Installation, error) {
	path := manifest(home)
	data, err := regular.ReadFile(path, regular.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotInstalled
	}
	if err != nil {
		return nil, err
	}
	var i Installation
	if err := strictjson.Unmarshal(data, &i); err != nil {
		return nil, fmt.Errorf(`%s: %w: run "retort libtorch install" again`, path, err)
	}
	return &i, nil
}

// allOps replaces the hash of the operation list if all wrappers are compiled.
const allOps = "all"

// current returns the installation in home if it is complete and has all operations of this version of Retort.
func current(home string) (*Installation, error) {
	i, err := Installed(home)
	if err != nil {
		return nil, err
	}
	if i.Ops != allOps && i.Ops != opsHash(Ops()) {
		return nil, errors.New("the installation lacks operations that this version of Retort calls: " +
			`run "retort libtorch install" again`)
	}
	return i, i.check()
}

// check finds missing and changed files of the installation.
func (i *Installation) check() error {
	for _, name := range []string{"cxx", "torch_api.o", "original.cpp"} {
		if _, err := os.Stat(filepath.Join(i.Build, name)); err != nil {
			return fmt.Errorf(`the installation is incomplete: %w: run "retort libtorch install" again`, err)
		}
	}
	now, err := inspect(i.LibTorch.Lib, i.LibTorch.Include)
	if err != nil {
		return fmt.Errorf(`%w: run "retort libtorch install" again`, err)
	}
	if now.Version != i.LibTorch.Version {
		return fmt.Errorf(`LibTorch in %s was %s and is %s now: run "retort libtorch install" again`,
			i.LibTorch.Lib, i.LibTorch.Version, now.Version)
	}
	return nil
}

func (i *Installation) save(home string) error {
	return atomicfile.Write(manifest(home), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(i)
	})
}

func manifest(home string) string { return filepath.Join(home, "libtorch", "installed.json") }
