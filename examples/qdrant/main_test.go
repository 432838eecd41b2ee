package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort/examples/internal/stores"
	"github.com/retort-ir/retort/examples/internal/stores/storestest"
)

// RETORT_QDRANT is the address of a Qdrant for tests. Without it they run on the double.
func TestQdrant(t *testing.T) {
	if address := os.Getenv("RETORT_QDRANT"); address != "" {
		onServer(t, address)
		return
	}
	storestest.Run(t, open, startDouble)
}

// onServer tests on a server. Each test has collections of its own, which are removed after it.
func onServer(t *testing.T, address string) {
	var test atomic.Int64
	own := func(ctx context.Context, address, index string, dim int) (stores.Store, error) {
		index = fmt.Sprintf("%s_test_%d_%d", index, os.Getpid(), test.Load())
		s, err := open(ctx, address, index, dim)
		if err == nil {
			t.Cleanup(func() { removeCollection(t, address, index) })
		}
		return s, err
	}
	storestest.Run(t, own, func(*testing.T) string {
		test.Add(1)
		return address
	})
}

func removeCollection(t *testing.T, address, index string) {
	s, err := open(context.Background(), address, index, 1)
	require.NoError(t, err)
	require.NoError(t, s.(*store).client.DeleteCollection(context.Background(), index))
	require.NoError(t, s.Close())
}
