package modelfolder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestANameStaysInsideTheFolder(t *testing.T) {
	for name, want := range map[string]string{
		"": "dir", "1_Pooling": "dir/1_Pooling", "a/b": "dir/a/b", ".": "dir", "./a": "dir/a", "..a": "dir/..a",
		"a..": "dir/a..",
	} {
		got, err := Join("dir", name)
		require.NoError(t, err, name)
		require.Equal(t, filepath.FromSlash(want), got)
	}
	for _, name := range []string{
		"..", "../a", "a/..", "a/../b", "a/../../b", "/a", "/", `..\a`, `a\..\b`, `\a`, `C:\a`, "C:a", "a\x00b", "a/./../b",
	} {
		_, err := Join("dir", name)
		require.ErrorContains(t, err, "leads out of the model folder", "%q", name)
	}
}

func FuzzANameStaysInsideTheFolder(f *testing.F) {
	for _, name := range []string{"", "a", "../a", "a/../b", `a\..\b`, "/a", "a/./b", "....//"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := Join("dir", name)
		if err != nil {
			return
		}
		relative, err := filepath.Rel("dir", got)
		require.NoError(t, err)
		require.False(t, relative == ".." || strings.HasPrefix(relative, ".."+string(filepath.Separator)), "%q is %q", name,
			got)
	})
}

func TestSchemaSaysWhatBecomesOfEachKey(t *testing.T) {
	closed := Schema{
		Read: []string{"a"}, Harmless: []string{"b"},
		Refused: []Refusal{{Key: "c", OK: []string{`"x"`, `{"p":1,"q":[2]}`}, Remedy: "set x"}},
	}
	open := closed
	open.Open = true
	advised := closed
	advised.Unknown = "set it elsewhere"
	strict := Schema{Refused: []Refusal{{Key: "c", OK: []string{"true"}, NotNull: true, Remedy: "set true"}}}
	for text, c := range map[string]struct {
		schema  Schema
		unknown []string
		err     string
	}{
		`{"c":null}`:                {strict, nil, "file: c is null, which is not supported; set true"},
		`{"c":true}`:                {strict, nil, ""},
		`{"a":1,"b":2,"c":null}`:    {closed, nil, ""},
		`{"c":"x"}`:                 {closed, nil, ""},
		`{"c": {"q": [2], "p": 1}}`: {closed, nil, ""},
		`{"c":"\u0078"}`:            {closed, nil, ""},
		`{"c":"y"}`:                 {closed, nil, `file: c is "y", which is not supported; set x`},
		`{"c":["<&>"]}`:             {closed, nil, `file: c is ["<&>"], which is not supported; set x`},
		`{"d":1}`:                   {closed, nil, "file: d is not supported here; remove it if it changes nothing"},
		`{"D":1,"d":null}`:          {open, []string{"D", "d"}, ""},
		`{"d":1,"c":2}`:             {open, nil, "file: c is 2, which is not supported; set x"},
		`{"A":1}`:                   {advised, nil, "file: A is not supported here; set it elsewhere"},
		`{"c":"` + strings.Repeat("é", 99) + `"}`: {
			closed, nil, `file: c is "` + strings.Repeat("é", 49) + `..., which is not supported; set x`,
		},
	} {
		s, err := Parse("file", []byte(text))
		require.NoError(t, err)
		unknown, err := c.schema.Check(s)
		if c.err != "" {
			require.EqualError(t, err, c.err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, c.unknown, unknown, text)
	}
}

func TestSettingsNameFileAndKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	s, err := ReadOptional(path)
	require.NoError(t, err)
	require.Zero(t, s.Len())
	_, err = Read(path)
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.WriteFile(path, []byte("\ufeff{\"n\": \"x\", \"o\": {\"k\": 1}, \"z\": null}"), 0o644))
	s, err = Read(path)
	require.NoError(t, err)
	require.Equal(t, []string{"n", "o", "z"}, s.Keys())
	require.True(t, s.Has("z"))
	require.False(t, s.IsSet("z"))
	var n int
	_, err = s.Get("n", &n)
	require.ErrorContains(t, err, path+": n: a string where an integer is wanted")
	isSet, err := s.Get("z", &n)
	require.NoError(t, err)
	require.False(t, isSet)
	inner, err := s.Object("o")
	require.NoError(t, err)
	require.EqualError(t, inner.Errorf("k", "is %d", 1), path+": o: k is 1")
	_, err = s.Object("n")
	require.Error(t, err)
	require.Equal(t, []string{"k", "z"}, s.Without("n", "o").With(inner).Keys())

	for _, text := range []string{"[]", "null", "1", "{", ""} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err = Read(path)
		require.ErrorContains(t, err, path, text)
	}
}
