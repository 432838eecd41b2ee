package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/regular"
)

type record struct {
	Key string `json:"key"`
}

const begin = `{"key":"`

func ignore(Place, []byte) error { return nil }

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// opened opens a ledger and returns the keys of its records.
func opened(t testing.TB, path string, log *slog.Logger) (*Ledger, []string) {
	t.Helper()
	var keys []string
	l, err := Open(t.Context(), path, begin, func(_ Place, body []byte) error {
		var r record
		require.NoError(t, json.Unmarshal(body, &r))
		keys = append(keys, r.Key)
		return nil
	}, log)
	require.NoError(t, err)
	t.Cleanup(func() { l.file.Close() })
	return l, keys
}

// written returns the bytes of a ledger of these records.
func written(t testing.TB, path string, keys ...string) []byte {
	t.Helper()
	l, _ := opened(t, path, quiet())
	for _, key := range keys {
		_, err := l.Append(record{key})
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func TestRecordsAreReadBackWhereverTheyWereAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.jsonl")
	l, _ := opened(t, path, nil)
	one, err := l.Append(record{"one"})
	require.NoError(t, err)
	three, err := l.Append(record{"two"}, record{"three"})
	require.NoError(t, err)
	for want, at := range map[string]Place{`{"key":"one"}`: one, `{"key":"three"}`: three} {
		body, err := l.Get(at)
		require.NoError(t, err)
		require.JSONEq(t, want, string(body))
	}
	state, err := l.State()
	require.NoError(t, err)
	_, err = l.Append([]int{4})
	require.ErrorContains(t, err, path+":4: []int is not an object")
	_, err = l.Append()
	require.NoError(t, err)
	require.Equal(t, 3, l.Count())

	_, err = Open(t.Context(), path, begin, ignore, nil)
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, path+" is in use: locked by another process")
	require.NoError(t, l.Close())
	again, keys := opened(t, path, nil)
	require.Equal(t, []string{"one", "two", "three"}, keys)
	same, err := again.State()
	require.NoError(t, err)
	require.Equal(t, state.SHA256(), same.SHA256())
	require.Equal(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", State{}.SHA256())
}

func TestALedgerCutAtAnyByteGoesOnFromItsLastWholeRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.jsonl")
	all := []string{"one", "two", "three"}
	whole := written(t, path, all...)
	for cut := range len(whole) + 1 {
		torn := bytes.Clone(whole[:cut])
		if cut%3 == 0 {
			torn = append(torn, 0, 0, 0) // as a power cut does
		}
		require.NoError(t, os.WriteFile(path, torn, 0o644))
		var log bytes.Buffer
		l, keys := opened(t, path, slog.New(slog.NewTextHandler(&log, nil)))
		good := bytes.Count(whole[:cut], []byte("\n"))
		require.Equal(t, all[:good], append([]string{}, keys...), "cut at byte %d", cut)
		require.Equal(t, len(torn) > 0 && torn[len(torn)-1] != '\n', strings.Contains(log.String(), "cut off"))
		for _, key := range all[good:] {
			_, err := l.Append(record{key})
			require.NoError(t, err)
		}
		require.NoError(t, l.Close())
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(whole), string(data))
	}
}

func TestDamageAndFilesOfOthersAreRefusedAndLeftAsTheyAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.jsonl")
	whole := string(written(t, path, "one", "two", "three"))
	lines := strings.SplitAfter(whole, "\n")
	foreign := errors.New("no key")
	for _, c := range []struct{ name, data, want string }{
		{"a changed letter", strings.Replace(whole, "two", "tow", 1), fmt.Sprintf("%s:2: record at byte offset %d: checksum does not match", path, len(lines[0]))},
		{"records out of order", lines[0] + lines[2] + lines[1], path + ":2: "},
		{"a record twice", lines[0] + lines[0] + lines[1], path + ":2: "},
		{"zeros in the middle", lines[0] + "\x00\x00\n" + lines[2], path + ":2: "},
		{"a long run of bad bytes", whole + strings.Repeat("\x00", maxTail+1), path + ":4: "},
		{"a corpus of one line", `{"id":"p1","text":"x"}`, path + `:1: record at byte offset 0: it does not begin with {"key":"`},
		{"not JSON", "hello\n", path + ":1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, []byte(c.data), 0o644))
			_, err := Open(t.Context(), path, begin, ignore, quiet())
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, c.want)
			require.ErrorIs(t, Check(t.Context(), path), ErrDamaged)
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.data, string(data))
		})
	}
	require.NoError(t, os.WriteFile(path, []byte(whole), 0o644))
	_, err := Open(t.Context(), path, begin, func(Place, []byte) error { return foreign }, quiet())
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, path+":1: record at byte offset 0: no key")
}

// Every bit: Check notices it, and Repair loses one record, or two where the bit removes the end of a line between
// them.
func TestAFlippedBitIsNoticedAndCostsNoOtherRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.jsonl")
	whole := written(t, path, "one", "two", "three", "four")
	require.NoError(t, Check(t.Context(), path))
	r, err := Repair(t.Context(), path)
	require.NoError(t, err)
	require.Nil(t, r)
	for at := range whole {
		for bit := range 8 {
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << bit
			require.NoError(t, os.WriteFile(path, damaged, 0o644))
			require.ErrorIs(t, Check(t.Context(), path), ErrDamaged, "bit %d of byte %d", bit, at)
			if whole[at] != '\n' && (8*at+bit)%101 > 0 {
				continue // a repair syncs files, which takes its time
			}
			lost := 1
			if whole[at] == '\n' && at < len(whole)-1 {
				lost = 2
			}
			r, err := Repair(t.Context(), path)
			require.NoError(t, err)
			require.Equal(t, 4-lost, r.Kept, "bit %d of byte %d", bit, at)
			require.NoError(t, Check(t.Context(), path))
			aside, err := os.ReadFile(r.Aside)
			require.NoError(t, err)
			require.Equal(t, damaged, aside)
		}
	}
}

func TestWhatIsNotAFileIsNeitherOpenedNorCheckedNorRepaired(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(t.Context(), dir, begin, ignore, nil)
	require.ErrorIs(t, err, regular.ErrNotRegular)
	require.ErrorIs(t, Check(t.Context(), dir), regular.ErrNotRegular)
	_, err = Repair(t.Context(), dir)
	require.ErrorIs(t, err, regular.ErrNotRegular)

	none := filepath.Join(dir, "none")
	require.NoError(t, Check(t.Context(), none))
	r, err := Repair(t.Context(), none)
	require.NoError(t, err)
	require.Nil(t, r)
}

func TestOpenStopsWhenItsContextEndsAndFreesTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.jsonl")
	written(t, path, "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Open(ctx, path, begin, ignore, nil)
	require.ErrorIs(t, err, context.Canceled)
	opened(t, path, nil)
}

func TestARecordThatChangesAfterItWasOpenedIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.jsonl")
	whole := written(t, path, "one", "two")
	var places []Place
	l, err := Open(t.Context(), path, begin, func(at Place, _ []byte) error {
		places = append(places, at)
		return nil
	}, nil)
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, os.WriteFile(path, bytes.Replace(whole, []byte("two"), []byte("tow"), 1), 0o644))
	_, err = l.Get(places[0])
	require.NoError(t, err)
	_, err = l.Get(places[1])
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, path+":2: ")
}

// disk counts syncs, and is full beyond its room.
type disk struct {
	*os.File
	room  int64
	syncs int
}

var errFull = errors.New("no space left on device")

func (d *disk) WriteAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) <= d.room {
		return d.File.WriteAt(p, at)
	}
	n, err := d.File.WriteAt(p[:len(p)/2], at)
	return n, errors.Join(errFull, err)
}

func (d *disk) Sync() error { d.syncs++; return nil }

func TestAFullDiskIsNamedAndWhatWasWrittenStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.jsonl")
	f, err := os.Create(path)
	require.NoError(t, err)
	d := &disk{File: f, room: 100}
	l, err := Continue(d, path, State{}, Options{})
	require.NoError(t, err)
	for err == nil {
		_, err = l.Append(record{"one"})
	}
	require.ErrorIs(t, err, errFull)
	require.ErrorContains(t, err, "write "+path+": no space left on device (its 2 records are safe")
	d.room = 1000
	_, err = l.Append(record{"two"})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, keys := opened(t, path, nil)
	require.Equal(t, []string{"one", "one", "two"}, keys)
}

func TestALedgerIsSyncedEveryFewSecondsAndAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := os.Create(filepath.Join(t.TempDir(), "l.jsonl"))
		require.NoError(t, err)
		d := &disk{File: f, room: 1 << 20}
		told := 0
		l, err := Continue(d, f.Name(), State{}, Options{Synced: func() error { told++; return nil }})
		require.NoError(t, err)
		for range 30 {
			_, err := l.Append(record{"x"})
			require.NoError(t, err)
			time.Sleep(SyncEvery / 10)
		}
		require.Equal(t, 2, d.syncs)
		require.NoError(t, l.Close())
		require.Equal(t, 3, d.syncs)
		require.Equal(t, 3, told)
	})
}

func FuzzRecordsThatAreReadWereWritten(f *testing.F) {
	line, err := Seal(0, record{"x"})
	require.NoError(f, err)
	f.Add(line)
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"crc32c":"00000000"}` + "\n"))
	f.Add([]byte(`"crc32c":"00000000"}`))
	f.Add([]byte("\x00\x00\n\n"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var places []Place
		c, err := Scan(t.Context(), bytes.NewReader(data), func(at Place, body []byte) error {
			require.Equal(t, byte('}'), body[len(body)-1])
			places = append(places, at)
			return nil
		})
		require.NoError(t, err)
		require.EqualValues(t, len(data), c.Total)
		require.LessOrEqual(t, c.Size, c.Total)
		require.Len(t, places, c.Count)
		for _, at := range places {
			_, ok := Unseal(at.number, data[at.offset:at.offset+int64(at.length)])
			require.True(t, ok)
		}
		// What was kept reads the same again, with nothing left to repair.
		again, err := Scan(t.Context(), bytes.NewReader(data[:c.Size]), nil)
		require.NoError(t, err)
		require.True(t, again.Whole())
		require.Equal(t, c.SHA256(), again.SHA256())
	})
}
