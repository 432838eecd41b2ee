package eval_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/eval"
)

func TestPackedJudgementsAndRunsAreReadByTheirBytes(t *testing.T) {
	for packing, pack := range map[string]func([]byte) []byte{
		"gzip": func(data []byte) []byte {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			_, err := w.Write(data)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			return b.Bytes()
		},
		"zstd": func(data []byte) []byte {
			w, err := zstd.NewWriter(nil)
			require.NoError(t, err)
			return w.EncodeAll(data, nil)
		},
	} {
		t.Run(packing, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.tsv")
			require.NoError(t, os.WriteFile(path, pack([]byte("query-id\tcorpus-id\tscore\nq a\td\t2\n")), 0o644))
			qrels, err := eval.LoadQrels(path)
			require.NoError(t, err)
			require.Equal(t, eval.Qrels{"q a": {"d": 2}}, qrels)
			require.NoError(t, os.WriteFile(path, pack([]byte("q Q0 d 1 .5 tag\n")), 0o644))
			run, err := eval.LoadRun(path)
			require.NoError(t, err)
			require.Equal(t, eval.Run{"q": {{ID: "d", Score: .5}}}, run)

			cut := pack(bytes.Repeat([]byte("q Q0 d 1 .5 tag\n"), 100))
			require.NoError(t, os.WriteFile(path, cut[:len(cut)-4], 0o644))
			_, err = eval.LoadRun(path)
			require.ErrorContains(t, err, path+":")
		})
	}
	for content, want := range map[string]string{
		"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n": "the file is a Git LFS pointer",
		"\xff\xfeq\x00 \x00Q\x00": "the file is text in UTF-16",
	} {
		path := filepath.Join(t.TempDir(), "x")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		_, err := eval.LoadQrels(path)
		require.ErrorContains(t, err, path+":1: "+want)
		_, err = eval.LoadRun(path)
		require.ErrorContains(t, err, path+":1: "+want)
	}
}
