package textfile_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/internal/textfile"
)

func gzipped(t testing.TB, data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func zstded(t testing.TB, data []byte, options ...zstd.EOption) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, options...)
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestAFileIsReadByItsBytesNotItsName(t *testing.T) {
	text := strings.Repeat("one fish, two fish\n", 10_000)
	for name, data := range map[string][]byte{
		"plain.gz":   []byte(text),
		"gzip":       gzipped(t, []byte(text)),
		"zstd":       zstded(t, []byte(text)),
		"zstd.gz":    zstded(t, []byte(text), zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderCRC(true)),
		"skippable":  append([]byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7}, zstded(t, []byte(text))...),
		"two frames": append(zstded(t, []byte(text[:100])), zstded(t, []byte(text[100:]))...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(path, data, 0o644))
			f, err := textfile.Open(path)
			require.NoError(t, err)
			got, err := io.ReadAll(f)
			require.NoError(t, err)
			require.Equal(t, text, string(got))
			require.NoError(t, f.Close())

			r, err := textfile.NewReader(iotest.OneByteReader(bytes.NewReader(data)))
			require.NoError(t, err)
			got, err = io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, text, string(got))
			require.NoError(t, r.Close())
		})
	}
}

func TestWhatCannotBeUnpackedIsAnErrorThatNamesTheFile(t *testing.T) {
	text := []byte(strings.Repeat("one fish, two fish\n", 10_000))
	packed, other := gzipped(t, text), zstded(t, text)
	flipped := bytes.Clone(packed)
	flipped[len(flipped)-6] ^= 1 // in the checksum
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"cut gzip":         {packed[:len(packed)-9], "gzip: the file ends too early: it was cut, or there are bytes behind its end; fetch it again"},
		"bytes after gzip": {append(bytes.Clone(packed), "and so on and on"...), "gzip: there are bytes behind its end that are not packed"},
		"bytes after zstd": {append(bytes.Clone(other), "and so on and on"...), "zstd: there are bytes behind its end that are not packed"},
		"a head of gzip":   {packed[:5], "gzip: the file ends too early"},
		"damaged gzip":     {flipped, "gzip: gzip: invalid checksum: the file is damaged, fetch it again"},
		"more behind":      {append(bytes.Clone(packed), "rest"...), "gzip: "},
		"cut zstd":         {other[:len(other)-9], "zstd: the file ends too early"},
		"damaged zstd":     {append(other[:8:8], bytes.Repeat([]byte{0xff}, 50)...), "zstd: "},
		"a window of 2 GiB": {
			[]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00},
			"zstd: unpacking needs more than 128 MiB of memory: pack the file without --long, or with --long=27",
		},
		"a bomb of gzip": {gzipped(t, make([]byte, 80<<20)), "bytes unpack to more than"},
		"a bomb of zstd": {zstded(t, make([]byte, 80<<20)), "bytes unpack to more than"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x")
			require.NoError(t, os.WriteFile(path, c.data, 0o644))
			f, err := textfile.Open(path)
			if err == nil {
				_, err = io.Copy(io.Discard, f)
				require.NoError(t, f.Close())
			}
			require.ErrorContains(t, err, path+": ")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestALargeFileMayPackWell(t *testing.T) {
	line := strings.Repeat("x", 1000) + "\n"
	var text bytes.Buffer
	for i := range 70_000 { // 70 MB, packed a hundredfold
		text.WriteString(strings.Repeat(string(rune('a'+i%26)), i%97))
		text.WriteString(line)
	}
	r, err := textfile.NewReader(bytes.NewReader(gzipped(t, text.Bytes())))
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.EqualValues(t, text.Len(), n)
}

// FuzzNewReader: whatever the bytes are, the reader ends, and gives less than the bound.
func FuzzNewReader(f *testing.F) {
	f.Add([]byte("one fish\n"))
	f.Add(gzipped(f, []byte("one fish\n")))
	f.Add(zstded(f, []byte("one fish\n")))
	f.Add([]byte("\xff\xfeo\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := textfile.NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		n, _ := io.Copy(io.Discard, r)
		require.LessOrEqual(t, n, max(64<<20, 200*int64(len(data)))+(1<<20))
		require.NoError(t, r.Close())
	})
}
