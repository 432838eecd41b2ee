package retort_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

func openCorpus(t testing.TB, path string) *retort.FileCorpus {
	t.Helper()
	c, err := retort.OpenCorpus(context.Background(), path)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// writeCorpus writes n passages with ids p0, p1, ...
func writeCorpus(t testing.TB, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"_id":"p%d","title":"title %d","text":"text of %d"}`+"\n", i, i, i)
	}
	path := filepath.Join(t.TempDir(), "corpus.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	return path
}

func requireSameCorpus(t testing.TB, want, got retort.Corpus) {
	t.Helper()
	require.Equal(t, want.Len(), got.Len())
	for i := range want.Len() {
		p, err := want.At(i)
		require.NoError(t, err)
		q, err := got.At(i)
		require.NoError(t, err)
		require.Equal(t, p, q)
		at, ok := got.Index(p.ID)
		require.True(t, ok, p.ID)
		require.Equal(t, i, at)
	}
}

func TestAnOpenCorpusIsTheLoadedOne(t *testing.T) {
	for _, c := range []struct{ name, content string }{
		{"one passage", `{"_id":"a"}`},
		{"last line without newline", "{\"_id\":\"a\"}\n{\"_id\":\"b\",\"text\":\"x\"}"},
		{"CRLF", "{\"_id\":\"a\"}\r\n{\"_id\":\"b\"}\r\n"},
		{"byte order mark", "\ufeff{\"_id\":\"a\",\"text\":\"x\"}\n{\"_id\":\"b\"}\n"},
		{"blank lines", "\n\n{\"_id\":\"a\"}\n \t\n\u00a0\n{\"_id\":\"b\"}\n\n\n"},
		{"Unicode and escapes", `{"_id":"日本\u00e9","title":"É😀","text":"line\nbreak"}` + "\n" + `{"_id":"日本e"}`},
		{"unknown fields", `{"_id":"a","metadata":{"x":[1]}}`},
		{"a long passage", `{"_id":"a","text":"` + strings.Repeat("word ", 100_000) + `"}` + "\n" + `{"_id":"b"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.content)
			want, err := retort.LoadCorpus(path)
			require.NoError(t, err)
			got := openCorpus(t, path)
			requireSameCorpus(t, want, got)
			for _, id := range []string{"", "missing", "A", "a "} {
				_, ok := got.Index(id)
				require.False(t, ok, id)
			}
			for _, i := range []int{-1, want.Len()} {
				_, err := got.At(i)
				require.ErrorContains(t, err, "is out of range: the corpus has")
			}
		})
	}
}

func TestOpenCorpusRefusesWhatLoadCorpusRefuses(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "no records"},
		{"blank", "\n \n", "no records"},
		{"malformed", "{\"_id\":\"a\"}\n\n{\"_id\":", ":3: malformed JSON"},
		{"invalid UTF-8", "{\"_id\":\"a\"}\n{\"_id\":\"\xff\"}", ":2: invalid UTF-8"},
		{"no id", "{\"_id\":\"a\"}\n{\"text\":\"x\"}\n", `:2: no "_id"`},
		{
			"repeated id", "{\"_id\":\"a\"}\n\n{\"_id\":\"b\"}\n{\"_id\":\"\\u0061\"}\n{\"_id\":\"b\"}\n",
			`:4: id "a" is already used by line 1`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.content)
			_, err := retort.LoadCorpus(path)
			require.Error(t, err)
			_, err = retort.OpenCorpus(context.Background(), path)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := retort.OpenCorpus(context.Background(), filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestARepeatedIDIsFoundAmongMany(t *testing.T) {
	path := writeCorpus(t, 5000)
	requireSameCorpus(t, loadCorpus(t, path), openCorpus(t, path))
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"_id":"p2344"}`)
	require.NoError(t, errors.Join(err, f.Close()))
	_, err = retort.OpenCorpus(context.Background(), path)
	require.EqualError(t, err, path+`:5001: id "p2344" is already used by line 2345`)
}

func loadCorpus(t testing.TB, path string) *retort.MemoryCorpus {
	t.Helper()
	c, err := retort.LoadCorpus(path)
	require.NoError(t, err)
	return c
}

func TestAnOpenCorpusNoticesThatItsFileChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(path string) error
	}{
		{"longer", func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("\n")
			return errors.Join(err, f.Close())
		}},
		{"cut", func(path string) error { return os.Truncate(path, 100) }},
		{"written again with the same size", func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString(`{"_id":"P0"`)
			return errors.Join(err, f.Close(), os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeCorpus(t, 10)
			corpus := openCorpus(t, path)
			require.NoError(t, c.change(path))
			for i := range 10 {
				_, err := corpus.At(i)
				require.ErrorContains(t, err, path+": the file has changed since it was opened")
				require.ErrorContains(t, err, "open the corpus again")
			}
			i, ok := corpus.Index("p3")
			require.True(t, ok, "the error is At's")
			require.Equal(t, 3, i)
		})
	}
}

// A clock can be set back, and some are coarse: then the id says so.
func TestAnOpenCorpusNoticesAnotherPassageInItsPlace(t *testing.T) {
	path := writeCorpus(t, 10)
	corpus := openCorpus(t, path)
	info, err := os.Stat(path)
	require.NoError(t, err)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"_id":"P0"`)
	require.NoError(t, errors.Join(err, f.Close(), os.Chtimes(path, time.Time{}, info.ModTime())))
	_, err = corpus.At(0)
	require.ErrorContains(t, err, path+`: passage 0: the file has changed since it was opened (the id is now "P0")`)
}

func TestAnOpenCorpusGoesOnWithAFileThatIsReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be replaced here")
	}
	path := writeCorpus(t, 10)
	want := loadCorpus(t, path)
	corpus := openCorpus(t, path)
	require.NoError(t, retort.SaveCorpus(path, corpus))
	requireSameCorpus(t, want, corpus)
	requireSameCorpus(t, want, openCorpus(t, path))
}

func TestAClosedCorpusIsAnError(t *testing.T) {
	path := writeCorpus(t, 3)
	c, err := retort.OpenCorpus(context.Background(), path)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, c.Close(), "twice")
	_, err = c.At(1)
	require.ErrorIs(t, err, fs.ErrClosed)
	require.Equal(t, 3, c.Len())
}

func TestAnOpenCorpusIsSafeForConcurrentUse(t *testing.T) {
	path := writeCorpus(t, 500)
	c := openCorpus(t, path)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range 1000 {
				i := (n*31 + worker*7) % 500
				p, err := c.At(i)
				if at, ok := c.Index(p.ID); err != nil || !ok || at != i {
					t.Errorf("passage %d: %+v, %v; found at %d", i, p, err, at)
					return
				}
			}
		}()
	}
	wg.Wait()
}

func TestOpenCorpusStopsWhenTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := retort.OpenCorpus(ctx, writeCorpus(t, 10))
	require.ErrorIs(t, err, context.Canceled)
}

func TestAnOpenCorpusTakesLittleMemory(t *testing.T) {
	const n = 100_000
	path := writeCorpus(t, n)
	before := heap()
	c, err := retort.OpenCorpus(context.Background(), path)
	require.NoError(t, err)
	after := heap()
	perPassage := (float64(after) - float64(before)) / n
	t.Logf("%.1f bytes a passage", perPassage)
	require.Less(t, perPassage, 24.0)
	require.NoError(t, c.Close())
	runtime.KeepAlive(c)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Whatever LoadCorpus makes of a file OpenCorpus makes of it, too.
func FuzzOpenCorpus(f *testing.F) {
	for _, seed := range []string{
		"", "{\"_id\":\"a\"}\n{\"_id\":\"b\"}", "{\"_id\":\"a\"}\n{\"_id\":\"a\"}", "\ufeff{\"_id\":\"a\"}\r\n\r\n{\"_id\":\"b\",\"text\":\"x\"}",
		"\n\u00a0\n{\"_id\":\"a\"}\n\u0085\n", "{\"_id\":\"\xff\"}", "null", "[]", "{\"_id\":\"a\",\"text\":7}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "corpus.jsonl")
		require.NoError(t, os.WriteFile(path, data, 0o644))
		want, wantErr := retort.LoadCorpus(path)
		got, err := retort.OpenCorpus(context.Background(), path)
		if wantErr != nil {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		defer got.Close()
		requireSameCorpus(t, want, got)
	})
}

func BenchmarkOpenCorpus(b *testing.B) {
	path := writeCorpus(b, 20_000)
	for b.Loop() {
		c, err := retort.OpenCorpus(context.Background(), path)
		require.NoError(b, err)
		require.NoError(b, c.Close())
	}
	b.ReportMetric(float64(b.N)*20_000/b.Elapsed().Seconds(), "passages/s")
}

func BenchmarkFileCorpusAt(b *testing.B) {
	c := openCorpus(b, writeCorpus(b, 20_000))
	for i := 0; b.Loop(); i++ {
		_, err := c.At(i * 7919 % 20_000)
		require.NoError(b, err)
	}
}
