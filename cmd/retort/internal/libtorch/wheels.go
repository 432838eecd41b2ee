package libtorch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/cmd/retort/internal/artifact"
	"github.com/retort-ir/retort/cmd/retort/internal/pypi"
)

// pinned is the version of LibTorch that Install downloads. Its libtorch_cpu.so is linked against two small CUDA
// libraries that no CPU program calls. They come from NVIDIA's wheels for the same CUDA release.
const pinned = "2.15.0"

var manylinux = []string{
	"manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_25_x86_64", "manylinux_2_17_x86_64",
	"manylinux2014_x86_64",
}

var wheels = []pypi.Wheel{
	{
		Project: "torch", Version: pinned, Platforms: manylinux, Size: 539_172_785,
		SHA256: "6d8c86f4e33a9f12a58149bd9b0d64351632b8eb44479be8ff85e5389932dd79",
	},
	{
		Project: "nvidia-cuda-runtime", Version: "13.2.86", Platforms: manylinux, Size: 2_323_576,
		SHA256: "3498247680dfddce31bad102af7e3e26fc795342a3cac64722bb0fa95e7f60f0",
	},
	{
		Project: "nvidia-cuda-cupti", Version: "13.2.86", Platforms: manylinux, Size: 11_988_600,
		SHA256: "8fa29f15dd8336181f961764d9d95236fc6b931dd0c8fcf8cd70aab0c310b586",
	},
}

// spaceToDownload is the maximum disk space in bytes during the download: two copies of the torch wheel, one by pip,
// and later one copy and its unpacked files.
const spaceToDownload = 1_300_000_000

// download downloads the pinned wheels and unpacks the CPU libraries and headers. It creates dir only if it succeeds.
func download(ctx context.Context, dir string, progress io.Writer) (*LibTorch, error) {
	if platform() != "linux/amd64" {
		return nil, fmt.Errorf("no LibTorch is pinned for %s: run python3 -m pip install torch, or set LIBTORCH", platform())
	}
	if _, err := pypi.Python(ctx); err != nil {
		return nil, err
	}
	if err := checkSpace(filepath.Dir(dir), spaceToDownload); err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), temporary)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	whole := filepath.Join(temp, "whole")
	for _, w := range wheels {
		fmt.Fprintf(progress, "download %s %s (%d MB)\n", w.Project, w.Version, w.Size/1e6)
		file, err := pypi.Download(ctx, w, temp)
		if err != nil {
			return nil, err
		}
		if err := artifact.Unpack(ctx, file, whole, place); err != nil {
			return nil, err
		}
		if err := os.Remove(file); err != nil {
			return nil, err
		}
	}
	if _, err := use(ctx, whole, false); err != nil {
		return nil, fmt.Errorf("the downloaded LibTorch is unusable: %w", err)
	}
	if err := os.Rename(whole, dir); err != nil {
		return nil, err
	}
	return use(ctx, dir, false)
}

// place returns the path of a member of the wheels.
func place(member string) string {
	if rest, ok := strings.CutPrefix(member, "torch/include/"); ok {
		return "include/" + rest
	}
	name := path.Base(member)
	switch path.Dir(member) {
	case "torch/lib":
		if name == "libtorch_cpu.so" || name == "libc10.so" || name == "libgomp.so.1" {
			return "lib/" + name
		}
	case "nvidia/cu13/lib":
		if name == "libcudart.so.13" || name == "libcupti.so.13" {
			return "lib/" + name
		}
	case "torch-" + pinned + ".dist-info/licenses":
		return "licenses/" + name
	}
	return ""
}

// checkSpace fails if the disk of dir has less than need bytes free.
func checkSpace(dir string, need uint64) error {
	free, err := freeSpace(dir)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	if free < need {
		return fmt.Errorf("%s has %.1f GB free, want %.1f GB: free some space, or set RETORT_HOME to another disk",
			dir, float64(free)/1e9, float64(need)/1e9)
	}
	return nil
}
