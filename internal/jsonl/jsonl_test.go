package jsonl_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/jsonl"
)

type record struct {
	ID string  `json:"id"`
	N  float64 `json:"n,omitempty"`
}

var errNoID = errors.New("no id")

func checkRecord(r record) error {
	if r.ID == "" {
		return errNoID
	}
	return nil
}

func TestReadAcceptsWhatEditorsAndSystemsWrite(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"two lines", "{\"id\":\"a\"}\n{\"id\":\"b\"}\n", []string{"a", "b"}},
		{"last line without newline", "{\"id\":\"a\"}\n{\"id\":\"b\"}", []string{"a", "b"}},
		{"CRLF", "{\"id\":\"a\"}\r\n{\"id\":\"b\"}\r\n", []string{"a", "b"}},
		{"byte order mark", "\ufeff{\"id\":\"a\"}\n", []string{"a"}},
		{"byte order mark alone", "\ufeff\n{\"id\":\"a\"}\n", []string{"a"}},
		{"blank lines", "\n{\"id\":\"a\"}\n \t\n\r\n{\"id\":\"b\"}\n\n", []string{"a", "b"}},
		{"only blank lines", "\n\r\n \n", nil},
		{"unknown fields", `{"id":"a","metadata":{"x":[1]}}`, []string{"a"}},
		{"Unicode", "{\"id\":\"日本é\\u00e9😀\"}", []string{"日本éé😀"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for r, err := range jsonl.Read(strings.NewReader(c.in), "x.jsonl", checkRecord) {
				require.NoError(t, err)
				got = append(got, r.ID)
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestReadErrorNamesFileAndLineAndEndsTheSequence(t *testing.T) {
	for _, c := range []struct {
		name, bad, want string
	}{
		{"malformed JSON", `{"id":`, "malformed JSON"},
		{"two values on a line", `{"id":"x"} {"id":"y"}`, "malformed JSON"},
		{"wrong type", `{"id":7}`, `"/id": a number where a string is wanted`},
		{"array", `["x"]`, "an array where an object is wanted"},
		{"number out of range", `{"id":"x","n":1e999}`, `"/n": 1e999 is out of the range of float64`},
		{"NaN", `{"id":"x","n":NaN}`, "malformed JSON"},
		{"invalid UTF-8", "{\"id\":\"\xff\"}", "invalid UTF-8"},
		{"byte order mark after the first line", "\ufeff{\"id\":\"x\"}", "malformed JSON"},
		{"check", `{}`, "no id"},
		{"null", `null`, "no id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The blank line counts: the number is that of an editor.
			in := "{\"id\":\"a\"}\n\n" + c.bad + "\n{\"id\":\"b\"}\n"
			var got []string
			var failures []error
			for r, err := range jsonl.Read(strings.NewReader(in), "x.jsonl", checkRecord) {
				if err != nil {
					failures = append(failures, err)
					continue
				}
				got = append(got, r.ID)
			}
			require.Equal(t, []string{"a"}, got)
			require.Len(t, failures, 1)
			require.ErrorContains(t, failures[0], "x.jsonl:3: "+c.want)
		})
	}
}

func TestReadKeepsTheCauseOfAnError(t *testing.T) {
	for _, err := range jsonl.Read(strings.NewReader("{}"), "x.jsonl", checkRecord) {
		require.ErrorIs(t, err, errNoID)
	}
	broken := errors.New("cable pulled")
	n := 0
	for _, err := range jsonl.Read(iotest.ErrReader(broken), "x.jsonl", checkRecord) {
		n++
		require.ErrorIs(t, err, broken)
		require.ErrorContains(t, err, "x.jsonl:1: ")
	}
	require.Equal(t, 1, n)
}

func TestReadWithoutCheck(t *testing.T) {
	n := 0
	for r, err := range jsonl.Read[record](strings.NewReader("{}\n"), "x.jsonl", nil) {
		require.NoError(t, err)
		require.Zero(t, r)
		n++
	}
	require.Equal(t, 1, n)
}

func TestReadLineLength(t *testing.T) {
	const frame = len(`{"id":""}`)
	longest := `{"id":"` + strings.Repeat("a", jsonl.MaxLine-frame) + `"}`
	for _, end := range []string{"", "\n"} {
		n := 0
		for r, err := range jsonl.Read(strings.NewReader(longest+end), "x.jsonl", checkRecord) {
			require.NoError(t, err)
			require.Len(t, r.ID, jsonl.MaxLine-frame)
			n++
		}
		require.Equal(t, 1, n)

		n = 0
		for _, err := range jsonl.Read(strings.NewReader("{\"id\":\"a\"}\n "+longest+end), "x.jsonl", checkRecord) {
			if n++; n == 2 {
				require.ErrorContains(t, err, "x.jsonl:2: line longer than")
			}
		}
		require.Equal(t, 2, n)
	}
}

func TestReadRecordsGivesThePlaceOfEveryLine(t *testing.T) {
	const in = "\ufeff{\"id\":\"a\"}\r\n\n \t\n{\"id\":\"日\"}\n  {\"id\":\"c\"}"
	var got []string
	decode := func(line []byte) (record, error) { return jsonl.Decode(line, checkRecord) }
	for r, err := range jsonl.ReadRecords(strings.NewReader(in), "x.jsonl", decode) {
		require.NoError(t, err)
		line, _, _ := strings.Cut(in[r.Offset:], "\n")
		again, err := jsonl.Decode([]byte(line), checkRecord)
		require.NoError(t, err)
		require.Equal(t, r.Value, again)
		got = append(got, again.ID)
	}
	require.Equal(t, []string{"a", "日", "c"}, got)
}

func TestReadStopsEarly(t *testing.T) {
	n := 0
	for r, err := range jsonl.Read(strings.NewReader("{\"id\":\"a\"}\nnot JSON\n"), "x.jsonl", checkRecord) {
		require.NoError(t, err)
		require.Equal(t, "a", r.ID)
		n++
		break
	}
	require.Equal(t, 1, n)
}

func TestReadFileMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.jsonl")
	n := 0
	for _, err := range jsonl.ReadFile(path, checkRecord) {
		n++
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.ErrorContains(t, err, path)
	}
	require.Equal(t, 1, n)
}

func TestWriteThenReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	want := []record{{ID: "<a> & b", N: 0.1}, {ID: "line\nbreak \u2028 \"é😀"}, {ID: "c", N: -1e-300}}
	var written bytes.Buffer
	require.NoError(t, jsonl.Write(&written, slices.Values(want)))
	require.NoError(t, os.WriteFile(path, written.Bytes(), 0o600))
	for range 2 { // the sequence can be run again
		var got []record
		for r, err := range jsonl.ReadFile(path, checkRecord) {
			require.NoError(t, err)
			got = append(got, r)
		}
		require.Equal(t, want, got)
	}
	require.Contains(t, written.String(), "<a> & b")
	require.Equal(t, len(want), strings.Count(written.String(), "\n"))
}

func TestWriteErrorNamesTheRecord(t *testing.T) {
	err := jsonl.Write(io.Discard, slices.Values([]any{1, func() {}}))
	require.ErrorContains(t, err, "record 2")
}

// Whatever Read accepts can be written and read again, unchanged; whatever it refuses is refused once, with a place.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "\n", "{}", "null", "{\"id\":\"a\"}\n{\"id\":\"b\",\"n\":2}", "\ufeff{\"id\":\"a\"}\r\n\r\n", "{\"id\":\"\xff\"}",
		"{\"id\":\"\\ud800\"}", "[1]", "{\"id\":\"a\"", "{\"id\":\"a\",\"n\":1e999}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var values []record
		failed := false
		for r, err := range jsonl.Read(strings.NewReader(string(data)), "x.jsonl", checkRecord) {
			require.False(t, failed, "the sequence went on after an error")
			if err != nil {
				failed = true
				require.Regexp(t, `^x\.jsonl:[0-9]+: `, err.Error())
				continue
			}
			require.NotEmpty(t, r.ID)
			values = append(values, r)
		}
		var out strings.Builder
		require.NoError(t, jsonl.Write(&out, slices.Values(values)))
		var again []record
		for r, err := range jsonl.Read(strings.NewReader(out.String()), "again.jsonl", checkRecord) {
			require.NoError(t, err)
			again = append(again, r)
		}
		require.Equal(t, values, again)
	})
}
