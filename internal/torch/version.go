package torch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// LoadedVersion returns the version of LibTorch in this process, LibTorch's folder if its headers give no version,
// and "" if LibTorch is not loaded.
func LoadedVersion() string {
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
		version, err := HeaderVersion(filepath.Join(lib, "..", "include"))
		if err != nil {
			return lib
		}
		return version
	}
	return ""
}

var versionPart = regexp.MustCompile(`(?m)^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) (\d+)`)

// HeaderVersion reads LibTorch's version, such as 2.15.0, from the headers in the folder include.
func HeaderVersion(include string) (string, error) {
	var found string
	for _, name := range []string{"torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"} {
		data, err := os.ReadFile(filepath.Join(include, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		parts := map[string]string{}
		for _, m := range versionPart.FindAllStringSubmatch(string(data), -1) {
			parts[m[1]] = m[2]
		}
		if len(parts) == 3 {
			return parts["MAJOR"] + "." + parts["MINOR"] + "." + parts["PATCH"], nil
		}
		found = name
	}
	if found != "" {
		return "", fmt.Errorf("%s in %s gives no version", found, include)
	}
	return "", fmt.Errorf("%s holds no LibTorch headers", include)
}
