package filekind_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/filekind"
)

// lfsPointer is as Git LFS writes it: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
const lfsPointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0000000000000000000000000000000000000000000000000000000000000000\nsize 90868376\n"

func compressed(t testing.TB, text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, errors.Join(err, w.Close()))
	return b.Bytes()
}

func archived(t testing.TB) (asZip, asTar []byte) {
	var z, r bytes.Buffer
	zw := zip.NewWriter(&z)
	f, err := zw.Create("config.json")
	require.NoError(t, err)
	_, err = f.Write([]byte("{}"))
	require.NoError(t, errors.Join(err, zw.Close()))
	tw := tar.NewWriter(&r)
	require.NoError(t, tw.WriteHeader(&tar.Header{Name: "config.json", Size: 2, Mode: 0o644}))
	_, err = tw.Write([]byte("{}"))
	require.NoError(t, errors.Join(err, tw.Close()))
	return z.Bytes(), r.Bytes()
}

func TestKindsAreToldByTheFirstBytes(t *testing.T) {
	asZip, asTar := archived(t)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":           {nil, "empty"},
		"a Git LFS pointer": {[]byte(lfsPointer), "a Git LFS pointer, not the file itself"},
		"gzip":              {compressed(t, "{}"), "compressed with gzip"},
		"zip":               {asZip, "a ZIP archive, which PyTorch's .bin and .pt files are too"},
		"tar":               {asTar, "a tar archive"},
		"zstd":              {[]byte("\x28\xb5\x2f\xfd\x04\x00"), "compressed with zstd"},
		"xz":                {[]byte("\xfd7zXZ\x00\x00"), "compressed with xz"},
		"a pickle":          {[]byte("\x80\x02}q\x00."), "a Python pickle, as older versions of PyTorch write"},
		"a page":            {[]byte("\n<!doctype HTML><html>"), "a web page, not the file itself"},
		"an error of S3": {
			[]byte("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"),
			"an XML document, as servers answer with an error",
		},
		"UTF-16":             {[]byte("\xff\xfe{\x00}\x00"), "text in UTF-16"},
		"UTF-16, no mark":    {[]byte("{\x00\"\x00a\x00"), "text in UTF-16LE"},
		"UTF-32":             {[]byte("\xff\xfe\x00\x00{\x00\x00\x00"), "text in UTF-32"},
		"Parquet":            {[]byte("PAR1\x15\x04"), "a Parquet file"},
		"lz4":                {[]byte("\x04\x22\x4d\x18\x00"), "compressed with lz4"},
		"zeros":              {make([]byte, 4096), "all zero bytes"},
		"JSON":               {[]byte("\ufeff {\"a\": 1}"), "JSON text"},
		"text":               {[]byte("[PAD] is no JSON, but it begins like some")[1:], "text"},
		"text cut in a rune": {[]byte(strings.Repeat("é", 400))[1:][1:], "text"},
		"safetensors":        {[]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"), "a safetensors file"},
		"GGUF":               {[]byte("GGUF\x03\x00\x00\x00"), "a GGUF file"},
		"something else":     {[]byte("\x01\x02\x03\x04"), ""},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, filekind.Of(c.file).Name) })
	}
}

func TestAReadersErrorGivesWayToTheKind(t *testing.T) {
	wrong := errors.New("a mistake on line 1")
	path := filepath.Join(t.TempDir(), "model.safetensors")
	for name, c := range map[string]struct{ file, want string }{
		"another kind":  {lfsPointer, path + `: the file is a Git LFS pointer, not the file itself; run "git lfs pull" in its repository, or download the file again`},
		"the right one": {"\x02\x00\x00\x00\x00\x00\x00\x00{}", "a mistake on line 1"},
		"unknown":       {"\x01\x02", "a mistake on line 1"},
		"text":          {"hello", "a mistake on line 1 (the file is text; download or copy the file again)"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, []byte(c.file), 0o644))
			err := filekind.ExplainFile(wrong, path, filekind.Safetensors)
			require.EqualError(t, err, c.want)
			require.ErrorIs(t, err, wrong)
			require.NoError(t, filekind.ExplainFile(nil, path))
		})
	}
	require.Equal(t, wrong, filekind.ExplainFile(wrong, t.TempDir()), "a folder is not looked into")
	require.Equal(t, wrong, filekind.ExplainFile(wrong, path+".none"))
}

func TestTextIsWhateverIsNothingElse(t *testing.T) {
	for _, text := range []string{"[PAD]\n[UNK]\n", `{"a": 1}`, "\xff is no UTF-8"} {
		require.NoError(t, filekind.CheckText([]byte(text)))
	}
	for want, text := range map[string]string{
		"Git LFS pointer": lfsPointer, "gzip": string(compressed(t, "x")),
		"empty": "",
	} {
		require.ErrorContains(t, filekind.CheckText([]byte(text)), want)
	}
}

func TestDataHasItsOwnRemedies(t *testing.T) {
	asZip, asTar := archived(t)
	for want, file := range map[string][]byte{
		`the file is a Git LFS pointer, not the file itself: run "git lfs pull" in its repository`: []byte(lfsPointer),
		"ZIP archive, which PyTorch's .bin and .pt files are too: unpack it first; gzip and zstd":  asZip,
		"a tar archive: unpack it (tar -xf) and name the file in it":                               asTar,
		"a Parquet file: write it as text first":                                                   []byte("PAR1\x15\x04"),
		"text in UTF-16: write it in UTF-8 (iconv -f UTF-16 -t UTF-8 FILE)":                        []byte("\xff\xfe{\x00"),
		"text in UTF-16BE: write it in UTF-8 (iconv -f UTF-16BE -t UTF-8 FILE)":                    []byte("\x00{\x00}"),
	} {
		require.ErrorContains(t, filekind.CheckData(file), want)
	}
	for _, left := range []string{"", "{}", "<html>", "q Q0 d 1 .5 tag", "\xff is no UTF-8"} {
		require.NoError(t, filekind.CheckData([]byte(left)))
	}
}

func FuzzOf(f *testing.F) {
	asZip, asTar := archived(f)
	for _, seed := range [][]byte{
		nil, []byte(lfsPointer), compressed(f, "x"), asZip, asTar, []byte("<html>"),
		[]byte(strings.Repeat("é", 300)),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		kind := filekind.Of(file)
		require.Equal(t, kind, filekind.Of(file[:min(len(file), 512)]))
		require.Equal(t, kind.Name == "", kind.Remedy == "")
	})
}
