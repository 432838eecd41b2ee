package libtorch

import (
	"os"
	"path/filepath"
	"strings"
)

// Loaded returns the version of the LibTorch that this process has loaded, or its folder where that does not say; "" for
// none.
func Loaded() string {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return ""
	}
	for _, line := range strings.Split(string(maps), "\n") {
		_, path, _ := strings.Cut(line, "/")
		if filepath.Base(path) != "libtorch_cpu.so" {
			continue
		}
		lib := filepath.Dir("/" + path)
		version, err := readVersion(filepath.Join(lib, "..", "include"))
		if err != nil {
			return lib
		}
		return version
	}
	return ""
}
