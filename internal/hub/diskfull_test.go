//go:build linux

package hub

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/retort-ir/retort/internal/hub/hubtest"
)

func TestAFullDiskIsAnErrorAndTheDownloadGoesOn(t *testing.T) {
	repository := model()
	repository.Files["model.safetensors"] = strings.Repeat(weightsText, 10_000) // 200 kB
	hubtest.New(t, one(repository))
	cache := t.TempDir()
	if err := unix.Mount("tmpfs", cache, "tmpfs", 0, "size=160k"); err != nil {
		t.Skip("mount a file system of 160 kB:", err)
	}
	defer unix.Unmount(cache, 0)
	t.Setenv("HF_HUB_CACHE", cache)
	_, err := Resolve(t.Context(), "org/model", nil)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorContains(t, err, "download model.safetensors: ")
	require.ErrorContains(t, err, cache)

	require.NoError(t, unix.Mount("tmpfs", cache, "tmpfs", unix.MS_REMOUNT, "size=1m"))
	dir, err := Resolve(t.Context(), "org/model", nil)
	require.NoError(t, err)
	data, err := os.ReadFile(dir + "/model.safetensors")
	require.NoError(t, err)
	require.Len(t, data, 200_000)
}
