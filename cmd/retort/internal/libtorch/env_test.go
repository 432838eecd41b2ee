package libtorch

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddTagKeepsTheUsersFlags(t *testing.T) {
	for _, c := range []struct{ have, want string }{
		{"", "-tags=libtorch"},
		{"-mod=mod", "-mod=mod -tags=libtorch"},
		{"-tags=libtorch", "-tags=libtorch"},
		{"-tags=a,b -mod=mod", "-tags=a,b,libtorch -mod=mod"},
		{"--tags=a", "-tags=a,libtorch"},
		{"'-tags=a b'", "-tags=a,b,libtorch"},
		{"-tags=", "-tags=libtorch"},
		{"-tags=a -tags=b", "-tags=a -tags=b,libtorch"},
		{"'-ldflags=-s -w'", "'-ldflags=-s -w' -tags=libtorch"},
	} {
		got, err := addTag(c.have, "libtorch")
		require.NoError(t, err)
		require.Equal(t, c.want, got, c.have)
	}
	_, err := addTag("'-tags=a", "libtorch")
	require.ErrorContains(t, err, "GOFLAGS: unclosed quote")
}

func TestOurLinkFlagsComeFirst(t *testing.T) {
	i := &Installation{
		Build: "/home/me/libtorch/build-2", LibTorch: LibTorch{Lib: "/python/torch/lib", LinkDirs: []string{"/python/cu"}},
	}
	got, err := mergeLDFlags(i.ldFlags(),
		"-O2 -g -L/home/me/libtorch/build-1/stubs -Wl,-rpath,/home/me/libtorch/2.15.0-cpu/lib -lmine", "/home/me")
	require.NoError(t, err)
	require.Equal(
		t,
		"-L/home/me/libtorch/build-2/stubs -L/python/torch/lib -Wl,-rpath,/python/torch/lib -Wl,-rpath-link,/python/cu -O2 -g -lmine",
		got,
	)
}

func TestACUDABuildLinksTheRealLibraries(t *testing.T) {
	i := &Installation{Build: "/b", LibTorch: LibTorch{Lib: "/t", CUDA: true}}
	require.Subset(t, i.ldFlags(), []string{"-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda"})
	require.NotContains(t, stubArchives(true), "torch_cuda")
	require.Contains(t, stubArchives(false), "torch_cuda")
}

func TestVersionsAreComparedByNumber(t *testing.T) {
	for version, want := range map[string]bool{
		"2.1": true, "2.1.0": true, "2.15.0": true, "3.0": true, "2.0.1": false, "1.13.1": false, "2": false, "": false, "x.y": false,
	} {
		require.Equal(t, want, atLeast(version, oldest), version)
	}
}

func TestUnsupportedSystemsAreNamed(t *testing.T) {
	require.NoError(t, checkPlatform("linux"))
	require.ErrorContains(t, checkPlatform("plan9"), "LibTorch on plan9 is not supported")
}

func TestGoQuoteAndGoSplitAgree(t *testing.T) {
	words := []string{"-L/a b", "-D\"x\"", "it's", "plain", ""}
	joined, err := goJoin(words)
	require.NoError(t, err)
	got, err := goSplit(joined)
	require.NoError(t, err)
	require.Equal(t, words, got)
	_, err = goJoin([]string{`both ' and "`})
	require.Error(t, err)
}

func TestShellQuoteIsOneWordForSh(t *testing.T) {
	for _, s := range []string{"", "a b", "it's", `$HOME "x" \ ` + "`date`", "a\nb"} {
		v := Variable{"RETORT_QUOTED", s}
		out, err := exec.Command("sh", "-c", v.Shell()+`; printf %s "$RETORT_QUOTED"`).Output()
		if err != nil {
			t.Skipf("no sh: %v", err)
		}
		require.Equal(t, s, string(out))
	}
}

func FuzzGoSplit(f *testing.F) {
	for _, s := range []string{"", "-O2 -g", "'-L/a b' \"c'd\"", "'", "a'b'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, err := goSplit(s)
		if err != nil {
			return
		}
		joined, err := goJoin(words)
		if err != nil {
			return
		}
		again, err := goSplit(joined)
		require.NoError(t, err)
		require.Equal(t, words, again)
	})
}
