package tfevents

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func all(int64, string) bool { return true }

func write(t *testing.T, path string, keep func(int64, string) bool, steps ...int64) []byte {
	t.Helper()
	w, err := Append(path, keep)
	require.NoError(t, err)
	for _, step := range steps {
		require.NoError(t, w.Write(step, time.Unix(10, 0), []Scalar{{"train/loss", 0.5}, {"train/lr", 1e-4}}))
	}
	require.NoError(t, w.Sync())
	require.NoError(t, w.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

// The check value of CRC-32C is 0xe3069283 (RFC 3720, appendix B.4: 32 bytes of zeros give 0x8a9136aa).
func TestChecksumIsTheMaskedCRC32C(t *testing.T) {
	crc := uint32(0x8a9136aa)
	require.Equal(t, (crc>>15|crc<<17)+0xa282ead8, checksum(make([]byte, 32)))
}

// The reference is TensorBoard's own writer (testdata/make_golden.py).
func TestRecordsAreThoseOfTensorBoardsWriter(t *testing.T) {
	golden, err := os.ReadFile("testdata/events.golden")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "events")
	require.NoError(t, os.WriteFile(path, golden, 0o644))
	require.Equal(t, golden, write(t, path, all), "every record of it is kept")
	one := write(t, path, func(step int64, tag string) bool {
		require.Equal(t, "train/loss", tag)
		return step < 300
	})
	require.Less(t, len(one), len(golden))
	require.Equal(t, golden, write(t, path, all, 300), "the same bytes")
}

func TestStepsThatAreMadeAgainAreCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	three := write(t, path, all, 1, 2, 3)
	five := write(t, path, all, 4, 5)
	require.Equal(t, three, five[:len(three)])
	require.Equal(t, three, write(t, path, func(step int64, tag string) bool {
		require.Equal(t, "train/loss", tag)
		return step <= 3
	}))
	require.Equal(t, five, write(t, path, all, 4, 5))
}

func TestATornOrDamagedRecordIsCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	two := write(t, path, all, 1, 2)
	three := write(t, path, all, 3)
	for n := len(two); n < len(three); n++ {
		require.NoError(t, os.WriteFile(path, three[:n], 0o644))
		require.Equal(t, two, write(t, path, all), n)
		flipped := bytes.Clone(three)
		flipped[n] ^= 1
		require.NoError(t, os.WriteFile(path, flipped, 0o644))
		require.Equal(t, two, write(t, path, all), n)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x29\x03\x98\x07\xd8\xea\x82\xa2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "events")
		require.NoError(t, os.WriteFile(path, data, 0o644))
		w, err := Append(path, all)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		_, _, _ = parse(data)
	})
}
