package main

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/examples/internal/stores"
	"github.com/retort-ir/retort/examples/internal/stores/storestest"
)

// RETORT_OPENSEARCH is the address of an OpenSearch with the k-NN plugin, or a folder of its jars, as from
// "make .cache/opensearch".
func TestOpenSearch(t *testing.T) {
	address := os.Getenv("RETORT_OPENSEARCH")
	if address == "" {
		t.Skip("no OpenSearch: set RETORT_OPENSEARCH to its address, or to the folder of \"make .cache/opensearch\"")
	}
	if !strings.HasPrefix(address, "http") {
		if _, err := os.Stat(address); err != nil {
			t.Skipf("no OpenSearch: %v", err)
		}
		address = startServer(t, address)
	}
	storestest.RunOnServer(t, open, address, remove)
}

// RETORT_ELASTICSEARCH is the address of an Elasticsearch for tests. Without it they run on the double.
func TestElasticsearch(t *testing.T) {
	address := os.Getenv("RETORT_ELASTICSEARCH")
	if address == "" {
		address = startDouble(t)
	}
	*elastic = true
	t.Cleanup(func() { *elastic = false })
	storestest.RunOnServer(t, open, address, remove)
}

func remove(ctx context.Context, s stores.Store) error {
	_, err := s.(*store).do(ctx, http.MethodDelete, "")
	return err
}

// startServer starts testdata/Server.java with the jars of a folder, and returns its address. The server stops with the
// test.
func startServer(t *testing.T, jars string) string {
	t.Helper()
	c := exec.Command("java", "-Xmx512m", "-cp", filepath.Join(jars, "*"), "testdata/Server.java", t.TempDir())
	var log bytes.Buffer
	c.Stderr = &log
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	late := time.AfterFunc(5*time.Minute, func() { _ = c.Process.Kill() })
	defer late.Stop()
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, c.Wait())
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			return address
		}
	}
	require.Fail(t, "the server ended at once", log.String())
	return ""
}
